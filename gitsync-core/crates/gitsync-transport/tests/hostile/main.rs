//! Sources that are written to get where nobody should: what the policy says of each, and what is seen on the wire.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;
mod table;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gitsync_core::source::{Host, SourceUrl};
use gitsync_core::transport::{HttpRequest, Service, Transport};
use gitsync_core::{ErrorKind, Result};
use gitsync_transport::{NetOptions, NetTransport};
use support::limits;
use table::{TABLE, Verdict, lookup, policy};

/// Listens on all addresses of this machine.
fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("[::]:0").or_else(|_| TcpListener::bind("0.0.0.0:0")).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Returns how many connections were made since this was asked last.
fn connections(listener: &TcpListener) -> usize {
    std::iter::from_fn(|| match listener.accept() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        accepted => Some(accepted.unwrap()),
    })
    .count()
}

fn transport(port: u16, lookup: impl Fn(&str) -> Vec<IpAddr> + Send + Sync + 'static) -> NetTransport {
    // Whoever listens says nothing, and every host is known, so that ssh would connect.
    let key = "* ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAPhIgzDT0bJmYFPiCTTNPnNZPzqbcXuApYX7nJL8/1C";
    let options = NetOptions {
        idle_timeout: Duration::from_millis(500),
        host_keys: vec![key.to_owned()],
        ..NetOptions::default()
    };
    NetTransport::new(policy(port), options).with_lookup(move |host| Ok(lookup(host)))
}

/// Asks a source in the way of its scheme.
fn ask(transport: &NetTransport, source: &SourceUrl) -> Result<()> {
    if source.scheme().is_http() {
        let suffix = "/info/refs?service=git-upload-pack";
        return transport.http(HttpRequest { source, suffix, headers: &[], body: None }, &limits()).map(drop);
    }
    let mut connection = transport.connect(source, Service::UploadPack, 2, &limits())?;
    connection.reader.read_exact(&mut [0]).map_err(|error| support::typed(&error))
}

fn rows(port: u16) -> impl Iterator<Item = (Verdict, String)> {
    TABLE.iter().map(move |(verdict, text)| (*verdict, text.replace("{port}", &port.to_string())))
}

#[test]
fn the_table_is_large_and_has_no_row_twice() {
    assert!(TABLE.iter().filter(|(verdict, _)| *verdict != Verdict::Connected).count() > 200);
    assert_eq!(TABLE.iter().map(|(_, text)| text).collect::<HashSet<_>>().len(), TABLE.len());
}

#[test]
fn the_policy_says_what_the_table_says() {
    let policy = policy(9999);
    let judge = |text: &str| -> (Verdict, Option<ErrorKind>) {
        let Ok(parsed) = SourceUrl::parse(text).map_err(|error| assert_eq!(error.kind(), ErrorKind::InvalidInput))
        else {
            return (Verdict::Malformed, Some(ErrorKind::InvalidInput));
        };
        if let Err(error) = policy.check_url(&parsed.url) {
            return (Verdict::Refused, Some(error.kind()));
        }
        let host = parsed.url.host().unwrap();
        let addresses = host.address().map_or_else(|| lookup(&host.to_string()), |address| vec![address]);
        match policy.check_addresses(host, &addresses) {
            Err(error) => (Verdict::Astray, Some(error.kind())),
            Ok(()) => (Verdict::Connected, None),
        }
    };
    let expected = |verdict| match verdict {
        Verdict::Malformed => (verdict, Some(ErrorKind::InvalidInput)),
        Verdict::Refused | Verdict::Astray => (verdict, Some(ErrorKind::SourceRefused)),
        Verdict::Connected => (verdict, None),
    };
    let judged = rows(9999).map(|(verdict, text)| (expected(verdict), judge(&text), text));
    let wrong: Vec<_> = judged.filter(|(expected, judged, _)| expected != judged).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let long = format!("http://git.example:9999/{}", "a".repeat(2048));
    assert_eq!(judge(&long).0, Verdict::Malformed);
}

#[test]
fn nothing_is_connected_to_that_is_refused() {
    let (listener, port) = listen();
    let transport = transport(port, lookup);
    for (verdict, text) in rows(port) {
        // What is no source cannot even be asked.
        let Ok(parsed) = SourceUrl::parse(&text) else { continue };
        let asked = ask(&transport, &parsed.url).map_err(|error| error.kind());
        if verdict == Verdict::Connected {
            assert_ne!(asked, Err(ErrorKind::SourceRefused), "{text:?}");
            assert_eq!(connections(&listener), 1, "{text:?}");
        } else {
            assert_eq!(asked, Err(ErrorKind::SourceRefused), "{text:?}");
            assert_eq!(connections(&listener), 0, "{text:?}");
        }
    }
}

/// A name server of somebody who wants in: it gives a good address while it is asked by us, and another one afterwards.
#[test]
fn a_name_is_asked_once_and_what_was_judged_is_connected_to() {
    for scheme in ["http", "https", "ssh", "git"] {
        let (listener, port) = listen();
        let asked = Arc::new(AtomicUsize::new(0));
        let changing = transport(port, {
            let asked = Arc::clone(&asked);
            move |_| {
                vec![if asked.fetch_add(1, Ordering::SeqCst) == 0 { [127, 0, 0, 2] } else { [127, 0, 0, 1] }.into()]
            }
        });
        let source: SourceUrl = format!("{scheme}://changing.open.example:{port}/a.git").parse().unwrap();
        assert!(source.host().is_some_and(|host| matches!(host, Host::Domain(_))));
        assert_ne!(ask(&changing, &source).unwrap_err().kind(), ErrorKind::SourceRefused, "{scheme}");
        let (connection, _) = listener.accept().unwrap();
        let connected_to = connection.local_addr().unwrap().ip().to_canonical();
        assert_eq!(connected_to, IpAddr::from([127, 0, 0, 2]), "{scheme}");
        assert_eq!((asked.load(Ordering::SeqCst), connections(&listener)), (1, 0), "{scheme}");
        // The other way round, nobody is connected to.
        let late = transport(port, {
            let asked = AtomicUsize::new(0);
            move |_| {
                vec![if asked.fetch_add(1, Ordering::SeqCst) == 0 { [127, 0, 0, 1] } else { [127, 0, 0, 2] }.into()]
            }
        });
        assert_eq!(ask(&late, &source).unwrap_err().kind(), ErrorKind::SourceRefused, "{scheme}");
        assert_eq!(connections(&listener), 0, "{scheme}");
    }
}
