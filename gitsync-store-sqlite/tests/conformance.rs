//! The conformance suites against the store and queue on SQLite.

use std::path::PathBuf;
use std::sync::Arc;

use gitsync_core::queue::QueueLimits;
use gitsync_core::testing::ManualClock;
use gitsync_core::testing::queue_suite::{LIMITS, QueueHarness};
use gitsync_core::testing::store_suite::StoreHarness;
use gitsync_store_sqlite::SqliteStore;
use tempfile::TempDir;

async fn open(limits: QueueLimits) -> (Arc<SqliteStore>, ManualClock, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path: PathBuf = directory.path().join("gitsync.db");
    let clock = ManualClock::default();
    let store = SqliteStore::open(path, Arc::new(clock.clone()), limits).await.expect("a database can be made");
    (Arc::new(store), clock, directory)
}

mod store {
    use super::*;

    async fn make() -> StoreHarness {
        let (store, clock, directory) = open(QueueLimits::default()).await;
        StoreHarness::new(store, clock).keep(directory)
    }

    gitsync_core::store_suite!(make);
}

mod queue {
    use super::*;

    async fn make() -> QueueHarness {
        let (store, clock, directory) = open(LIMITS).await;
        QueueHarness::new(store, clock).keep(directory)
    }

    gitsync_core::queue_suite!(make);
}
