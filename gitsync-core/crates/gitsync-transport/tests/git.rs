//! Sources by `git://`, served by the real `git daemon` and by servers that misbehave.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gitsync_core::ErrorKind;
use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::testing::{GitDaemon, Upstream};
use gitsync_core::transport::{CallLimits, Service, Transport};
use gitsync_transport::{NetOptions, NetTransport};
use support::{Gate, connection, limits, listing, typed};

fn transport(options: NetOptions) -> NetTransport {
    let policy = SourcePolicy::builder().schemes([Scheme::Git]).allow_private_networks(true);
    NetTransport::new(policy.push_host("127.0.0.1").unwrap().build().unwrap(), options)
}

/// Starts a server that answers in its own way, and returns a source on it.
fn server(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> SourceUrl {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer(&mut stream));
        }
    });
    source(address)
}

fn source(address: SocketAddr) -> SourceUrl {
    format!("git://{address}/a.git").parse().unwrap()
}

#[test]
fn repositories_are_read_in_both_versions() {
    let upstream = Upstream::new();
    upstream.commit("main");
    let daemon = GitDaemon::start(upstream.root());
    let transport = transport(NetOptions::default());
    let ask = |version| {
        let url = daemon.source("upstream.git");
        listing(transport.connect(&url, Service::UploadPack, version, &limits()).unwrap()).unwrap()
    };
    assert!(ask(1).contains("refs/heads/main"));
    assert!(ask(2).starts_with("000eversion 2\n"));
    let push = transport.connect(&daemon.source("upstream.git"), Service::ReceivePack, 1, &limits());
    assert!(listing(push.unwrap()).unwrap().contains("report-status"));
    // Why is the server's to say, and the engines' to understand.
    let missing = transport.connect(&daemon.source("missing.git"), Service::UploadPack, 1, &limits());
    let mut said = String::new();
    missing.unwrap().reader.read_to_string(&mut said).unwrap();
    assert!(said.contains("ERR "), "{said}");
}

#[test]
fn the_checked_address_is_the_one_connected_to() {
    let upstream = Upstream::new();
    upstream.commit("main");
    let daemon = GitDaemon::start(upstream.root());
    let address = daemon.source("upstream.git");
    let port = address.port().unwrap();
    let named: SourceUrl = format!("git://git.example:{port}/upstream.git").parse().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let lookup = {
        let asked = Arc::clone(&asked);
        move |_: &str| {
            asked.fetch_add(1, Ordering::SeqCst);
            // Nobody is at the first.
            Ok(vec![IpAddr::from([127, 0, 0, 2]), IpAddr::from([127, 0, 0, 1])])
        }
    };
    let transport = transport(NetOptions::default()).with_lookup(lookup);
    let text = listing(transport.connect(&named, Service::UploadPack, 1, &limits()).unwrap()).unwrap();
    assert!(text.contains("refs/heads/main"), "{text}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn nobody_is_connected_to_whom_the_policy_refuses() {
    let upstream = Upstream::new();
    let daemon = GitDaemon::start(upstream.root());
    let refused = |policy: SourcePolicy, url: &SourceUrl, addresses: Vec<IpAddr>| {
        let transport = NetTransport::new(policy, NetOptions::default()).with_lookup(move |_| Ok(addresses.clone()));
        connection(transport.connect(url, Service::UploadPack, 1, &limits())).unwrap_err().kind()
    };
    let public = || SourcePolicy::builder().schemes([Scheme::Git]);
    let url = daemon.source("upstream.git");
    assert_eq!(refused(public().build().unwrap(), &url, Vec::new()), ErrorKind::SourceRefused);
    let named: SourceUrl = format!("git://git.example:{}/upstream.git", url.port().unwrap()).parse().unwrap();
    // One bad address is enough.
    let addresses = vec![IpAddr::from([192, 0, 32, 8]), IpAddr::from([127, 0, 0, 1])];
    assert_eq!(refused(public().build().unwrap(), &named, addresses), ErrorKind::SourceRefused);
    let port = public().allow_private_networks(true).allowed_ports([9418]).build().unwrap();
    assert_eq!(refused(port, &url, Vec::new()), ErrorKind::SourceRefused);
    assert_eq!(refused(SourcePolicy::default(), &url, Vec::new()), ErrorKind::SourceRefused);
    assert_eq!(daemon.connections(), 0);
}

#[test]
fn a_closed_port_is_told() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = transport(NetOptions::default()).connect(&source(address), Service::UploadPack, 1, &limits());
    let error = connection(closed).unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::SourceUnreachable, "the server refuses connections"));
    assert!(error.hint_text().is_some());
}

#[test]
fn a_server_that_stalls_ends_by_the_idle_limit_and_by_cancellation() {
    let (_open, gate) = Gate::new();
    let url = server(move |_| gate.wait());
    let impatient = NetOptions { idle_timeout: Duration::from_millis(300), ..NetOptions::default() };
    let stalled = transport(impatient).connect(&url, Service::UploadPack, 1, &limits()).unwrap();
    let error = typed(&listing(stalled).unwrap_err());
    assert_eq!((error.kind(), error.message()), (ErrorKind::Timeout, "the upstream stopped answering"));

    let limits = limits();
    let mut stalled = transport(NetOptions::default()).connect(&url, Service::UploadPack, 1, &limits).unwrap();
    thread::scope(|scope| {
        let reader = scope.spawn(|| stalled.reader.read(&mut [0]).unwrap_err());
        limits.cancellation.cancel();
        assert_eq!(typed(&reader.join().unwrap()).kind(), ErrorKind::Cancelled);
    });
}

#[test]
fn a_server_that_takes_nothing_ends_by_the_idle_limit() {
    let (_open, gate) = Gate::new();
    let url = server(move |_| gate.wait());
    let impatient = NetOptions { idle_timeout: Duration::from_millis(300), ..NetOptions::default() };
    let mut stalled = transport(impatient).connect(&url, Service::ReceivePack, 1, &limits()).unwrap();
    let chunk = vec![0; 1 << 20];
    let error = std::iter::repeat_with(|| stalled.writer.write_all(&chunk)).find_map(std::io::Result::err).unwrap();
    assert_eq!(typed(&error).kind(), ErrorKind::Timeout);
}

/// It is never silent for long.
#[test]
fn a_server_that_trickles_ends_by_the_deadline() {
    let url = server(|stream| {
        while stream.write_all(b"0").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let limits = CallLimits { deadline: Instant::now() + Duration::from_millis(500), ..limits() };
    let connection = transport(NetOptions::default()).connect(&url, Service::UploadPack, 1, &limits).unwrap();
    assert_eq!(typed(&listing(connection).unwrap_err()).kind(), ErrorKind::Timeout);
}

#[test]
fn answers_are_bounded() {
    let url = server(|stream| while stream.write_all(&[b'0'; 4096]).is_ok() {});
    let connection = transport(NetOptions::default()).connect(&url, Service::UploadPack, 1, &limits()).unwrap();
    assert_eq!(typed(&listing(connection).unwrap_err()).kind(), ErrorKind::LimitExceeded);
}

#[test]
fn dropping_the_guard_ends_the_connection() {
    let (sender, ended) = std::sync::mpsc::channel();
    let url = server(move |stream| {
        stream.read_to_end(&mut Vec::new()).unwrap();
        sender.send(()).unwrap();
    });
    let connection = transport(NetOptions::default()).connect(&url, Service::UploadPack, 1, &limits()).unwrap();
    // The streams may live longer.
    let _streams = (connection.reader, connection.writer);
    drop(connection.guard);
    ended.recv().unwrap();
}
