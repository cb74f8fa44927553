//! The service over TLS.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::sync::Arc;

use gitsync_core::ErrorKind;
use gitsync_grpc::Service;
use gitsync_grpc::access::OpenAccess;
use gitsync_grpc::proto::ListOrganisationsRequest;
use gitsync_grpc::proto::git_repository_service_client::GitRepositoryServiceClient;
use gitsync_grpc::server::{Server, ServerOptions, Tls};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};

use crate::support::{StoreKind, World, certificate};

#[tokio::test]
async fn clients_check_the_certificate_and_clear_text_is_not_served() {
    let world = World::open(StoreKind::Memory).await;
    let (tls, certificate) = certificate(world.dir.path());
    let options = ServerOptions { tls: Some(tls), ..ServerOptions::default() };
    let service = Service::new(world.gitsync.clone(), Arc::new(OpenAccess));
    let server = Server::bind(service, ([127, 0, 0, 1], 0).into(), options).await.unwrap();
    let port = server.address().port();
    tokio::spawn(server.serve(std::future::pending()));

    let list = async |channel: Channel| {
        GitRepositoryServiceClient::new(channel).list_organisations(ListOrganisationsRequest::default()).await
    };
    let endpoint = Channel::from_shared(format!("https://localhost:{port}")).unwrap();
    let trusting = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate));
    let channel = endpoint.clone().tls_config(trusting).unwrap().connect().await.unwrap();
    assert!(list(channel).await.is_ok());
    let doubting = ClientTlsConfig::new().with_webpki_roots();
    assert!(endpoint.tls_config(doubting).unwrap().connect().await.is_err());
    let clear = Channel::from_shared(format!("http://localhost:{port}")).unwrap().connect().await;
    assert!(match clear {
        Ok(channel) => list(channel).await.is_err(),
        Err(_) => true,
    });
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_refused() {
    let world = World::open(StoreKind::Memory).await;
    let tls = Tls { certificate: world.dir.path().join("cert.pem"), key: world.dir.path().join("key.pem") };
    for text in [None, Some("nonsense")] {
        if let Some(text) = text {
            fs::write(&tls.certificate, text).unwrap();
            fs::write(&tls.key, text).unwrap();
        }
        let options = ServerOptions { tls: Some(tls.clone()), ..ServerOptions::default() };
        let service = Service::new(world.gitsync.clone(), Arc::new(OpenAccess));
        let error = Server::bind(service, ([127, 0, 0, 1], 0).into(), options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
}

#[tokio::test]
async fn without_tokens_only_the_loopback_is_served() {
    let world = World::open(StoreKind::Memory).await;
    let bind = async |address: &str, allow_open: bool| {
        let options = ServerOptions { allow_open, ..ServerOptions::default() };
        let service = Service::new(world.gitsync.clone(), Arc::new(OpenAccess));
        Server::bind(service, address.parse().unwrap(), options).await.map(drop).map_err(|error| error.kind())
    };
    for address in ["0.0.0.0:0", "[::]:0"] {
        assert_eq!(bind(address, false).await, Err(ErrorKind::InvalidInput), "{address}");
    }
    assert_eq!(bind("0.0.0.0:0", true).await, Ok(()));
    assert_eq!(bind("127.0.0.1:0", false).await, Ok(()));
}
