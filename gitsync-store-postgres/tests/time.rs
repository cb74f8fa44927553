//! Leases are measured by the database's clock, whatever those of the machines say.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::time::Duration;

use gitsync_core::queue::{
    ClaimRequest, ClaimedJob, HeartbeatAnswer, JobEnd, JobOutcome, JobQueue, NewJob, QueueLimits, QueueStats,
};
use gitsync_core::{Clock, SystemClock};
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::{Database, execute};
use sqlx::PgConnection;

use support::job;

gitsync_test_postgres::keeper!();

/// Puts a clock that can be set in the place of the database's: it is found before the one of the system.
async fn put_clock(database: &Database) -> PgConnection {
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        "CREATE SCHEMA set_clock; CREATE TABLE set_clock.ahead (by interval);
        INSERT INTO set_clock.ahead VALUES ('0');
        CREATE FUNCTION set_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql
            RETURN pg_catalog.clock_timestamp() + (SELECT by FROM set_clock.ahead);
        DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = set_clock, pg_catalog, public',
            current_database()); END $$",
    )
    .await;
    connection
}

async fn set_ahead(connection: &mut PgConnection, by: &str) {
    execute(connection, &format!("UPDATE set_clock.ahead SET by = '{by}'")).await;
}

async fn open(database: &Database, limits: QueueLimits) -> PostgresStore {
    PostgresStore::open(database.options(), limits).await.unwrap()
}

async fn claim(store: &PostgresStore) -> Option<ClaimedJob> {
    let request = ClaimRequest { limit: 1, storages: vec!["default".parse().unwrap()] };
    store.claim(&request).await.unwrap().pop()
}

/// To the database's clock all machines are alike: that it is an hour ahead of this one means that this one is an hour
/// behind.
#[tokio::test]
async fn machines_whose_clocks_are_wrong_agree_on_leases() {
    let database = Database::create().await;
    let mut clock = put_clock(&database).await;
    let here = open(&database, QueueLimits::default()).await;
    here.enqueue(&[job("a.example")]).await.unwrap();
    let lease = claim(&here).await.expect("a job waits").lease;

    set_ahead(&mut clock, "50 seconds").await;
    let there = open(&database, QueueLimits::default()).await;
    assert_eq!(claim(&there).await, None, "the lease is still good");
    assert_eq!(here.heartbeat(&[lease]).await.unwrap(), [HeartbeatAnswer::Continue]);
    set_ahead(&mut clock, "100 seconds").await;
    assert_eq!(claim(&there).await, None, "it was extended");

    set_ahead(&mut clock, "1 hour").await;
    let taken = claim(&there).await.expect("the lease has expired").lease;
    assert_eq!(here.heartbeat(&[lease]).await.unwrap(), [HeartbeatAnswer::Lost]);
    assert_eq!(here.finish(&[JobEnd::new(taken, JobOutcome::Done)]).await.unwrap(), [true], "who asks does not matter");
    assert_eq!(there.stats().await.unwrap(), QueueStats::default());
}

/// A job that is due by the clock of one machine, but not by that of the database, is due for nobody.
#[tokio::test]
async fn what_is_due_is_so_by_the_databases_clock() {
    let database = Database::create().await;
    let mut clock = put_clock(&database).await;
    let store = open(&database, QueueLimits::default()).await;
    let soon = SystemClock.now().after(Duration::from_secs(1800));
    store.enqueue(&[NewJob { run_at: soon, ..job("a.example") }]).await.unwrap();
    assert_eq!(claim(&store).await, None);
    set_ahead(&mut clock, "1 hour").await;
    assert!(claim(&store).await.is_some());
}
