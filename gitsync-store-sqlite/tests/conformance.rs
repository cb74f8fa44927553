//! The conformance suites against the store and queue on SQLite.

use std::path::Path;
use std::sync::Arc;

use gitsync_core::queue::QueueLimits;
use gitsync_core::testing::ManualClock;
use gitsync_core::testing::engine_suite::EngineHarness;
use gitsync_core::testing::queue_suite::{LIMITS, QueueHarness, WIDER};
use gitsync_core::testing::store_suite::StoreHarness;
use gitsync_store_sqlite::SqliteStore;
use tempfile::TempDir;

async fn open(limits: QueueLimits) -> (Arc<SqliteStore>, ManualClock, TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = ManualClock::default();
    (open_in(directory.path(), &clock, limits).await, clock, directory)
}

async fn open_in(directory: &Path, clock: &ManualClock, limits: QueueLimits) -> Arc<SqliteStore> {
    let (path, clock) = (directory.join("gitsync.db"), Arc::new(clock.clone()));
    Arc::new(SqliteStore::open(path, clock, limits).await.expect("a database can be made"))
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
        let wider = open_in(directory.path(), &clock, WIDER).await;
        QueueHarness::new(store, clock).opened_wider(wider).keep(directory)
    }

    gitsync_core::queue_suite!(make);
}

mod engine {
    use super::*;

    async fn make() -> EngineHarness {
        let (first, clock, directory) = open(QueueLimits::default()).await;
        let second = open_in(directory.path(), &clock, QueueLimits::default()).await;
        EngineHarness::of_databases([first, second], clock).keep(directory)
    }

    gitsync_core::engine_suite!(make);
}
