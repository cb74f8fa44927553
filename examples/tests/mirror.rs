//! The example `mirror`: what it says, what it leaves, and what happens when it is killed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{Git, SmartHttpServer, Upstream};

use crate::support::{example, printed};

fn mirror(data: &Path, server: &SmartHttpServer) -> std::process::Command {
    let mut command = example("mirror", data);
    let source = server.source("upstream.git").to_string();
    command.args(["--allow-http", "--allow-private-networks", "--takeover-after", "1", &source]);
    command
}

fn value<'a>(text: &'a str, label: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("{label} is missing in\n{text}")).trim()
}

/// Compares a mirror and what the program said about it with what git says of the upstream.
fn check(text: &str, data: &Path, upstream: &Upstream) {
    let git = Git::at(data.join("data/repos/mirrors/upstream"));
    let mirrored: Vec<_> = git.refs().into_iter().filter(|(name, _)| !name.starts_with(b"refs/gitsync/")).collect();
    assert_eq!(mirrored, upstream.git().refs());
    assert_eq!(git.head(), upstream.git().head());
    git.assert_sound();
    assert_eq!(value(text, "status"), "active");
    assert_eq!(value(text, "commits"), upstream.git().run(&["rev-list", "--count", "--branches", "--tags"]));
    assert_eq!(value(text, "last commit"), upstream.git().run(&["rev-parse", "HEAD"]));
    let heads = upstream.git().run(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert_eq!(value(text, "branches"), heads.lines().count().to_string());
    for directory in ["tmp", "trash", "journal"] {
        let path = data.join("data/repos/.gitsync").join(directory);
        assert_eq!(fs::read_dir(path).unwrap().count(), 0, "{directory}");
    }
}

#[test]
fn the_first_run_clones_and_the_next_say_what_moved() {
    let upstream = Upstream::new();
    let first = upstream.history("main", 30);
    upstream.commit("gone");
    upstream.annotated_tag("v1", first);
    let server = SmartHttpServer::start(upstream.root());
    let data = tempfile::tempdir().unwrap();

    let text = printed(&mirror(data.path(), &server).output().unwrap());
    assert!(text.contains("cloned 3 branches and tags"), "{text}");
    check(&text, data.path(), &upstream);
    let text = printed(&mirror(data.path(), &server).output().unwrap());
    assert!(text.contains("nothing moved"), "{text}");

    // A force-push, a deletion, a branch in a directory's place, a moved tag, a new default branch.
    let gone = upstream.tip("gone").unwrap();
    let other = upstream.commit_on(&[upstream.git().id("main~5")]);
    upstream.branch("main", other);
    upstream.delete("refs/heads/gone");
    upstream.branch("gone/deeper", first);
    upstream.annotated_tag("v1", other);
    upstream.set_head("gone/deeper");
    let text = printed(&mirror(data.path(), &server).output().unwrap());
    for line in ["forced        refs/heads/main", "deleted       refs/heads/gone", "forced        refs/tags/v1"] {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    assert_eq!(value(&text, "default branch"), "gone/deeper");
    check(&text, data.path(), &upstream);

    // What was overwritten is still there, also after a fetch by hand.
    let git = Git::at(data.path().join("data/repos/mirrors/upstream"));
    git.run(&["fetch", "--quiet", "--prune"]);
    let named = git.run(&["for-each-ref", "--format=%(objectname)", "refs/gitsync/kept"]);
    assert!(named.contains(&gone.to_string()), "{named}");
    let seen = git.run(&["ls-remote", "."]);
    assert!(!seen.contains("refs/gitsync/"), "clients do not see what is kept: {seen}");
    // And it is a repository like any other.
    git.run(&["clone", "--quiet", ".", &data.path().join("clone").to_string_lossy()]);
}

#[test]
fn a_run_that_is_killed_is_gone_on_with_by_the_next() {
    let upstream = Upstream::new();
    upstream.history("main", 200);
    let server = SmartHttpServer::start(upstream.root());
    let data = tempfile::tempdir().unwrap();
    server.answer(Endpoint::Command, Behaviour::StallAfter(2_000));
    let mut killed = mirror(data.path(), &server).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // It has asked for the pack, of which it gets only a part.
    while !server.take_requests().iter().any(|request| request.endpoint == Endpoint::Command) {
        assert!(killed.try_wait().unwrap().is_none(), "it is still at it");
        std::thread::yield_now();
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!data.path().join("data/repos/mirrors/upstream").exists(), "a clone appears whole or not at all");

    server.answer(Endpoint::Command, Behaviour::Serve);
    let text = printed(&mirror(data.path(), &server).output().unwrap());
    check(&text, data.path(), &upstream);
}

#[test]
fn a_repository_is_mirrored_by_path() {
    let upstream = Upstream::new();
    upstream.history("main", 3);
    let data = tempfile::tempdir().unwrap();
    let mut command = example("mirror", data.path());
    command.args(["--file-root".as_ref(), upstream.root().as_os_str(), upstream.dir().as_os_str()]);
    let text = printed(&command.output().unwrap());
    check(&text, data.path(), &upstream);
}
