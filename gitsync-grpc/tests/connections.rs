//! Connections that do not begin, and more connections than there are places.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use gitsync_grpc::access::OpenAccess;
use gitsync_grpc::proto::ListOrganisationsRequest;
use gitsync_grpc::proto::git_repository_service_client::GitRepositoryServiceClient;
use gitsync_grpc::server::ServerOptions;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{StoreKind, World, certificate, patient};

/// Soon enough for a test, and so soon that no client that is to be served is in time for sure.
const SOON: Duration = Duration::from_millis(100);

async fn serve(options: ServerOptions) -> World {
    World::serve(StoreKind::Memory, |_| Arc::new(OpenAccess), |service| service, options).await
}

/// Waits until the other side has closed the connection.
async fn closed(mut stream: impl AsyncRead + Unpin) {
    let mut rest = Vec::new();
    // A connection that is reset is closed as well.
    let reading = stream.read_to_end(&mut rest);
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("the connection stays open").ok();
}

async fn list(channel: Channel) -> bool {
    GitRepositoryServiceClient::new(channel).list_organisations(ListOrganisationsRequest::default()).await.is_ok()
}

async fn secure(world: &World, pem: &str) -> Channel {
    let endpoint = Channel::from_shared(format!("https://localhost:{}", world.address.port())).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    endpoint.tls_config(tls).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let world = serve(ServerOptions { handshake_timeout: SOON, ..patient() }).await;
    for said in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\n"] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        closed(stream).await;
    }
}

#[tokio::test]
async fn what_is_not_http_2_is_closed_at_once() {
    let world = serve(patient()).await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    closed(stream).await;
}

#[tokio::test]
async fn a_tls_connection_is_closed_that_says_nothing_before_or_after_the_handshake() {
    let dir = tempfile::tempdir().unwrap();
    let (tls, pem) = certificate(dir.path());
    // Long enough for a handshake in most cases; where it is not, the connection is closed all the same.
    let world = serve(ServerOptions { tls: Some(tls), handshake_timeout: 5 * SOON, ..patient() }).await;
    closed(TcpStream::connect(world.address).await.unwrap()).await;

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(world.address).await.unwrap();
    if let Ok(stream) = TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await {
        closed(stream).await;
    }
}

#[tokio::test]
async fn nobody_waits_for_those_who_say_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (tls, pem) = certificate(dir.path());
    for tls in [None, Some(tls)] {
        let is_secure = tls.is_some();
        let world = serve(ServerOptions { tls, ..patient() }).await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(TcpStream::connect(world.address).await.unwrap());
        }
        let channel = if is_secure { secure(&world, &pem).await } else { world.channel().await };
        assert!(list(channel).await);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_others_are_closed() {
    for is_silent_one_to_leave in [true, false] {
        let options = ServerOptions { max_connections: 2, ..patient() };
        let world = serve(options).await;
        let silent = TcpStream::connect(world.address).await.unwrap();
        let served = world.channel().await;
        assert!(list(served.clone()).await);
        let mut waiting = Box::pin(list(world.channel().await));
        for _ in 0..20 {
            assert!(list(served.clone()).await);
            assert!((&mut waiting).now_or_never().is_none(), "there is no place for another one");
        }
        if is_silent_one_to_leave {
            drop(silent);
        } else {
            drop(served);
        }
        assert!(waiting.await);
    }
}

#[tokio::test]
async fn a_peer_has_no_more_connections_than_it_may_and_gets_places_back() {
    let world = serve(ServerOptions { max_connections_per_peer: 2, ..patient() }).await;
    let silent = TcpStream::connect(world.address).await.unwrap();
    let served = world.channel().await;
    assert!(list(served.clone()).await);
    for _ in 0..3 {
        closed(TcpStream::connect(world.address).await.unwrap()).await;
    }
    assert!(list(served).await);
    drop(silent);
    // The server hears that it left when it gets to it.
    while !list(world.lazy_channel()).await {}
}

/// Also where something goes on that has no end of its own, for which nobody has to show who it is.
#[tokio::test]
async fn an_old_connection_is_closed() {
    let world = serve(ServerOptions { max_connection_age: SOON, ..patient() }).await;
    let watching = async {
        let mut health = HealthClient::new(world.channel().await);
        // It may be too old before it begins.
        if let Ok(answers) = health.watch(HealthCheckRequest::default()).await {
            let mut answers = answers.into_inner();
            while let Ok(Some(_)) = answers.message().await {}
        }
    };
    tokio::time::timeout(Duration::from_secs(60), watching).await.expect("the connection stays open");

    let world = serve(ServerOptions { max_connection_age: SOON, ..patient() }).await;
    let (client, connection) = h2::client::handshake(TcpStream::connect(world.address).await.unwrap()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), connection).await.expect("the connection stays open").ok();
    drop(client);
}
