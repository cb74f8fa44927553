//! A server that one test has for itself.

use tempfile::TempDir;

use crate::place::{Durability, Place};

/// A server that only one test uses, which may stop it and start it again. It is gone with the value.
#[derive(Debug)]
pub struct OwnServer {
    place: Place,
    directory: TempDir,
    durability: Durability,
}

impl OwnServer {
    /// Starts a server with nothing in it.
    ///
    /// # Panics
    /// If Postgres is not installed.
    pub fn start() -> Self {
        OwnServer::start_with(Durability::Committed)
    }

    /// Starts a server with nothing in it that waits for the disk, as one does that is left as it was installed: for
    /// measurements.
    ///
    /// # Panics
    /// If Postgres is not installed.
    pub fn start_durable() -> Self {
        OwnServer::start_with(Durability::Power)
    }

    fn start_with(durability: Durability) -> Self {
        // Another user has to reach it, and the path of a socket has to be short.
        let directory = tempfile::Builder::new().prefix("gitsync-pg-").tempdir_in("/tmp").expect("a directory");
        let place = Place::at(directory.path().to_owned());
        place.initialize();
        place.start(durability);
        OwnServer { place, directory, durability }
    }

    /// Returns the address of its only database.
    pub fn url(&self) -> String {
        self.place.url("postgres")
    }

    /// Ends it without a warning, as a machine that fails does. What was committed is kept.
    pub fn stop(&self) {
        self.place.stop();
    }

    /// Starts it again.
    pub fn start_again(&self) {
        self.place.start(self.durability);
    }

    /// Returns where its files are, for a person to look at.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.place.stop();
    }
}
