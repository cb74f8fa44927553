//! The conformance suites against the store and queue on Postgres.

mod support;

use std::sync::Arc;

use gitsync_core::queue::QueueLimits;
use gitsync_core::testing::ManualClock;
use gitsync_core::testing::engine_suite::EngineHarness;
use gitsync_core::testing::queue_suite::{LIMITS, QueueHarness, WIDER};
use gitsync_core::testing::store_suite::StoreHarness;
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::Database;

use support::open;

gitsync_test_postgres::keeper!();

async fn make(limits: QueueLimits) -> (Arc<PostgresStore>, ManualClock, Database) {
    let database = Database::create().await;
    let clock = ManualClock::default();
    let store = open(&database, &clock, limits).await;
    (store, clock, database)
}

mod store {
    use super::*;

    async fn make() -> StoreHarness {
        let (store, clock, database) = super::make(QueueLimits::default()).await;
        StoreHarness::new(store, clock).keep(database)
    }

    gitsync_core::store_suite!(make);
}

mod queue {
    use super::*;

    async fn make() -> QueueHarness {
        let (store, clock, database) = super::make(LIMITS).await;
        let wider = open(&database, &clock, WIDER).await;
        QueueHarness::new(store, clock).opened_wider(wider).keep(database)
    }

    gitsync_core::queue_suite!(make);
}

mod engine {
    use super::*;

    async fn make() -> EngineHarness {
        let (first, clock, database) = super::make(QueueLimits::default()).await;
        let second = open(&database, &clock, QueueLimits::default()).await;
        EngineHarness::of_databases([first, second], clock).keep(database)
    }

    gitsync_core::engine_suite!(make);
}
