//! A server process.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::LEASE;
use crate::support::example;

/// A server process, killed when it is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts one. The database knows it by its name.
    pub(crate) fn start(name: &str, database: &str, data: &Path, arguments: &[&str]) -> Self {
        let log = data.join(format!("{name}.log"));
        let lease = LEASE.as_secs().to_string();
        let child = example("server", data)
            .args(["--allowed-schemes", "http", "--allow-private-networks", "--listen-addr", "127.0.0.1:0"])
            .args(["--lease", &lease, "--drain", "0", "--retry-delays", "1,1,1,1,1,1,1,1"])
            .args(arguments)
            .env("DATABASE_URL", database)
            .env("PGAPPNAME", name)
            .env("RUST_LOG", "info,gitsync_core::engine::worker=debug")
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Process { name: name.to_owned(), child, log }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it listens, and returns where.
    pub(crate) fn address(&mut self) -> String {
        let mut line = String::new();
        BufReader::new(self.child.stdout.take().expect("it is asked once")).read_line(&mut line).unwrap();
        line.trim().strip_prefix("listening on ").expect("it says where it listens").to_owned()
    }

    /// Kills it on the spot.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it, as a machine that is suspended does.
    pub(crate) fn stop(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns how many lines of its log have a text.
    pub(crate) fn said(&self, text: &str) -> usize {
        fs::read_to_string(&self.log).unwrap().lines().filter(|line| line.contains(text)).count()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            println!("the end of the log of {}:\n{}\n", self.name, lines[lines.len().saturating_sub(100)..].join("\n"));
        }
    }
}
