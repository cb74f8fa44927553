//! The server of `git://` on the loopback.

use std::fmt;
use std::path::Path;
use std::process::Stdio;

use super::git::Git;
use super::per_connection::PerConnection;
use crate::source::SourceUrl;

/// Serves the repositories below a directory by `git daemon`, pushing to them included, until it is dropped.
pub struct GitDaemon(PerConnection);

impl fmt::Debug for GitDaemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GitDaemon").field(&self.0.address()).finish()
    }
}

impl GitDaemon {
    /// Starts a server on a free port of the loopback.
    ///
    /// # Panics
    /// If there is none.
    pub fn start(root: &Path) -> Self {
        let root = root.canonicalize().expect("the directory is there");
        GitDaemon(PerConnection::start(move || {
            let mut command = Git::at(&root).command();
            command
                .args(["daemon", "--inetd", "--export-all", "--enable=receive-pack", "--informative-errors"])
                .arg(format!("--base-path={}", root.display()))
                .stderr(Stdio::null());
            command
        }))
    }

    /// Returns the address of a repository below the root, such as `upstream.git`.
    ///
    /// # Panics
    /// If the path cannot be part of an address.
    pub fn source(&self, path: &str) -> SourceUrl {
        SourceUrl::parse(&format!("git://{}/{path}", self.0.address())).expect("it is a source").url
    }

    /// Returns how many connections there were.
    pub fn connections(&self) -> usize {
        self.0.connections()
    }
}
