//! The examples `server` and `client`: processes that are killed, told to end, cancelled and lied to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod killed;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::fs;

use gitsync_core::testing::{SmartHttpServer, Upstream};
use serde_json::Value;

use crate::support::{example, printed};
use crate::world::{Server, check};

#[test]
fn a_new_user_mirrors_through_the_service() {
    let upstream = Upstream::new();
    upstream.history("main", 30);
    let source = SmartHttpServer::start(upstream.root());
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::start(data.path(), &[]);
    let text = printed(&server.run(&["create", "acme/mirror", &source.source("upstream.git").to_string()]));
    assert!(text.contains("migrate completed, 30 new commits"), "{text}");
    check(&server, data.path(), &upstream);

    upstream.commit("main");
    let text = printed(&server.run(&["sync", "acme/mirror"]));
    assert!(text.contains("sync completed, 1 new commits"), "{text}");
    check(&server, data.path(), &upstream);
    assert_eq!(server.json(&["commits", "acme/mirror", "--branch", "main", "--limit", "7"]).len(), 7);
    assert_eq!(server.json(&["branches", "acme/mirror"])[0]["is_default"], true);
    assert_eq!(server.json(&["updates", "acme/mirror"])[0]["kind"], "fast_forward");
    assert_eq!(server.json(&["tasks", "acme/mirror"]).len(), 2);

    let output = server.run(&["create", "acme/mirror"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("kind: already_exists"), "{output:?}");
    assert_eq!(printed(&server.run(&["health"])), "it serves\n");
    assert!(server.terminate(), "it ends well when it is told to end");
    assert!(!server.run(&["health"]).status.success());
}

#[test]
fn a_process_without_a_disk_places_repositories_where_a_worker_has_one() {
    let data = tempfile::tempdir().unwrap();
    let api = Server::start(data.path(), &["--roles", "api"]);
    let early = api.run(&["create", "acme/early", "--no-wait"]);
    assert!(!early.status.success());
    assert!(String::from_utf8_lossy(&early.stderr).contains("kind: unavailable"), "{early:?}");

    let _worker = Server::start_without_api(data.path(), &["--roles", "worker", "--storages", "big=disk"]);
    while !api.run(&["create", "acme/first"]).status.success() {
        std::thread::yield_now();
    }
    printed(&api.run(&["create", "acme/second", "--storage", "big"]));
    for name in ["first", "second"] {
        assert_eq!(api.json(&["show", &format!("acme/{name}")])[0]["storage"], "big");
        assert!(data.path().join("disk/acme").join(name).join("HEAD").exists());
    }
    assert!(!data.path().join("gitsync-data/repos").exists());
    let unknown = api.run(&["create", "acme/third", "--storage", "other"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("choose one of big"), "{unknown:?}");
}

#[test]
fn without_tokens_only_the_loopback_is_served_and_with_them_only_who_has_one() {
    let data = tempfile::tempdir().unwrap();
    let output = example("server", data.path()).args(["--listen-addr", "0.0.0.0:0"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("loopback"), "{output:?}");

    let output = printed(&example("client", data.path()).args(["token", "me", "--role", "*=admin"]).output().unwrap());
    let (token, entry) = output.split_once('\n').unwrap();
    fs::write(data.path().join("tokens.toml"), entry).unwrap();
    let server = Server::start(data.path(), &["--tokens-file", "tokens.toml"]);
    let refused = server.run(&["list"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("kind: unauthenticated"), "{refused:?}");
    printed(&server.client(&["create", "acme/empty"]).env("GITSYNC_TOKEN", token).output().unwrap());
    let shown = server.client(&["show", "acme/empty", "--json"]).env("GITSYNC_TOKEN", token).output().unwrap();
    let shown: Value = serde_json::from_str(&printed(&shown)).unwrap();
    assert_eq!((&shown["owner"], &shown["status"]), (&Value::from("me"), &Value::from("active")));
}
