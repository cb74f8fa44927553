//! Who waits for jobs is woken by other processes, also after the database was away.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use gitsync_core::queue::{JobQueue, QueueLimits};
use gitsync_core::testing::ManualClock;
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::{Database, execute};
use sqlx::PgConnection;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use support::{job, open};

gitsync_test_postgres::keeper!();

/// After this time on a real clock what should have happened at once will not happen any more.
const PATIENCE: Duration = Duration::from_secs(60);

async fn wait_long(store: Arc<PostgresStore>) {
    store.wait_ready(Duration::from_secs(24 * 3600)).await;
}

/// Waits as one who has taken notice of all that was told before.
async fn begin_to_wait(store: Arc<PostgresStore>, clock: &ManualClock) -> JoinHandle<()> {
    loop {
        let waiting = tokio::spawn(wait_long(Arc::clone(&store)));
        while !waiting.is_finished() && clock.sleepers() == 0 {
            tokio::task::yield_now().await;
        }
        if !waiting.is_finished() {
            return waiting;
        }
    }
}

async fn both_listen(connection: &mut PgConnection) {
    const LISTENING: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    while sqlx::query_scalar::<_, i64>(LISTENING).fetch_one(&mut *connection).await.unwrap() < 2 {
        tokio::task::yield_now().await;
    }
}

/// Two stores on one database are like two processes: they share nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_is_woken() {
    let database = Database::create().await;
    let clock = ManualClock::default();
    let here = open(&database, &clock, QueueLimits::default()).await;
    let there = open(&database, &clock, QueueLimits::default()).await;
    let waiting = tokio::spawn(wait_long(here));
    there.enqueue(&[job("a.example")]).await.unwrap();
    timeout(PATIENCE, waiting).await.expect("who waits is woken").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_is_woken_after_its_connection_was_lost() {
    let database = Database::create().await;
    let clock = ManualClock::default();
    let here = open(&database, &clock, QueueLimits::default()).await;
    let there = open(&database, &clock, QueueLimits::default()).await;
    let mut connection = database.connect().await;
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let waiting = tokio::spawn(wait_long(Arc::clone(&here)));
    execute(&mut connection, end_all).await;
    // What was missed meanwhile is not known, so that it looks.
    timeout(PATIENCE, waiting).await.expect("the loss is told").unwrap();
    timeout(PATIENCE, both_listen(&mut connection)).await.expect("they listen again");
    let waiting = begin_to_wait(here, &clock).await;
    there.enqueue(&[job("a.example")]).await.unwrap();
    timeout(PATIENCE, waiting).await.expect("who waits is woken again").unwrap();
}
