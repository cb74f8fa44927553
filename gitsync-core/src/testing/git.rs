//! The git program, out of reach of the machine's configuration.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::model::ObjectId;

/// Runs git in a directory, always with the same result: no configuration but the repository's, one name, one date.
#[derive(Clone, Debug)]
pub struct Git {
    dir: PathBuf,
    date: u64,
}

impl Git {
    /// Creates a runner for a directory.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Git { dir: dir.into(), date: 1_700_000_000 }
    }

    /// Sets the date of commits and tags, in seconds.
    #[must_use]
    pub fn dated(mut self, seconds: u64) -> Self {
        self.date = seconds;
        self
    }

    /// Returns the directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns a command that is ready to be given arguments.
    pub fn command(&self) -> Command {
        let mut command = Command::new("git");
        hermetic(&mut command);
        let date = format!("@{} +0000", self.date);
        command
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.com")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.com")
            .env("GIT_COMMITTER_DATE", &date)
            .arg("-C")
            .arg(&self.dir);
        command
    }

    /// Runs git and returns what it prints, as text without the last line end.
    ///
    /// # Panics
    /// If git fails, as all functions here.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        String::from_utf8(self.feed(arguments, b"")).expect("git prints text").trim_end().to_owned()
    }

    /// Runs git, feeds it `input` and returns what it prints.
    ///
    /// # Panics
    /// If git fails.
    pub fn feed<S: AsRef<OsStr>>(&self, arguments: &[S], input: &[u8]) -> Vec<u8> {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("git is installed");
        let mut stdin = child.stdin.take().expect("there is a pipe");
        let output = std::thread::scope(|scope| {
            // On a thread of its own, since git may print before it has read everything.
            scope.spawn(move || stdin.write_all(input));
            child.wait_with_output().expect("git ends")
        });
        let shown: Vec<_> = arguments.iter().map(|argument| argument.as_ref().to_string_lossy()).collect();
        assert!(output.status.success(), "git {shown:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Runs git and returns the object ids it prints, one a line.
    ///
    /// # Panics
    /// If git fails or prints something else.
    pub fn ids<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Vec<ObjectId> {
        self.run(arguments).lines().map(|line| line.parse().expect("git prints an id")).collect()
    }

    /// Returns the id that a revision names.
    ///
    /// # Panics
    /// If it names none.
    pub fn id(&self, revision: &str) -> ObjectId {
        self.ids(&["rev-parse", "--verify", "--end-of-options", revision])[0]
    }

    /// Returns names and unpeeled ids of all references, sorted by the bytes of the names.
    pub fn refs(&self) -> Vec<(Vec<u8>, ObjectId)> {
        let listed = self.feed(&["for-each-ref", "--format=%(objectname) %(refname)"], b"");
        let lines = listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut refs: Vec<_> = lines
            .map(|line| {
                let at = line.iter().position(|byte| *byte == b' ').expect("a line has two words");
                (line[at + 1..].to_owned(), ObjectId::from_hex(&line[..at]).expect("git prints an id"))
            })
            .collect();
        refs.sort();
        refs
    }

    /// Returns the content of `HEAD`: `ref: refs/heads/main`, or an id.
    pub fn head(&self) -> String {
        let dir = self.run(&["rev-parse", "--absolute-git-dir"]);
        std::fs::read_to_string(Path::new(&dir).join("HEAD")).expect("there is a HEAD").trim_end().to_owned()
    }

    /// Asserts that the repository is sound and that all its references lead to complete histories.
    ///
    /// # Panics
    /// If git finds fault with it.
    pub fn assert_sound(&self) {
        self.run(&["fsck", "--full", "--no-dangling", "--no-progress"]);
    }
}

/// Makes a git command independent of the machine it runs on.
pub(super) fn hermetic(command: &mut Command) {
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1");
}
