//! Transactions that nobody waits for any more.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use gitsync_core::queue::QueueLimits;
use gitsync_core::{ErrorKind, Store};
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::{Database, execute, wait_for_a_lock};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use support::{mirror, slug};

gitsync_test_postgres::keeper!();

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_given_up_changes_nothing() {
    let database = Database::create().await;
    // One connection: the next call would go on in a transaction that was left open.
    let store = PostgresStore::open(database.options().connections(1), QueueLimits::default()).await.unwrap();
    let store = Arc::new(store);
    let new = mirror(&store).await;
    let (mut other, mut watching) = (database.connect().await, database.connect().await);
    let mut held = other.begin().await.unwrap();
    execute(&mut held, "LOCK TABLE sync_task").await;
    let creating = tokio::spawn({
        let (store, new) = (Arc::clone(&store), new.clone());
        async move { store.create_repository(&new).await }
    });
    // Its repository is written, its task not yet.
    timeout(Duration::from_secs(60), wait_for_a_lock(&mut watching)).await.expect("it waits for the table");
    let backends = backends_of_the_store(&mut watching).await;
    creating.abort();
    assert!(creating.await.unwrap_err().is_cancelled());
    held.rollback().await.unwrap();
    store.create_organisation(&slug("other"), "Other").await.unwrap();
    // The next call waited until the database was done with the one before: no more of it is at work than may be.
    assert_eq!(backends_of_the_store(&mut watching).await, backends);
    let gone = store.repository_by_name(new.organisation, &new.name).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

async fn backends_of_the_store(connection: &mut PgConnection) -> Vec<i32> {
    const PIDS: &str = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'gitsync' ORDER BY pid";
    sqlx::query_scalar(PIDS).fetch_all(connection).await.unwrap()
}
