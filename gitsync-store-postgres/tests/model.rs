//! The database answers as the reference in memory does, whatever is called in whatever order.

mod support;

use gitsync_core::queue::QueueLimits;
use gitsync_core::testing::ManualClock;
use gitsync_model::{Opened, check};
use gitsync_test_postgres::Database;

use support::open;

gitsync_test_postgres::keeper!();

struct Postgres;

impl gitsync_model::Database for Postgres {
    async fn open(clock: ManualClock, limits: QueueLimits) -> Opened {
        let database = Database::create().await;
        Opened::new(open(&database, &clock, limits).await, database)
    }
}

#[test]
fn it_answers_as_the_reference_does() {
    check::<Postgres>();
}
