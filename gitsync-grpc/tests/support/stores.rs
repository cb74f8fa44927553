//! The stores that the service is tested on.

use std::any::Any;
use std::sync::Arc;

use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::queue::QueueLimits;
use gitsync_core::{JobQueue, Store, SystemClock};
use gitsync_store_postgres::PostgresStore;
use gitsync_store_sqlite::SqliteStore;
use gitsync_test_postgres::Database;

/// A kind of store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StoreKind {
    Memory,
    Sqlite,
    Postgres,
}

/// A store and a queue, and what has to stay as long as they are used.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    pub(super) queue: Arc<dyn JobQueue>,
    pub(super) kept: Box<dyn Any + Send + Sync>,
}

impl StoreKind {
    /// Opens a store that only one test uses.
    pub(super) async fn open(self) -> Opened {
        let (clock, limits) = (Arc::new(SystemClock), QueueLimits::default());
        match self {
            StoreKind::Memory => Opened {
                store: Arc::new(MemoryStore::new(clock.clone())),
                queue: Arc::new(MemoryQueue::new(clock, limits)),
                kept: Box::new(()),
            },
            StoreKind::Sqlite => {
                let dir = tempfile::tempdir().unwrap();
                let store = SqliteStore::open(dir.path().join("gitsync.db"), clock, limits).await;
                Opened::of(store.unwrap(), dir)
            }
            StoreKind::Postgres => {
                let database = Database::create().await;
                let store = PostgresStore::open(database.options(), limits).await;
                Opened::of(store.unwrap(), database)
            }
        }
    }
}

impl Opened {
    fn of(database: impl Store + JobQueue + 'static, kept: impl Any + Send + Sync) -> Self {
        let database = Arc::new(database);
        Opened { store: database.clone(), queue: database, kept: Box::new(kept) }
    }
}

/// Runs tests on each kind of store. They are functions that are given the kind.
macro_rules! on_all_stores {
    ($($test:ident),+ $(,)?) => {
        gitsync_test_postgres::keeper!();

        $(mod $test {
            use crate::support::StoreKind;

            #[tokio::test]
            async fn memory() {
                super::$test(StoreKind::Memory).await;
            }

            #[tokio::test]
            async fn sqlite() {
                super::$test(StoreKind::Sqlite).await;
            }

            #[tokio::test]
            async fn postgres() {
                super::$test(StoreKind::Postgres).await;
            }
        })+
    };
}
pub(crate) use on_all_stores;
