//! Opening: new databases, newer ones, many at once, and none.

mod support;

use std::time::Duration;

use gitsync_core::queue::QueueLimits;
use gitsync_core::{ErrorKind, Store};
use gitsync_sql::migrations;
use gitsync_store_postgres::{PostgresOptions, PostgresStore};
use gitsync_test_postgres::{Database, execute};

use support::slug;

gitsync_test_postgres::keeper!();

async fn open(options: PostgresOptions) -> gitsync_core::Result<PostgresStore> {
    PostgresStore::open(options, QueueLimits::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_new_database_at_once() {
    let database = Database::create_empty().await;
    let opening: Vec<_> = (0..8)
        .map(|n| {
            let options = database.options().connections(2);
            tokio::spawn(async move {
                let store = open(options).await.unwrap();
                store.create_organisation(&slug(&format!("o{n}")), "O").await.unwrap();
                store.close().await;
            })
        })
        .collect();
    for opened in opening {
        opened.await.unwrap();
    }
    let store = open(database.options()).await.unwrap();
    for n in 0..8 {
        store.organisation_by_slug(&slug(&format!("o{n}"))).await.unwrap();
    }
    let mut connection = database.connect().await;
    let versions: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM schema_migration").fetch_all(&mut connection).await.unwrap();
    assert_eq!(versions, migrations().iter().map(|step| step.version).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let database = Database::create().await;
    let mut connection = database.connect().await;
    execute(&mut connection, "INSERT INTO schema_migration VALUES (999, 'future', 0)").await;
    assert_eq!(open(database.options()).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_unavailable() {
    let database = Database::create().await;
    let missing = PostgresOptions::new(database.address().database("gitsync_test_of_nobody"));
    assert_eq!(open(missing).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let nowhere = PostgresOptions::new(database.address().socket("/nonexistent"));
    let nowhere = nowhere.patience(Duration::from_millis(100));
    assert_eq!(open(nowhere).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
