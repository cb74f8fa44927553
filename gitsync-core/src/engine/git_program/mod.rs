//! The git program, which does the upkeep of repositories where it is installed.
//!
//! Engines need no git program, and nothing that a repository lives by does. What it is asked for here it does best: repacking,
//! and saying what is broken.

mod process;
mod version;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Once, OnceLock};

use self::process::run;
pub(crate) use self::process::{Ended, Input};
pub(crate) use self::version::Version;
use super::disk::FenceGuard;
use crate::blocking::BlockingPool;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::CallLimits;

/// The git program of this machine, as many of it at a time as are allowed.
#[derive(Debug)]
pub(crate) struct GitProgram {
    path: PathBuf,
    pool: BlockingPool,
    /// The version, once it is known to be one that can be used.
    version: OnceLock<Version>,
    told: Once,
}

/// One call of the git program.
#[derive(Debug)]
pub(crate) struct GitCall {
    git_dir: PathBuf,
    arguments: Vec<OsString>,
    input: Input,
    other_objects: Option<PathBuf>,
}

impl GitCall {
    /// Prepares a call for the repository whose git directory that is.
    pub(crate) fn new(git_dir: &Path, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(OsString::from).collect();
        GitCall { git_dir: git_dir.to_owned(), arguments, input: Input::Nothing, other_objects: None }
    }

    /// Adds an argument that is a path.
    pub(crate) fn with_path(mut self, path: &Path) -> Self {
        self.arguments.push(path.as_os_str().to_owned());
        self
    }

    /// Gives the program the right to change what is published. It holds the lock of the fence until it ends, even if this
    /// process is killed meanwhile: whoever comes next waits for a program that goes on without us.
    pub(crate) fn holding(self, permit: FenceGuard) -> Self {
        GitCall { input: Input::Lock(permit.into_lock()), ..self }
    }

    /// Sets what the program reads.
    pub(crate) fn reading(self, text: Vec<u8>) -> Self {
        GitCall { input: Input::Text(text), ..self }
    }

    /// Lets the program also see the objects of another repository.
    pub(crate) fn seeing_objects_of(self, git_dir: &Path) -> Self {
        GitCall { other_objects: Some(git_dir.join("objects")), ..self }
    }
}

impl GitProgram {
    /// Creates the way to a program: a path, or a name that is looked for in `PATH`.
    pub(crate) fn new(path: PathBuf, at_once: usize) -> Self {
        GitProgram { path, pool: BlockingPool::new(at_once), version: OnceLock::new(), told: Once::new() }
    }

    /// Returns the version that is installed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if there is none, or one that is too old for what it is needed for; those of the limits.
    pub(crate) async fn version(&self, limits: &CallLimits) -> Result<Version> {
        if let Some(version) = self.version.get() {
            return Ok(*version);
        }
        let mut command = self.command();
        command.arg("version");
        let ended = self.pool.run_within(limits, move |limits| run(command, Input::Nothing, limits)).await?;
        match Version::parse(&ended.output) {
            Some(version) if version >= Version::OLDEST => Ok(*self.version.get_or_init(|| version)),
            _ => Err(Error::new(ErrorKind::Unsupported, "the installed git program cannot do upkeep")
                .with("version", ended.output.trim())
                .hint(format!("install git {} or newer", Version::OLDEST))),
        }
    }

    /// Tells why no upkeep is done, once.
    pub(crate) fn tell_once(&self, error: &Error) {
        self.told.call_once(|| tracing::warn!(%error, "repositories get no upkeep"));
    }

    /// Runs the program to its end, or to that of the limits, which kill it with all that it started.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it is not installed; those of the limits; [`ErrorKind::DiskFull`],
    /// [`ErrorKind::PermissionDenied`] and [`ErrorKind::Internal`] if it failed for want of something, or was killed. Whatever else
    /// it complains about is for the caller to judge.
    pub(crate) async fn run(&self, call: GitCall, limits: &CallLimits) -> Result<Ended> {
        let mut command = self.command();
        command.arg("--git-dir").arg(&call.git_dir).args(&call.arguments);
        if let Some(objects) = &call.other_objects {
            command.env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(objects));
        }
        self.pool.run_within(limits, move |limits| run(command, call.input, limits)).await
    }

    /// Returns a command that nothing of the environment, of the user's and of the system's configuration reaches.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_GRAFT_FILE", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            // A partial clone would fetch what it lacks from its own upstream, past every policy.
            .env("GIT_NO_LAZY_FETCH", "1")
            .arg("--no-replace-objects")
            .args(["-c", "core.hooksPath=/dev/null"])
            // What is removed afterwards has to be there after a loss of power.
            .args(["-c", "core.fsync=all"]);
        command
    }
}

/// Writes a path as git reads one from a list of paths that is divided by colons.
fn quoted(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    let mut text = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => text.extend([b'\\', *byte]),
            b'\n' => text.extend(b"\\n"),
            _ => text.push(*byte),
        }
    }
    text.push(b'"');
    OsString::from_vec(text)
}

#[cfg(test)]
mod tests;
