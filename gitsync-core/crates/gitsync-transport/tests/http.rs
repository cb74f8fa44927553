//! HTTP sources, against servers that behave and servers that do not.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gitsync_core::source::{CredentialProvider, Credentials, Host, Scheme, SourcePolicy, SourceUrl};
use gitsync_core::transport::{CallLimits, HttpRequest, HttpResponse, Transport};
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_transport::{NetOptions, NetTransport};
use support::{Gate, Server, limits};

const INFO_REFS: &str = "/info/refs?service=git-upload-pack";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/x-git\r\nContent-Length: 5\r\n\r\nhello";

fn open_policy() -> SourcePolicy {
    SourcePolicy::builder().schemes([Scheme::Http, Scheme::Https]).allow_private_networks(true).build().unwrap()
}

fn transport() -> NetTransport {
    NetTransport::new(open_policy(), NetOptions::default())
}

fn get(transport: &NetTransport, source: &SourceUrl, limits: &CallLimits) -> Result<HttpResponse> {
    transport
        .http(HttpRequest { source, suffix: INFO_REFS, headers: &[("Git-Protocol", "version=1")], body: None }, limits)
}

fn kind(result: Result<HttpResponse>) -> ErrorKind {
    result.map(|_| ()).expect_err("an error").kind()
}

/// Reads a body to its end; a failure is an error of ours.
fn read(response: HttpResponse) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut body = response.body;
    match body.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => {
            Err(error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).expect("a typed error").clone())
        }
    }
}

#[test]
fn a_host_that_may_only_be_read_hears_of_no_push() {
    let server = Server::answering(OK);
    let push = |policy: SourcePolicy| -> Result<()> {
        let transport = NetTransport::new(policy, NetOptions::default());
        for suffix in ["/info/refs?service=git-receive-pack", "/git-receive-pack"] {
            transport.http(HttpRequest { source: &server.source(), suffix, headers: &[], body: None }, &limits())?;
        }
        Ok(())
    };
    let refused = push(open_policy()).unwrap_err();
    assert_eq!((refused.kind(), server.connections()), (ErrorKind::SourceRefused, 0));
    let builder = SourcePolicy::builder().schemes([Scheme::Http]).allow_private_networks(true);
    push(builder.push_host("127.0.0.0/8").unwrap().build().unwrap()).unwrap();
}

#[test]
fn an_exchange_carries_suffix_headers_and_body_both_ways() {
    let server = Server::answering(OK);
    let transport = transport();
    let response = get(&transport, &server.source(), &limits()).unwrap();
    assert_eq!(response.content_type, "application/x-git");
    assert_eq!(read(response).unwrap(), b"hello");
    let mut body = &b"want"[..];
    let request = HttpRequest {
        source: &server.source(),
        suffix: "/git-upload-pack",
        headers: &[("Content-Type", "application/x-git-upload-pack-request")],
        body: Some(&mut body),
    };
    transport.http(request, &limits()).unwrap();
    server.seen(0, |seen| {
        assert_eq!(seen.line, "GET /team/app.git/info/refs?service=git-upload-pack HTTP/1.1");
        assert_eq!(seen.header("git-protocol"), Some("version=1"));
        assert!(seen.header("user-agent").unwrap().starts_with("git/"));
        assert_eq!(seen.header("authorization"), None);
    });
    server.seen(1, |seen| {
        assert_eq!(seen.line, "POST /team/app.git/git-upload-pack HTTP/1.1");
        assert_eq!(seen.header("content-length"), Some("4"));
        assert_eq!(seen.body, b"want");
    });
}

#[test]
fn large_bodies_are_sent_in_chunks() {
    let server = Server::answering(OK);
    let large = vec![b'x'; 3 << 20];
    let mut body = &large[..];
    let request =
        HttpRequest { source: &server.source(), suffix: "/git-upload-pack", headers: &[], body: Some(&mut body) };
    read(transport().http(request, &limits()).unwrap()).unwrap();
    server.seen(0, |seen| {
        assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
        assert_eq!(seen.body.len(), large.len());
    });
}

#[test]
fn connections_are_used_again() {
    let server = Server::start(|seen, stream| {
        let answer = if seen.line.contains("git-upload-pack HTTP") {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        } else {
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"
        };
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let transport = transport();
    for _ in 0..3 {
        // As a git client does it: nobody reads on after the last packet.
        let mut response = get(&transport, &server.source(), &limits()).unwrap();
        response.body.read_exact(&mut [0; 5]).unwrap();
        drop(response);
        let missing = HttpRequest { source: &server.source(), suffix: "/HEAD", headers: &[], body: None };
        assert_eq!(kind(transport.clone().http(missing, &limits())), ErrorKind::SourceNotFound);
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn answers_have_kinds() {
    for (answer, expected) in [
        (
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
            ErrorKind::Unauthenticated,
        ),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", ErrorKind::PermissionDenied),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ErrorKind::SourceNotFound),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", ErrorKind::SourceUnreachable),
        ("SSH-2.0-OpenSSH_9.9\r\n", ErrorKind::SourceUnreachable),
    ] {
        let server = Server::answering(answer);
        // Server and client wait for each other where the answer is no answer: the idle limit decides.
        let transport = NetTransport::new(
            open_policy(),
            NetOptions { idle_timeout: Duration::from_millis(500), ..NetOptions::default() },
        );
        let error = get(&transport, &server.source(), &limits()).expect_err(answer);
        assert_eq!(error.kind(), expected, "{error}");
        assert!(error.context().any(|(key, value)| key == "url" && value == server.source().to_string()), "{error}");
    }
}

#[test]
fn a_rate_limit_says_for_how_long() {
    let server = Server::answering("HTTP/1.1 429 Slow down\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n");
    let error = get(&transport(), &server.source(), &limits()).unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(120))));
}

#[test]
fn redirects_come_back_and_are_judged_again() {
    let target = Server::answering(OK);
    let location = format!("http://{}/moved/app.git{INFO_REFS}", target.address);
    let server = Server::start(move |_, stream| {
        write!(stream, "HTTP/1.1 301 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let error = get(&transport(), &server.source(), &limits()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceRedirected);
    assert_eq!(error.redirect_target(), Some(format!("http://{}/moved/app.git", target.address).as_str()));
    assert!(error.has_moved_for_good());
    assert_eq!(target.connections(), 0);

    // A server that is allowed cannot lead to one that is not.
    let policy = SourcePolicy::builder().schemes([Scheme::Http]).allowed_hosts(["127.0.0.1"]).unwrap().build().unwrap();
    let transport = NetTransport::new(policy, NetOptions::default());
    let server = Server::answering(
        "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/app.git/info/refs\r\nContent-Length: 0\r\n\r\n",
    );
    let error = get(&transport, &server.source(), &limits()).unwrap_err();
    assert!(!error.has_moved_for_good());
    let next: SourceUrl = error.redirect_target().unwrap().parse().unwrap();
    assert_eq!(kind(get(&transport, &next, &limits())), ErrorKind::SourceRefused);
}

#[test]
fn what_the_policy_refuses_is_never_connected_to() {
    let server = Server::answering(OK);
    let port = server.address.port();
    let strict = SourcePolicy::builder().schemes([Scheme::Http, Scheme::Https]).build().unwrap();
    let lookup = |host: &str| {
        let addresses: &[&str] = match host {
            "inside.example" => &["127.0.0.1"],
            "mixed.example" => &["1.1.1.1", "127.0.0.1"],
            "mapped.example" => &["::ffff:127.0.0.1"],
            _ => &[],
        };
        Ok(addresses.iter().map(|address| address.parse().unwrap()).collect())
    };
    let guarded = NetTransport::new(strict.clone(), NetOptions::default()).with_lookup(lookup);
    let system = NetTransport::new(strict, NetOptions::default());
    for host in
        ["inside.example", "mixed.example", "mapped.example", "127.0.0.1", "127.1", "[::ffff:7f00:1]", "localhost"]
    {
        let source: SourceUrl = format!("http://{host}:{port}/app.git").parse().unwrap();
        assert_eq!(kind(get(&guarded, &source, &limits())), ErrorKind::SourceRefused, "{host}");
    }
    let source: SourceUrl = format!("http://localhost:{port}/app.git").parse().unwrap();
    assert_eq!(kind(get(&system, &source, &limits())), ErrorKind::SourceRefused);
    let source: SourceUrl = format!("http://nowhere.example:{port}/app.git").parse().unwrap();
    assert_eq!(kind(get(&guarded, &source, &limits())), ErrorKind::SourceUnreachable);
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_name_that_changes_its_mind_is_judged_by_the_answer_that_is_used() {
    let server = Server::answering(OK);
    let policy = SourcePolicy::builder().schemes([Scheme::Http]).allowed_hosts(["127.0.0.1"]).unwrap().build().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let transport = NetTransport::new(policy, NetOptions::default()).with_lookup({
        let asked = asked.clone();
        move |_| {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            Ok(vec![if first { [127, 0, 0, 1] } else { [10, 0, 0, 1] }.into()])
        }
    });
    let source: SourceUrl = format!("http://rebind.example:{}/app.git", server.address.port()).parse().unwrap();
    read(get(&transport, &source, &limits()).unwrap()).unwrap();
    assert_eq!((asked.load(Ordering::SeqCst), server.connections()), (1, 1));
}

#[test]
fn the_system_resolver_is_asked_and_its_answer_is_used() {
    let server = Server::answering(OK);
    let source: SourceUrl = format!("http://localhost:{}/app.git", server.address.port()).parse().unwrap();
    assert_eq!(read(get(&transport(), &source, &limits()).unwrap()).unwrap(), b"hello");
    server.seen(0, |seen| assert!(seen.header("host").unwrap().starts_with("localhost:")));
}

#[test]
fn a_closed_port_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let source: SourceUrl = format!("http://{}/app.git", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let error = get(&transport(), &source, &limits()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable);
    assert!(error.is_retryable() && error.hint_text().is_some());
}

#[test]
fn a_server_without_tls_is_unreachable_by_https() {
    let server = Server::answering("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let source: SourceUrl = format!("https://{}/app.git", server.address).parse().unwrap();
    let options = NetOptions { idle_timeout: Duration::from_millis(500), ..NetOptions::default() };
    let error = get(&NetTransport::new(open_policy(), options), &source, &limits()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable, "{error}");
}

/// Where a server can stop: before it answers, in its headers, in its body.
const STALLS: [&str; 3] =
    ["", "HTTP/1.1 200 OK\r\nContent-Type: application/x", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel"];

fn stalled(beginning: &'static str) -> (std::sync::mpsc::Sender<()>, Server) {
    let (open, gate) = Gate::new();
    let server = Server::start(move |_, stream| {
        stream.write_all(beginning.as_bytes()).unwrap();
        gate.wait();
    });
    (open, server)
}

#[test]
fn a_stalled_server_ends_by_the_idle_limit() {
    for beginning in STALLS {
        let (_open, server) = stalled(beginning);
        let options = NetOptions { idle_timeout: Duration::from_millis(300), ..NetOptions::default() };
        let transport = NetTransport::new(open_policy(), options);
        let error = get(&transport, &server.source(), &limits()).and_then(read).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{beginning}");
        assert!(error.context().any(|(key, _)| key == "idle_seconds"));
    }
}

#[test]
fn a_stalled_server_ends_by_the_deadline() {
    for beginning in STALLS {
        let (_open, server) = stalled(beginning);
        let limits = CallLimits { deadline: Instant::now() + Duration::from_millis(300), ..limits() };
        let error = get(&transport(), &server.source(), &limits).and_then(read).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{beginning}");
    }
}

#[test]
fn a_stalled_call_can_be_cancelled() {
    for beginning in STALLS {
        let (_open, server) = stalled(beginning);
        let limits = limits();
        let cancellation = limits.cancellation.clone();
        let source = server.source();
        thread::scope(|scope| {
            let call = scope.spawn(|| get(&transport(), &source, &limits).and_then(read).unwrap_err());
            while server.connections() == 0 {
                thread::yield_now();
            }
            cancellation.cancel();
            assert_eq!(call.join().unwrap().kind(), ErrorKind::Cancelled, "{beginning}");
        });
    }
}

#[test]
fn a_call_can_be_cancelled_while_a_name_is_looked_up() {
    let (_open, gate) = Gate::new();
    let limits = limits();
    let cancellation = limits.cancellation.clone();
    let transport = NetTransport::new(open_policy(), NetOptions::default()).with_lookup(move |_| {
        cancellation.cancel();
        gate.wait();
        Ok(Vec::new())
    });
    let source: SourceUrl = "http://slow.example/app.git".parse().unwrap();
    assert_eq!(kind(get(&transport, &source, &limits)), ErrorKind::Cancelled);
}

#[test]
fn a_trickling_server_ends_by_the_deadline() {
    let server = Server::start(|_, stream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").unwrap();
        while stream.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let limits = CallLimits { deadline: Instant::now() + Duration::from_millis(500), ..limits() };
    let error = get(&transport(), &server.source(), &limits).and_then(read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn an_upload_nobody_takes_ends_by_the_idle_limit() {
    // Nobody ever accepts; the kernel takes what fits its buffers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let source: SourceUrl = format!("http://{}/app.git", listener.local_addr().unwrap()).parse().unwrap();
    let options = NetOptions { idle_timeout: Duration::from_millis(300), ..NetOptions::default() };
    let mut endless = std::io::repeat(b'x');
    let request = HttpRequest { source: &source, suffix: "/git-upload-pack", headers: &[], body: Some(&mut endless) };
    assert_eq!(kind(NetTransport::new(open_policy(), options).http(request, &limits())), ErrorKind::Timeout);
}

#[test]
fn responses_are_bounded() {
    // With a declared length nothing is read, without one the reader stops; what just fits, fits.
    let declared = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\nhello");
    assert_eq!(kind(get(&transport(), &declared.source(), &limits())), ErrorKind::LimitExceeded);
    let endless = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(b"5\r\nhello\r\n").is_ok() {}
    });
    let error = get(&transport(), &endless.source(), &limits()).and_then(read).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let exact = Server::answering(OK);
    for (max_response_bytes, fits) in [(5, true), (4, false)] {
        let limits = CallLimits { max_response_bytes, ..limits() };
        assert_eq!(get(&transport(), &exact.source(), &limits).and_then(read).is_ok(), fits);
    }
    let headers = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-More: ");
        while stream.write_all(b"and more").is_ok() {}
    });
    let error = get(&transport(), &headers.source(), &limits()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
}

#[test]
fn a_truncated_body_is_an_error() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let server = Server::start(move |_, stream| {
            stream.write_all(answer.as_bytes()).unwrap();
            stream.shutdown(std::net::Shutdown::Both).unwrap();
        });
        let error = get(&transport(), &server.source(), &limits()).and_then(read).expect_err(answer);
        assert_eq!(error.kind(), ErrorKind::SourceUnreachable, "{error}");
    }
}

/// Knows a secret for one host.
#[derive(Debug)]
struct Secret(IpAddr, Credentials);

impl CredentialProvider for Secret {
    fn credentials(&self, source: &SourceUrl) -> Result<Option<Credentials>> {
        let known = source.host().and_then(Host::address) == Some(self.0);
        Ok(known.then(|| self.1.clone()))
    }
}

#[test]
fn credentials_go_to_their_host_and_only_where_nobody_listens() {
    let server = Server::answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let password = Credentials::UserPassword { user: "me".to_owned(), password: "s3cret".into() };
    let ask = |credentials: Credentials, source: &SourceUrl, in_clear: bool| {
        let options = NetOptions { credentials_in_clear: in_clear, ..NetOptions::default() };
        let provider = Secret([127, 0, 0, 1].into(), credentials);
        let transport = NetTransport::new(open_policy(), options).with_credentials(Arc::new(provider));
        get(&transport, source, &limits()).unwrap_err()
    };
    let error = ask(password.clone(), &server.source(), true);
    server.seen(0, |seen| assert_eq!(seen.header("authorization"), Some("Basic bWU6czNjcmV0")));
    assert!(!format!("{error} {error:?}").contains("s3cret"));
    ask(Credentials::Bearer("t0ken".into()), &server.source(), true);
    server.seen(1, |seen| assert_eq!(seen.header("authorization"), Some("Bearer t0ken")));
    ask(password.clone(), &server.source(), false);
    server.seen(2, |seen| assert_eq!(seen.header("authorization"), None));
    let other: SourceUrl = format!("http://localhost:{}/app.git", server.address.port()).parse().unwrap();
    ask(password, &other, true);
    server.seen(3, |seen| assert_eq!(seen.header("authorization"), None));

    let connections = server.connections();
    let error = ask(Credentials::Bearer("t0ken\r\nX-Evil: 1".into()), &server.source(), true);
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(!format!("{error} {error:?}").contains("t0ken"));
    assert_eq!(server.connections(), connections);
}
