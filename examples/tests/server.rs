//! The examples `server` and `client`: processes that are killed, told to end, cancelled and lied to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{Git, SmartHttpServer, Upstream};
use serde_json::Value;

use crate::support::{example, printed};

/// A server process, killed when it is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Server {
    fn start(data: &Path, more: &[&str]) -> Self {
        Server::start_with(data, more, &[])
    }

    fn start_with(data: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = example("server", data);
        command.args(["--listen-addr", "127.0.0.1:0", "--allowed-schemes", "http", "--allow-private-networks"]);
        command
            .args(["--lease", "1", "--drain", "1"])
            .args(more)
            .env("RUST_LOG", "warn")
            .envs(environment.iter().copied());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("it says where it listens").to_owned();
        Server { process, url }
    }

    /// Starts a process that serves nobody.
    fn start_without_api(data: &Path, arguments: &[&str]) -> Self {
        let process = example("server", data).args(arguments).env("RUST_LOG", "warn").spawn().unwrap();
        Server { process, url: String::new() }
    }

    /// Tells it to end, and returns whether it ended well.
    fn terminate(&mut self) -> bool {
        let status = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.process.wait().unwrap().success()
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = example("client", &std::env::temp_dir());
        command.args(["--server", &self.url]).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.client(arguments).output().unwrap()
    }

    /// Returns what the client prints as JSON, one value in each line.
    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let text = printed(&self.client(arguments).arg("--json").output().unwrap());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for a task and returns how it ended.
    fn wait(&self, task: &str) -> Value {
        let output = self.client(&["watch", task, "--json"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().last().expect("the server says something of the task")).unwrap()
    }
}

/// Waits until a command of a transfer has come in.
fn await_transfer(upstream: &SmartHttpServer) {
    while !upstream.take_requests().iter().any(|request| request.endpoint == Endpoint::Command) {
        std::thread::yield_now();
    }
}

fn leftovers(data: &Path) -> usize {
    let storage = data.join("gitsync-data/repos/.gitsync");
    let in_directory = |name| fs::read_dir(storage.join(name)).map_or(0, Iterator::count);
    ["tmp", "trash", "journal"].into_iter().map(in_directory).sum()
}

fn check(server: &Server, data: &Path, upstream: &Upstream) {
    let git = Git::at(data.join("gitsync-data/repos/acme/mirror"));
    let mirrored: Vec<_> = git.refs().into_iter().filter(|(name, _)| !name.starts_with(b"refs/gitsync/")).collect();
    assert_eq!(mirrored, upstream.git().refs());
    git.assert_sound();
    let shown = &server.json(&["show", "acme/mirror"])[0];
    assert_eq!(shown["status"], "active");
    let count = upstream.git().run(&["rev-list", "--count", "--branches", "--tags"]);
    assert_eq!(shown["total_commits"].to_string(), count);
    assert_eq!(shown["last_commit_hash"], upstream.git().run(&["rev-parse", "HEAD"]));
}

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
fn a_killed_server_finishes_what_it_began() {
    let upstream = Upstream::new();
    upstream.history("main", 200);
    let source = SmartHttpServer::start(upstream.root());
    let data = tempfile::tempdir().unwrap();
    source.answer(Endpoint::Command, Behaviour::StallAfter(2_000));
    let server = Server::start(data.path(), &[]);
    let url = source.source("upstream.git").to_string();
    let task = server.json(&["create", "acme/mirror", &url, "--no-wait"])[0]["task_id"].as_str().unwrap().to_owned();
    await_transfer(&source);
    drop(server);

    source.answer(Endpoint::Command, Behaviour::Serve);
    let server = Server::start(data.path(), &[]);
    assert_eq!(server.wait(&task)["status"], "completed");
    check(&server, data.path(), &upstream);
    assert_eq!(leftovers(data.path()), 0);
}

#[test]
fn a_cancelled_clone_leaves_nothing_and_can_be_made_again() {
    let upstream = Upstream::new();
    upstream.history("main", 200);
    let source = SmartHttpServer::start(upstream.root());
    let data = tempfile::tempdir().unwrap();
    source.answer(Endpoint::Command, Behaviour::StallAfter(2_000));
    let server = Server::start(data.path(), &[]);
    let url = source.source("upstream.git").to_string();
    let task = server.json(&["create", "acme/mirror", &url, "--no-wait"])[0]["task_id"].as_str().unwrap().to_owned();
    await_transfer(&source);
    printed(&server.run(&["cancel", &task]));
    assert_eq!(server.wait(&task)["status"], "cancelled");
    assert_eq!(server.json(&["show", "acme/mirror"])[0]["error_kind"], "cancelled");
    assert_eq!(leftovers(data.path()), 0);
    assert!(!data.path().join("gitsync-data/repos/acme/mirror").exists());

    source.answer(Endpoint::Command, Behaviour::Serve);
    printed(&server.run(&["migrate", "acme/mirror"]));
    check(&server, data.path(), &upstream);
}

#[test]
fn a_cancellation_outlives_the_server_that_is_killed_at_once() {
    let upstream = Upstream::new();
    upstream.history("main", 200);
    let source = SmartHttpServer::start(upstream.root());
    let data = tempfile::tempdir().unwrap();
    source.answer(Endpoint::Command, Behaviour::StallAfter(2_000));
    let server = Server::start(data.path(), &[]);
    let url = source.source("upstream.git").to_string();
    let task = server.json(&["create", "acme/mirror", &url, "--no-wait"])[0]["task_id"].as_str().unwrap().to_owned();
    await_transfer(&source);
    assert_eq!(leftovers(data.path()), 1, "the clone has begun");
    printed(&server.run(&["cancel", &task]));
    drop(server);
    // On a slow machine it may have lost its lease meanwhile, and begun again before it was asked to stop.
    source.take_requests();

    let server = Server::start(data.path(), &[]);
    assert_eq!(server.wait(&task)["status"], "cancelled");
    assert_eq!(server.json(&["show", "acme/mirror"])[0]["error_kind"], "cancelled");
    assert_eq!(leftovers(data.path()), 0);
    assert!(!data.path().join("gitsync-data/repos/acme/mirror").exists());
    let asked = source.take_requests();
    assert!(asked.is_empty(), "a cancelled task asks upstream for nothing: {asked:?}");

    source.answer(Endpoint::Command, Behaviour::Serve);
    printed(&server.run(&["migrate", "acme/mirror"]));
    check(&server, data.path(), &upstream);
}

#[test]
fn a_deletion_during_a_sync_leaves_nothing_even_if_the_server_is_killed() {
    for kill in [false, true] {
        let upstream = Upstream::new();
        upstream.history("main", 200);
        let source = SmartHttpServer::start(upstream.root());
        let data = tempfile::tempdir().unwrap();
        let mut server = Server::start(data.path(), &[]);
        printed(&server.run(&["create", "acme/mirror", &source.source("upstream.git").to_string()]));
        upstream.history("main", 200);
        source.take_requests();
        source.answer(Endpoint::Command, Behaviour::StallAfter(2_000));
        printed(&server.run(&["sync", "acme/mirror", "--no-wait"]));
        await_transfer(&source);
        let task = server.json(&["delete", "acme/mirror", "--no-wait"])[0]["task_id"].as_str().unwrap().to_owned();
        if kill {
            server = {
                drop(server);
                Server::start(data.path(), &[])
            };
        }
        assert_eq!(server.wait(&task)["status"], "completed");
        assert_eq!(leftovers(data.path()), 0);
        assert!(!data.path().join("gitsync-data/repos/acme/mirror").exists());
        assert!(server.json(&["list"]).is_empty());
        assert!(String::from_utf8_lossy(&server.run(&["show", "acme/mirror"]).stderr).contains("not_found"));
    }
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

#[test]
fn settings_with_which_nothing_would_work_are_refused() {
    let data = tempfile::tempdir().unwrap();
    for (setting, value, why) in [
        ("GITSYNC_HOST_CONCURRENCY", "0", "0 is not in 1.."),
        ("GITSYNC_WORKERS", "0", "at least 1"),
        ("GITSYNC_ALLOW_OPEN", "perhaps", "invalid value"),
        ("GITSYNC_RETRY_DELAYS", "60,", "invalid value"),
        ("RUST_LOG", "info,gitsync_core=loud", "RUST_LOG"),
        ("DATABASE_URL", "sqlite::memory:", "the database is a file"),
        ("DATABASE_URL", "sqlite://", "the database is a file"),
        ("GITSYNC_SHARED_STORAGES", "other", "not among the storages"),
    ] {
        let mut command = example("server", data.path());
        let output = command.env("GITSYNC_LISTEN_ADDR", "192.0.2.1:0").env(setting, value).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{setting}={value}: {output:?}");
    }
}

#[test]
fn switches_and_lists_in_the_environment_are_read_as_people_write_them() {
    let data = tempfile::tempdir().unwrap();
    // Without tokens it does not listen there, unless the switch is on: then there is no such address here.
    let said = |value: &str| {
        let mut command = example("server", data.path());
        command.env("GITSYNC_LISTEN_ADDR", "192.0.2.1:0").env("GITSYNC_ALLOW_OPEN", value);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    for on in ["true", "1", "yes", "on", "TRUE"] {
        assert!(said(on).contains("cannot be bound"), "{on}: {}", said(on));
    }
    for off in ["false", "0", "no", "off"] {
        assert!(said(off).contains("loopback"), "{off}: {}", said(off));
    }

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start_with(data.path(), &[], &[("GITSYNC_RETRY_DELAYS", "")]);
    let output = server.run(&["create", "acme/mirror", &format!("http://{closed}/a.git")]);
    assert!(!output.status.success(), "it failed at once, and is not tried again: {output:?}");
    assert_eq!(server.json(&["tasks", "acme/mirror"])[0]["status"], "failed");
}

#[test]
fn settings_without_effect_are_told_in_the_log() {
    let data = tempfile::tempdir().unwrap();
    let mut command = example("server", data.path());
    command
        .env("GITSYNC_TOKENS_FILE", "missing.toml")
        .env("DATABASE_URL", "sqlite::memory:")
        .env("GITSYNC_ROLES", "worker");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--tokens-file has no effect"), "{said}");
}
