//! Tables whose rows change all the time are kept in order.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use gitsync_sql::statements::hosts;
use gitsync_sql::{Dialect, Statement, Value};
use gitsync_test_postgres::{Database, execute};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use support::until;

gitsync_test_postgres::keeper!();

/// How many hosts there are, and are written.
const HOSTS: i64 = 500;

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

#[tokio::test]
async fn counts_of_hosts_leave_the_index_alone() {
    let database = Database::create().await;
    let (mut connection, mut writing) = (database.connect().await, database.connect().await);
    let hosts = format!("INSERT INTO source_host SELECT 'h' || n, 0 FROM generate_series(1, {HOSTS}) AS n");
    execute(&mut writing, &hosts).await;
    for n in 1..=HOSTS {
        let host = format!("h{n}").parse().unwrap();
        run(&mut writing, hosts::begin(Dialect::Postgres, &host, 1).unwrap()).await;
    }
    // What it did is counted some time after it was closed.
    writing.close().await.unwrap();
    const WRITTEN: &str = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'source_host'";
    until(&mut connection, WRITTEN, HOSTS).await;
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
