//! Sources that are reached through a proxy.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::time::Duration;

use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::testing::{Authority, Identity, ProxyProtocol, ProxyServer, TlsServer};
use gitsync_core::transport::{HttpRequest, Service, Transport};
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_transport::{CaCertificates, HostOptions, NetOptions, NetTransport, Proxy};
use support::{Gate, Server, connection, limits};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const PUBLIC: [u8; 4] = [192, 0, 32, 8];
const LOGIN: &str = "me:s3cret";

fn public() -> SourcePolicy {
    SourcePolicy::builder().schemes([Scheme::Http, Scheme::Https, Scheme::Ssh, Scheme::Git]).build().unwrap()
}

/// A transport that reaches `*.example` by a proxy, and finds public addresses for all of it but for `inside.example`.
fn through(proxy: &str, login: Option<&str>, options: NetOptions) -> NetTransport {
    let mut proxy: Proxy = proxy.parse().unwrap();
    if let Some((user, password)) = login.and_then(|login| login.split_once(':')) {
        proxy = proxy.with_login(user, password.into()).unwrap();
    }
    let mut host = HostOptions::new("*.example".parse().unwrap());
    host.proxy = Some(proxy);
    NetTransport::new(public(), NetOptions { hosts: vec![host], ..options }).with_lookup(|host| {
        Ok(match host {
            "inside.example" => vec![PUBLIC.into(), IpAddr::from([127, 0, 0, 1])],
            "six.example" => vec!["2606:4700::1".parse().unwrap()],
            _ => vec![PUBLIC.into()],
        })
    })
}

fn get(transport: &NetTransport, source: &str) -> Result<String> {
    let source: SourceUrl = source.parse().unwrap();
    let request =
        HttpRequest { source: &source, suffix: "/info/refs?service=git-upload-pack", headers: &[], body: None };
    let mut text = String::new();
    transport.http(request, &limits())?.body.read_to_string(&mut text).map_err(|error| support::typed(&error))?;
    Ok(text)
}

#[test]
fn the_proxy_is_told_the_address_that_was_judged() {
    let server = Server::answering(OK);
    let address = server.address;
    for (protocol, login) in ProxyProtocol::ALL.into_iter().flat_map(|proxy| [(proxy, None), (proxy, Some(LOGIN))]) {
        let proxy = ProxyServer::start(protocol, login, move |_| Some(address));
        let transport = through(&proxy.url(), login, NetOptions::default());
        assert_eq!(get(&transport, "http://git.example/a.git").unwrap(), "hello");
        assert_eq!(get(&transport, "http://git.example/a.git").unwrap(), "hello");
        assert_eq!(get(&transport, "http://six.example:8080/a.git").unwrap(), "hello");
        assert_eq!(proxy.asked(), ["192.0.32.8:80", "[2606:4700::1]:8080"], "connections are used again");
    }
    server.seen(0, |seen| {
        assert!(seen.line.starts_with("GET /a.git/info/refs"), "{}", seen.line);
        assert_eq!(seen.header("host"), Some("git.example"));
        assert_eq!(seen.header("proxy-authorization"), None);
    });
}

#[test]
fn https_goes_through_and_the_name_is_that_of_the_source() {
    let (server, authority) = (Server::answering(OK), Authority::default());
    let tls = TlsServer::start(server.address, &authority.issue("git.example"), None);
    let address = tls.address();
    let ca_certificates = CaCertificates::from_pem_files([authority.file()]).unwrap();
    for protocol in ProxyProtocol::ALL {
        let proxy = ProxyServer::start(protocol, None, move |_| Some(address));
        let options = NetOptions { ca_certificates: ca_certificates.clone(), ..NetOptions::default() };
        let transport = through(&proxy.url(), None, options);
        assert_eq!(get(&transport, "https://git.example/a.git").unwrap(), "hello");
        assert_eq!(proxy.asked(), ["192.0.32.8:443"]);
        let error = get(&transport, "https://other.example/a.git").unwrap_err();
        assert_eq!(error.message(), "the certificate of the server is for another name");
    }
}

#[test]
fn what_the_policy_refuses_no_proxy_is_asked_for() {
    let server = Server::answering(OK);
    let address = server.address;
    for protocol in ProxyProtocol::ALL {
        let proxy = ProxyServer::start(protocol, None, move |_| Some(address));
        let transport = through(&proxy.url(), None, NetOptions::default());
        // Another address would do, but all must pass.
        let refused = get(&transport, "http://inside.example/a.git").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::SourceRefused);
        // The proxy is nobody's source, though we may talk to it.
        let itself = proxy.url().rsplit_once(':').map(|(_, port)| format!("http://127.0.0.1:{port}/a.git")).unwrap();
        assert_eq!(get(&transport, &itself).unwrap_err().kind(), ErrorKind::SourceRefused);
        for url in ["ssh://git@git.example/a.git", "git://git.example/a.git"] {
            let error =
                connection(transport.connect(&url.parse().unwrap(), Service::UploadPack, 2, &limits())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.hint_text().is_some_and(|hint| hint.contains("https")), "{error:?}");
        }
        assert_eq!(proxy.connections(), 0);
    }
}

#[test]
fn other_hosts_are_reached_without() {
    let server = Server::answering(OK);
    let proxy = ProxyServer::start(ProxyProtocol::Http, None, |_| None);
    let mut host = HostOptions::new("*.example".parse().unwrap());
    host.proxy = Some(proxy.url().parse().unwrap());
    let policy = SourcePolicy::builder().schemes([Scheme::Http]).allow_private_networks(true).build().unwrap();
    let transport = NetTransport::new(policy, NetOptions { hosts: vec![host], ..NetOptions::default() });
    assert_eq!(get(&transport, &server.source().to_string()).unwrap(), "hello");
    assert_eq!(proxy.connections(), 0);
}

/// Whatever a proxy does, it is told as its doing, without a secret.
fn failure(proxy: &str, login: Option<&str>) -> Error {
    let error = get(&through(proxy, login, NetOptions::default()), "http://git.example/a.git").unwrap_err();
    assert!(error.context().any(|(key, value)| key == "proxy" && value == proxy), "{error}");
    assert!(error.context().any(|(key, _)| key == "url"), "{error}");
    assert!(error.hint_text().is_some() && !format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    error
}

#[test]
fn a_proxy_that_wants_a_login_says_so() {
    for protocol in ProxyProtocol::ALL {
        let proxy = ProxyServer::start(protocol, Some("me:another"), |_| None);
        for (login, message) in [(None, "the proxy asks for a login"), (Some(LOGIN), "the proxy refused the login")] {
            let error = failure(&proxy.url(), login);
            assert_eq!((error.kind(), error.message()), (ErrorKind::SourceUnreachable, message));
            assert!(!error.is_retryable());
        }
        assert!(proxy.asked().is_empty());
    }
}

#[test]
fn a_proxy_that_does_not_connect_is_unreachable() {
    for protocol in ProxyProtocol::ALL {
        let proxy = ProxyServer::start(protocol, None, |_| None);
        let error = failure(&proxy.url(), None);
        assert_eq!(error.message(), "the proxy did not connect to the host");
        assert!(error.is_retryable());
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for scheme in ["http", "https", "socks5"] {
        let error = failure(&format!("{scheme}://{closed}"), None);
        assert_eq!((error.kind(), error.message()), (ErrorKind::SourceUnreachable, "the proxy cannot be reached"));
    }
}

#[test]
fn what_is_no_proxy_is_told() {
    let talker = |said: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // It may be gone before all is said.
                let _ = stream.unwrap().write_all(said);
            }
        });
        address
    };
    let endless = vec![b'x'; 1 << 20].leak();
    for said in [b"".as_slice(), b"SSH-2.0-OpenSSH_9.9\r\n\r\n", b"\x05", b"HTTP/1.1 abc\r\n\r\n", endless] {
        for scheme in ["http", "socks5"] {
            let error = failure(&format!("{scheme}://{}", talker(said)), None);
            assert_eq!((error.kind(), error.message()), (ErrorKind::SourceUnreachable, "the proxy cannot be reached"));
        }
    }
}

/// Puts TLS in front of a proxy, and returns how that is configured.
fn secured(proxy: &ProxyServer, identity: &Identity) -> (TlsServer, String) {
    let behind = proxy.url().strip_prefix("http://").unwrap().parse().unwrap();
    let tls = TlsServer::start(behind, identity, None);
    let url = format!("https://{}", tls.address());
    (tls, url)
}

#[test]
fn a_proxy_by_https_is_asked_for_both_kinds_of_sources() {
    let (server, authority) = (Server::answering(OK), Authority::default());
    let tls = TlsServer::start(server.address, &authority.issue("git.example"), None);
    let (clear, secure) = (server.address, tls.address());
    let ca_certificates = CaCertificates::from_pem_files([authority.file()]).unwrap();
    for login in [None, Some(LOGIN)] {
        let reach = move |asked: SocketAddr| Some(if asked.port() == 443 { secure } else { clear });
        let proxy = ProxyServer::start(ProxyProtocol::Http, login, reach);
        let (_tls, url) = secured(&proxy, &authority.issue("127.0.0.1"));
        let options = NetOptions { ca_certificates: ca_certificates.clone(), ..NetOptions::default() };
        let transport = through(&url, login, options);
        for _ in 0..2 {
            assert_eq!(get(&transport, "http://git.example/a.git").unwrap(), "hello");
            assert_eq!(get(&transport, "https://git.example/a.git").unwrap(), "hello");
        }
        assert_eq!(proxy.asked(), ["192.0.32.8:80", "192.0.32.8:443"], "connections are used again");
    }
}

#[test]
fn a_proxy_is_told_nothing_before_it_has_proved_who_it_is() {
    let (authority, stranger) = (Authority::default(), Authority::default());
    let ca_certificates = CaCertificates::from_pem_files([authority.file()]).unwrap();
    for (identity, reason) in [
        (authority.issue("proxy.example"), "the certificate of the server is for another name"),
        (authority.issue_expired("127.0.0.1"), "the certificate of the server has expired"),
        (stranger.issue("127.0.0.1"), "the certificate of the server is of an authority that is not trusted"),
    ] {
        let proxy = ProxyServer::start(ProxyProtocol::Http, Some(LOGIN), |_| None);
        let (tls, url) = secured(&proxy, &identity);
        let options = NetOptions { ca_certificates: ca_certificates.clone(), ..NetOptions::default() };
        let error = get(&through(&url, Some(LOGIN), options), "http://git.example/a.git").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceUnreachable);
        assert_eq!(error.message(), "no secure connection to the proxy is possible");
        let says = |fact: (&str, &str)| error.context().any(|told| told == fact);
        assert!(says(("proxy", &url)) && says(("reason", reason)), "{error:?}");
        assert!(!error.is_retryable() && error.hint_text().is_some());
        assert!(!format!("{error} {error:?}").contains("s3cret"));
        assert_eq!((tls.connections(), proxy.connections()), (1, 0), "there was one attempt, and nothing came through");
    }
}

#[test]
fn authorities_of_a_host_are_those_of_its_proxy() {
    let (server, authority) = (Server::answering(OK), Authority::default());
    let address = server.address;
    let proxy = ProxyServer::start(ProxyProtocol::Http, None, move |_| Some(address));
    let (_tls, url) = secured(&proxy, &authority.issue("127.0.0.1"));
    let host = |pattern: &str, trusts: bool| {
        let mut host = HostOptions::new(pattern.parse().unwrap());
        host.proxy = Some(url.parse().unwrap());
        if trusts {
            host.ca_certificates = CaCertificates::from_pem_files([authority.file()]).unwrap();
        }
        host
    };
    let hosts = vec![host("git.example", true), host("*.example", false)];
    let transport = NetTransport::new(public(), NetOptions { hosts, ..NetOptions::default() })
        .with_lookup(|_| Ok(vec![PUBLIC.into()]));
    assert_eq!(get(&transport, "http://git.example/a.git").unwrap(), "hello");
    let error = get(&transport, "http://other.example/a.git").unwrap_err();
    assert_eq!(error.message(), "no secure connection to the proxy is possible");
}

#[test]
fn what_speaks_no_tls_is_no_proxy_by_https() {
    let proxy = ProxyServer::start(ProxyProtocol::Http, None, |_| None);
    let error = failure(&proxy.url().replace("http://", "https://"), Some(LOGIN));
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable);
    assert!(proxy.asked().is_empty());
}

#[test]
fn a_proxy_that_stalls_ends_by_the_idle_limit() {
    let (_open, gate) = Gate::new();
    let (gate, listener) = (Mutex::new(gate), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let held: Vec<_> = listener.incoming().take(3).collect();
        gate.lock().unwrap().wait();
        drop(held);
    });
    for scheme in ["http", "https", "socks5"] {
        let options = NetOptions { idle_timeout: Duration::from_millis(300), ..NetOptions::default() };
        let transport = through(&format!("{scheme}://{address}"), None, options);
        assert_eq!(get(&transport, "http://git.example/a.git").unwrap_err().kind(), ErrorKind::Timeout);
    }
}

#[test]
fn addresses_of_proxies_are_checked_and_logins_never_shown() {
    let fine = ["http://proxy.example:3128", "http://10.0.0.1:80/", "https://proxy.example:443", "socks5://[::1]:1080"];
    for text in fine {
        let proxy: Proxy = text.parse().unwrap();
        assert_eq!(proxy.to_string(), text.trim_end_matches('/'));
        let proxy = proxy.with_login("me", "s3cret".into()).unwrap();
        assert!(!format!("{proxy} {proxy:?}").contains("s3cret"));
    }
    for text in [
        "",
        "proxy.example:3128",
        "http://proxy.example",
        "https://proxy.example",
        "socks4://proxy.example:1080",
        "http://me:s3cret@proxy.example:3128",
        "http://proxy.example:0",
        "http://proxy.example:65536",
        "http://proxy.example:80/path",
        "http://:80",
        "socks5://[::1]",
        "http://proxy\r\n:80",
    ] {
        let error = text.parse::<Proxy>().expect_err(text);
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
        assert!(error.hint_text().is_some() && !format!("{error:?}").contains("s3cret"));
    }
    let long = "x".repeat(256);
    for (user, password) in [("", "s3cret"), ("a:b", "s3cret"), (long.as_str(), "s3cret"), ("me", long.as_str())] {
        let proxy: Proxy = "http://proxy.example:3128".parse().unwrap();
        let error = proxy.with_login(user, password.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}
