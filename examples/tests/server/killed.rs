//! Servers that are killed, and tasks that are cancelled, in the middle of what they do.

use std::fs::{self, TryLockError};
use std::path::Path;
use std::process::Command;

use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{SmartHttpServer, Upstream};

use crate::support::printed;
use crate::world::{Server, await_transfer, check, leftovers};

/// A clone that stands still in the middle of its transfer.
struct StalledClone {
    upstream: Upstream,
    source: SmartHttpServer,
    data: tempfile::TempDir,
    server: Server,
    task: String,
}

impl StalledClone {
    fn begin() -> Self {
        let upstream = Upstream::new();
        upstream.history("main", 200);
        let source = SmartHttpServer::start(upstream.root());
        let data = tempfile::tempdir().unwrap();
        source.answer(Endpoint::Command, Behaviour::StallAfter(2_000));
        let server = Server::start(data.path(), &[]);
        let url = source.source("upstream.git").to_string();
        let created = server.json(&["create", "acme/mirror", &url, "--no-wait"]);
        let task = created[0]["task_id"].as_str().unwrap().to_owned();
        await_transfer(&source);
        StalledClone { upstream, source, data, server, task }
    }
}

#[test]
fn a_killed_server_finishes_what_it_began() {
    let StalledClone { upstream, source, data, server, task } = StalledClone::begin();
    drop(server);

    source.answer(Endpoint::Command, Behaviour::Serve);
    let server = Server::start(data.path(), &[]);
    assert_eq!(server.wait(&task)["status"], "completed");
    check(&server, data.path(), &upstream);
    assert_eq!(leftovers(data.path()), 0);
}

#[test]
fn a_cancelled_clone_leaves_nothing_and_can_be_made_again() {
    let StalledClone { upstream, source, data, server, task } = StalledClone::begin();
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
    let StalledClone { upstream, source, data, server, task } = StalledClone::begin();
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

/// A program that waits in the place of git's own, until a test lets it go on.
struct SlowGit(tempfile::TempDir);

impl SlowGit {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = Command::new("sh").args(["-c", "command -v git"]).output().unwrap();
        let (at, git) = (dir.path().display(), printed(&git));
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *\" repack \"*) echo $$ >{at}/new; mv {at}/new {at}/waits; cat {at}/go;; esac\n\
             exec {} \"$@\"\n",
            git.trim()
        );
        fs::write(dir.path().join("git"), script).unwrap();
        let made =
            Command::new("sh").args(["-c", "chmod 755 git; mkfifo go"]).current_dir(dir.path()).status().unwrap();
        assert!(made.success());
        SlowGit(dir)
    }

    /// The directories of programs, with this one first.
    fn path(&self) -> String {
        format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap())
    }

    /// Waits until it was asked to repack, and returns the number of its process, and of its group.
    fn waits(&self) -> String {
        loop {
            match fs::read_to_string(self.0.path().join("waits")) {
                Ok(number) => return number.trim().to_owned(),
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    fn go_on(&self) {
        fs::write(self.0.path().join("go"), "").unwrap();
    }
}

/// The program that changes packs outlives the server, and nobody else touches the repository before it has ended.
#[test]
fn a_repack_goes_on_without_its_server_and_others_wait_for_it() {
    for git_is_killed in [false, true] {
        let (upstream, git, data) = (Upstream::new(), SlowGit::new(), tempfile::tempdir().unwrap());
        upstream.history("main", 30);
        let source = SmartHttpServer::start(upstream.root());
        let server = Server::start_with(data.path(), &[], &[("PATH", &git.path())]);
        printed(&server.run(&["create", "acme/mirror", &source.source("upstream.git").to_string()]));
        for _ in 0..3 {
            upstream.commit("main");
            printed(&server.run(&["sync", "acme/mirror"]));
        }
        let task = server.json(&["maintain", "acme/mirror", "--no-wait"])[0]["task_id"].as_str().unwrap().to_owned();
        let number = git.waits();
        drop(server);
        let fence = fs::File::open(data.path().join("gitsync-data/repos/.gitsync/fence/1")).unwrap();
        assert!(matches!(fence.try_lock(), Err(TryLockError::WouldBlock)), "the program holds the lock");

        upstream.commit("main");
        let server = Server::start(data.path(), &[]);
        let sync = server.json(&["sync", "acme/mirror", "--no-wait"])[0]["task_id"].as_str().unwrap().to_owned();
        while server.json(&["tasks", "acme/mirror"]).iter().all(|task| task["status"] != "running") {
            std::thread::yield_now();
        }
        assert_eq!(packs(data.path()), 4, "it waits");
        if git_is_killed {
            let killed = Command::new("kill").args(["-KILL", "--", &format!("-{number}")]).status().unwrap();
            assert!(killed.success());
        } else {
            git.go_on();
        }
        for task in [task, sync] {
            assert_eq!(server.wait(&task)["status"], "completed");
        }
        check(&server, data.path(), &upstream);
        assert_eq!(packs(data.path()), 3, "the large one, one for the three small ones, and one that is new");
    }
}

fn packs(data: &Path) -> usize {
    let directory = fs::read_dir(data.join("gitsync-data/repos/acme/mirror/objects/pack")).unwrap();
    directory.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "pack")).count()
}
