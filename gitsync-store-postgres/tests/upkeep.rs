//! Tables whose rows change all the time are kept in order.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

use std::time::Duration;

use gitsync_core::model::{Progress, TaskId};
use gitsync_sql::statements::{hosts, tasks};
use gitsync_sql::{Dialect, Statement, Value};
use gitsync_test_postgres::{Database, execute};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

gitsync_test_postgres::keeper!();

/// How many rows there are, and how many are written.
const ROWS: i64 = 500;

async fn run(connection: &mut PgConnection, statement: Statement) {
    let query = sqlx::query(AssertSqlSafe(statement.sql.into_owned()));
    let bound = statement.values.into_iter().fold(query, |query, value| match value {
        Value::Bool(value) => query.bind(value),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    });
    bound.execute(connection).await.unwrap();
}

/// Returns how many rows of a table were replaced, and for how many of them indexes had to be written.
async fn replaced(connection: &mut PgConnection, table: &str) -> (i64, i64) {
    let counts = "SELECT n_tup_upd, n_tup_upd - n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = $1";
    sqlx::query_as(counts).bind(table).fetch_one(connection).await.unwrap()
}

/// The counts come some time after the connection that wrote was closed.
async fn indexed(connection: &mut PgConnection, table: &str) -> i64 {
    let counting = async {
        loop {
            match replaced(connection, table).await {
                (ROWS.., indexed) => break indexed,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(Duration::from_secs(60), counting).await.expect("the server counts what was done")
}

#[tokio::test]
async fn rows_are_replaced_where_they_are() {
    let database = Database::create().await;
    let (mut connection, mut writing) = (database.connect().await, database.connect().await);
    let ids: Vec<_> = (0..ROWS).map(|_| TaskId::generate()).collect();
    sqlx::query(
        "INSERT INTO sync_task (id, repository_id, organisation_id, kind, force_clone, accept_shrink, status, held, attempt,
            epoch, progress_phase, progress_objects, progress_bytes, progress_commits, commits_synced, created_at)
        SELECT id, place, 1, 'sync', FALSE, FALSE, 'running', FALSE, 1, 1, '', 0, 0, 0, 0, 0
        FROM unnest($1::bytea[]) WITH ORDINALITY AS task (id, place)",
    )
    .bind(ids.iter().map(|id| id.as_bytes().to_vec()).collect::<Vec<_>>())
    .execute(&mut writing)
    .await
    .unwrap();
    execute(&mut writing, &format!("INSERT INTO source_host SELECT 'h' || n, 0 FROM generate_series(1, {ROWS}) AS n"))
        .await;
    for (id, n) in ids.iter().zip(1..) {
        let progress = Progress { objects: 7, ..Progress::default() };
        run(&mut writing, tasks::set_progress(Dialect::Postgres, *id, &progress).unwrap()).await;
        let host = format!("h{n}").parse().unwrap();
        run(&mut writing, hosts::begin(Dialect::Postgres, &host, 1).unwrap()).await;
    }
    writing.close().await.unwrap();
    for table in ["sync_task", "source_host"] {
        let indexed = indexed(&mut connection, table).await;
        assert!(indexed < ROWS / 50, "{table}: the indexes were written for {indexed} rows of {ROWS}");
    }
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
