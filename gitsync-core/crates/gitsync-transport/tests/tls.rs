//! https sources: whom we trust, and whom we show who we are.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::IpAddr;

use gitsync_core::source::{HostPattern, Scheme, SourcePolicy, SourceUrl};
use gitsync_core::testing::{Authority, Identity, TlsServer};
use gitsync_core::transport::{HttpRequest, Transport};
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_transport::{CaCertificates, ClientCertificate, HostOptions, NetOptions, NetTransport};
use support::{Server, limits};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

fn ca(authority: &Authority) -> CaCertificates {
    CaCertificates::from_pem_files([authority.file()]).unwrap()
}

fn trusting(authority: &Authority) -> NetOptions {
    NetOptions { ca_certificates: ca(authority), ..NetOptions::default() }
}

fn of_hosts(pattern: &str) -> HostOptions {
    HostOptions::new(pattern.parse::<HostPattern>().unwrap())
}

/// All names lead to the loopback.
fn transport(options: NetOptions) -> NetTransport {
    let policy = SourcePolicy::builder().schemes([Scheme::Https]).allow_private_networks(true).build().unwrap();
    NetTransport::new(policy, options).with_lookup(|_| Ok(vec![IpAddr::from([127, 0, 0, 1])]))
}

fn get(transport: &NetTransport, source: &SourceUrl) -> Result<String> {
    let request = HttpRequest { source, suffix: "/info/refs?service=git-upload-pack", headers: &[], body: None };
    let mut text = String::new();
    transport.http(request, &limits())?.body.read_to_string(&mut text).map_err(|error| support::typed(&error))?;
    Ok(text)
}

fn named(host: &str, server: &TlsServer) -> SourceUrl {
    format!("https://{host}:{}/a.git", server.address().port()).parse().unwrap()
}

#[track_caller]
fn assert_refused(result: Result<String>, kind: ErrorKind, message: &str, hint: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!((error.kind(), error.message()), (kind, message), "{error}");
    assert!(error.hint_text().unwrap().contains(hint), "{error:?}");
    assert!(!error.is_retryable(), "it does not change within minutes");
    assert!(error.context().any(|(key, _)| key == "url") && error.context().any(|(key, _)| key == "reason"));
    error
}

#[test]
fn a_private_authority_is_trusted_where_it_is_set() {
    let (plain, authority) = (Server::answering(OK), Authority::default());
    let by_address = TlsServer::start(plain.address, &authority.issue("127.0.0.1"), None);
    let by_name = TlsServer::start(plain.address, &authority.issue("git.example"), None);
    let trusting = transport(trusting(&authority));
    for source in [by_address.source("a.git"), named("git.example", &by_name)] {
        assert_eq!(get(&trusting, &source).unwrap(), "hello");
        assert_eq!(get(&trusting, &source).unwrap(), "hello");
        let refused = get(&transport(NetOptions::default()), &source);
        let untrusted = "the certificate of the server is of an authority that is not trusted";
        assert_refused(refused, ErrorKind::SourceUnreachable, untrusted, "trusted authorities");
    }
    assert_eq!(by_name.connections(), 2, "a connection is used again");
    // Not even the request is told to whom we do not trust.
    assert_eq!(plain.connections(), 2);
}

#[test]
fn an_authority_for_one_host_is_none_for_another() {
    let (plain, authority, other) = (Server::answering(OK), Authority::default(), Authority::default());
    let server = |authority: &Authority, name| TlsServer::start(plain.address, &authority.issue(name), None);
    let (ours, theirs) = (server(&authority, "git.ours.example"), server(&authority, "git.theirs.example"));
    let mut host = of_hosts("*.ours.example");
    host.ca_certificates = ca(&authority);
    let mut later = of_hosts("*");
    later.ca_certificates = ca(&other);
    let transport = transport(NetOptions { hosts: vec![host, later], ..NetOptions::default() });
    assert_eq!(get(&transport, &named("git.ours.example", &ours)).unwrap(), "hello");
    let refused = get(&transport, &named("git.theirs.example", &theirs)).unwrap_err();
    assert!(refused.message().contains("not trusted"), "{refused}");
    // The first that selects a host holds alone; what is for all hosts holds beside.
    let elsewhere = server(&other, "git.ours.example");
    assert!(get(&transport, &named("git.ours.example", &elsewhere)).is_err());
    let beside = server(&other, "git.any.example");
    assert_eq!(get(&transport, &named("git.any.example", &beside)).unwrap(), "hello");
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let (plain, authority) = (Server::answering(OK), Authority::default());
    let answer = |identity: &Identity, host: &str| {
        let server = TlsServer::start(plain.address, identity, None);
        get(&transport(trusting(&authority)), &named(host, &server))
    };
    let unreachable = ErrorKind::SourceUnreachable;
    let expired = answer(&authority.issue_expired("127.0.0.1"), "127.0.0.1");
    assert_refused(expired, unreachable, "the certificate of the server has expired", "clock");
    let identity = authority.issue("git.example");
    for host in ["other.example", "127.0.0.1", "git.example.example", "a.git.example"] {
        let message = "the certificate of the server is for another name";
        let error = assert_refused(answer(&identity, host), unreachable, message, "name");
        assert!(error.to_string().contains("git.example"), "{error}");
    }
    assert_eq!(plain.connections(), 0);
}

#[test]
fn a_server_that_asks_who_connects_is_shown_a_certificate() {
    let (plain, authority, stranger) = (Server::answering(OK), Authority::default(), Authority::default());
    let server = TlsServer::start(plain.address, &authority.issue("127.0.0.1"), Some(&authority));
    let answer = |client: Option<&Identity>| {
        let mut host = of_hosts("127.0.0.1");
        host.client_certificate =
            client.map(|client| ClientCertificate::from_pem_files(&client.certificate, &client.key).unwrap());
        get(&transport(NetOptions { hosts: vec![host], ..trusting(&authority) }), &server.source("a.git"))
    };
    assert_eq!(answer(Some(&authority.issue("client.example"))).unwrap(), "hello");
    let (kind, asks) = (ErrorKind::Unauthenticated, "the server asks for a client certificate");
    assert_refused(answer(None), kind, asks, "client certificate");
    let refuses = "the server refused the client certificate";
    assert_refused(answer(Some(&stranger.issue("client.example"))), kind, refuses, "client certificate");
    assert_refused(answer(Some(&authority.issue_expired("client.example"))), kind, refuses, "valid");
    assert_eq!(plain.connections(), 1);
}

#[test]
fn broken_files_are_refused_before_anything_is_connected_to() {
    let (authority, dir) = (Authority::default(), tempfile::tempdir().unwrap());
    let file = |name: &str, content: &str| {
        let file = dir.path().join(name);
        fs::write(&file, content).unwrap();
        file
    };
    let pem = fs::read_to_string(authority.file()).unwrap();
    let truncated = &pem[..pem.len() / 2];
    let garbage = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let identity = authority.issue("client.example");
    let key = fs::read_to_string(&identity.key).unwrap();
    for (name, content) in [("empty", ""), ("text", "hello"), ("half", truncated), ("garbage", garbage), ("key", &key)]
    {
        let error = CaCertificates::from_pem_files([authority.file(), file(name, content)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        assert!(error.hint_text().is_some() && error.to_string().contains(name), "{error}");
    }
    assert!(CaCertificates::from_pem_files([dir.path().join("missing")]).is_err());
    assert!(CaCertificates::from_pem_files([file("two", &format!("{pem}{pem}"))]).is_ok());

    let other = authority.issue("other.example");
    for (certificate, key) in [
        (&identity.certificate, &other.key),
        (&identity.key, &identity.key),
        (&identity.certificate, &identity.certificate),
        (&file("no certificate", garbage), &identity.key),
        (&identity.certificate, &dir.path().join("missing")),
    ] {
        let error = ClientCertificate::from_pem_files(certificate, key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    let open = file("key of everybody", &key);
    let error = ClientCertificate::from_pem_files(&identity.certificate, &open).unwrap_err();
    assert!(error.to_string().contains("others than its owner may use it"), "{error}");
    assert_eq!(error.hint_text(), Some("chmod 0600"));
    let client = ClientCertificate::from_pem_files(&identity.certificate, &identity.key).unwrap();
    assert_eq!(format!("{client:?} {:?}", ca(&authority)), "ClientCertificate { .. } CaCertificates { count: 1 }");
}
