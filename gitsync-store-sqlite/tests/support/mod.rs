//! What the tests of this crate share.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gitsync_core::SystemClock;
use gitsync_core::model::{Slug, TaskId};
use gitsync_core::queue::{Lane, NewJob, QueueLimits};
use gitsync_store_sqlite::{SqliteOptions, SqliteStore};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;

/// A directory for one test, and the path of the database in it.
pub(crate) fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("gitsync.db");
    (directory, path)
}

pub(crate) async fn open(options: impl Into<SqliteOptions>) -> Arc<SqliteStore> {
    let store = SqliteStore::open(options, Arc::new(SystemClock), QueueLimits::default()).await;
    Arc::new(store.expect("the database can be opened"))
}

/// A connection past the store.
pub(crate) async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.expect("a connection")
}

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

/// A job that is due.
pub(crate) fn job(host: &str) -> NewJob {
    let lane = Lane { storage: "default".parse().expect("a name"), host: host.parse().expect("a host") };
    NewJob {
        id: TaskId::generate(),
        lane,
        priority: 0,
        run_at: gitsync_core::Timestamp::from_secs(0),
        attempt: 0,
        epoch: 0,
    }
}
