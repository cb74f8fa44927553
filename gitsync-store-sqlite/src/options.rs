//! Where the database is, and how it is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

/// Where the database is, and how it is opened. A path alone will do.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    pub(crate) path: PathBuf,
    pub(crate) readers: u32,
    pub(crate) patience: Duration,
    pub(crate) allow_network: bool,
}

impl SqliteOptions {
    /// Opens the database at a path. It is created if it is not there, and so is its directory.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        SqliteOptions { path: path.into(), readers: 4, patience: Duration::from_secs(10), allow_network: false }
    }

    /// Sets how many calls may read at once. Default: 4.
    #[must_use]
    pub fn readers(mut self, readers: u32) -> Self {
        self.readers = readers.max(1);
        self
    }

    /// Sets how long a call waits for other processes before it is
    /// [`Unavailable`](gitsync_core::ErrorKind::Unavailable). Default: 10 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Allows a database on a network file system, where locks commonly do not hold and the database can be destroyed.
    #[must_use]
    pub fn allow_network_file_system(mut self, allow: bool) -> Self {
        self.allow_network = allow;
        self
    }

    /// Returns the path of a file beside the database.
    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(ending);
        name.into()
    }

    /// The connection that writes. What is committed survives a loss of power.
    pub(crate) fn to_write(&self) -> SqliteConnectOptions {
        self.any()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(256)
            .pragma("cache_size", "-32768")
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
    }

    /// A connection that reads.
    pub(crate) fn to_read(&self) -> SqliteConnectOptions {
        self.any().read_only(true).pragma("cache_size", "-8192")
    }

    fn any(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .busy_timeout(self.patience)
            .foreign_keys(true)
            .row_buffer_size(1024)
            .thread_name(|id| format!("gitsync-sqlite-{id}"))
            // The text of every statement, on every call.
            .disable_statement_logging()
    }
}

impl From<&Path> for SqliteOptions {
    fn from(path: &Path) -> Self {
        SqliteOptions::new(path)
    }
}

impl From<PathBuf> for SqliteOptions {
    fn from(path: PathBuf) -> Self {
        SqliteOptions::new(path)
    }
}

impl From<&str> for SqliteOptions {
    fn from(path: &str) -> Self {
        SqliteOptions::new(path)
    }
}
