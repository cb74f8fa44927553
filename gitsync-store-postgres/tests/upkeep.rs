//! Tables whose rows change all the time are kept in order.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::sync::Arc;

use gitsync_core::queue::{ClaimRequest, JobQueue, QueueLimits};
use gitsync_core::testing::ManualClock;
use gitsync_test_postgres::{Database, execute};
use sqlx::Connection;

use support::{job, open, until_counted};

gitsync_test_postgres::keeper!();

/// How many hosts there are, of which one job each begins.
const HOSTS: i64 = 500;

#[tokio::test]
async fn counts_of_hosts_leave_the_index_alone() {
    let database = Database::create().await;
    let (mut connection, mut writing) = (database.connect().await, database.connect().await);
    let hosts = format!("INSERT INTO source_host SELECT 'h' || n, 0 FROM generate_series(1, {HOSTS}) AS n");
    execute(&mut writing, &hosts).await;
    writing.close().await.unwrap();
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    let jobs: Vec<_> = (1..=HOSTS).map(|n| job(&format!("h{n}"))).collect();
    for jobs in jobs.chunks(50) {
        store.enqueue(jobs).await.unwrap();
        let request = ClaimRequest { limit: 50, storages: vec!["default".parse().unwrap()] };
        assert_eq!(store.claim(&request).await.unwrap().len(), 50);
    }
    Arc::into_inner(store).unwrap().close().await;
    until_counted(&mut connection).await;
    const INDEXED: &str = "SELECT n_tup_upd - n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'source_host'";
    let indexed: i64 = sqlx::query_scalar(INDEXED).fetch_one(&mut connection).await.unwrap();
    assert!(indexed < HOSTS / 10, "the index was written for {indexed} of {HOSTS}");
}

#[tokio::test]
async fn busy_tables_are_cleared_of_dead_rows_before_many_are() {
    let database = Database::create().await;
    let mut connection = database.connect().await;
    let set = "SELECT relname::text FROM pg_class
        WHERE EXISTS (SELECT FROM unnest(reloptions) AS option WHERE option LIKE 'autovacuum_vacuum_scale_factor=%')
        ORDER BY relname";
    let tables: Vec<String> = sqlx::query_scalar(set).fetch_all(&mut connection).await.unwrap();
    assert_eq!(tables, ["job", "repository", "source_host", "sync_task"]);
}
