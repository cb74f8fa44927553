//! The database answers as the reference in memory does, whatever is called in whatever order.

use std::sync::Arc;

use gitsync_core::queue::QueueLimits;
use gitsync_core::testing::ManualClock;
use gitsync_model::{Database, Opened, check};
use gitsync_store_sqlite::SqliteStore;

struct Sqlite;

impl Database for Sqlite {
    async fn open(clock: ManualClock, limits: QueueLimits) -> Opened {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let store = SqliteStore::open(directory.path().join("gitsync.db"), Arc::new(clock), limits).await;
        Opened::new(Arc::new(store.expect("a database can be made")), directory)
    }
}

#[test]
fn it_answers_as_the_reference_does() {
    check::<Sqlite>();
}
