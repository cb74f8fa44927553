//! What the example `mirror` says when something is wrong, and that it leaves nothing behind.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::net::TcpListener;

use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{SmartHttpServer, Upstream};

use crate::support::{example, printed};

/// Runs `mirror` and checks that it fails with a kind and a hint, and that no repository appeared.
fn fails(arguments: &[&str], kind: &str) -> String {
    let data = tempfile::tempdir().unwrap();
    let output = example("mirror", data.path()).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(said.contains(&format!("kind: {kind}\n")), "{arguments:?}: {kind} is missing in\n{said}");
    let repos = data.path().join("data/repos");
    if repos.exists() {
        assert!(!repos.join("mirrors").exists(), "{arguments:?}: something was published");
        assert_eq!(fs::read_dir(repos.join(".gitsync/tmp")).unwrap().count(), 0, "{arguments:?}");
    }
    said
}

const LOCAL: [&str; 2] = ["--allow-http", "--allow-private-networks"];

#[test]
fn malformed_and_refused_sources_are_told_apart() {
    for malformed in ["ext::sh -c id", "not a url", "https://", "https://host/../x", "-x@host:a"] {
        fails(&["--", malformed], "invalid_input");
    }
    for refused in ["http://example.com/a", "https://127.0.0.1/a", "https://[::1]/a", "/etc", "file:///etc/passwd"] {
        let said = fails(&[refused], "source_refused");
        assert!(said.contains("hint: "), "{refused}: {said}");
    }
}

#[test]
fn a_path_outside_the_roots_is_refused() {
    let (inside, outside) = (Upstream::new(), Upstream::new());
    let root = inside.root().to_str().unwrap();
    fails(&["--file-root", root, outside.dir().to_str().unwrap()], "source_refused");
}

#[test]
fn names_cannot_leave_the_directory() {
    let upstream = Upstream::new();
    let root = upstream.root().to_str().unwrap();
    fails(&["--file-root", root, "--name", "../x", upstream.dir().to_str().unwrap()], "invalid_input");
}

#[test]
fn a_closed_port_and_a_missing_repository_are_told_apart() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let closed = format!("http://127.0.0.1:{port}/a.git");
    let said = fails(&[LOCAL[0], LOCAL[1], &closed], "source_unreachable");
    assert!(said.contains("try again"), "{said}");
    let upstream = Upstream::new();
    let server = SmartHttpServer::start(upstream.root());
    let missing = server.source("missing.git").to_string();
    fails(&[LOCAL[0], LOCAL[1], &missing], "source_not_found");
}

#[test]
fn a_redirect_to_a_refused_address_is_not_followed() {
    let upstream = Upstream::new();
    let server = SmartHttpServer::start(upstream.root());
    let target = "http://169.254.169.254/latest/info/refs?service=git-upload-pack";
    server.answer(Endpoint::Greeting, Behaviour::Status(302, vec![("Location", target.into())]));
    let source = server.source("upstream.git").to_string();
    fails(&[LOCAL[0], LOCAL[1], &source], "source_refused");
}

#[test]
fn a_name_is_given_to_one_source() {
    let (one, other) = (Upstream::new(), Upstream::new());
    one.commit("main");
    let data = tempfile::tempdir().unwrap();
    let run = |upstream: &Upstream| {
        let mut command = example("mirror", data.path());
        command.args(["--name", "a", "--file-root"]).arg(upstream.root()).arg(upstream.dir());
        command.output().unwrap()
    };
    printed(&run(&one));
    let output = run(&other);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--name"), "{said}");
}
