//! A server process, and what is to be seen of it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use gitsync_core::testing::http_server::Endpoint;
use gitsync_core::testing::{Git, SmartHttpServer, Upstream};
use serde_json::Value;

use crate::support::{example, printed};

/// A server process, killed when it is dropped.
pub(crate) struct Server {
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
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        Server::start_with(data, more, &[])
    }

    pub(crate) fn start_with(data: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
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
    pub(crate) fn start_without_api(data: &Path, arguments: &[&str]) -> Self {
        let process = example("server", data).args(arguments).env("RUST_LOG", "warn").spawn().unwrap();
        Server { process, url: String::new() }
    }

    /// Tells it to end, and returns whether it ended well.
    pub(crate) fn terminate(&mut self) -> bool {
        let status = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
        self.process.wait().unwrap().success()
    }

    pub(crate) fn client(&self, arguments: &[&str]) -> Command {
        let mut command = example("client", &std::env::temp_dir());
        command.args(["--server", &self.url]).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.client(arguments).output().unwrap()
    }

    /// Returns what the client prints as JSON, one value in each line.
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        let text = printed(&self.client(arguments).arg("--json").output().unwrap());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits for a task and returns how it ended.
    pub(crate) fn wait(&self, task: &str) -> Value {
        let output = self.client(&["watch", task, "--json"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().last().expect("the server says something of the task")).unwrap()
    }
}

/// Waits until a command of a transfer has come in.
pub(crate) fn await_transfer(upstream: &SmartHttpServer) {
    while !upstream.take_requests().iter().any(|request| request.endpoint == Endpoint::Command) {
        std::thread::yield_now();
    }
}

pub(crate) fn leftovers(data: &Path) -> usize {
    let storage = data.join("gitsync-data/repos/.gitsync");
    let in_directory = |name| fs::read_dir(storage.join(name)).map_or(0, Iterator::count);
    ["tmp", "trash", "journal"].into_iter().map(in_directory).sum()
}

pub(crate) fn check(server: &Server, data: &Path, upstream: &Upstream) {
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
