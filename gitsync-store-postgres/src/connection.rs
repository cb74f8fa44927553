//! The seam of [`gitsync_sql`], on a connection of the driver.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use gitsync_core::{Error, ErrorKind, Result, Timestamp};
use gitsync_sql::{Array, Columns, Connection, Dialect, Statement, Value};
use sqlx::postgres::{PgArguments, PgConnection, PgRow, PgValueRef};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, Postgres, Row, SqlSafeStr, TypeInfo, ValueRef};

use crate::error::classify;
use crate::time::Time;

/// A connection, and the time there if it is in a transaction.
pub(crate) struct Attached<'c> {
    connection: &'c mut PgConnection,
    time: Option<&'c Time>,
}

impl<'c> Attached<'c> {
    pub(crate) fn new(connection: &'c mut PgConnection, time: Option<&'c Time>) -> Self {
        Attached { connection, time }
    }

    /// Returns the connection itself, for statements that only Postgres has.
    pub(crate) fn driver(&mut self) -> &mut PgConnection {
        self.connection
    }
}

impl fmt::Debug for Attached<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}

#[async_trait]
impl Connection for Attached<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn now(&mut self) -> Result<Timestamp> {
        let outside = || Error::new(ErrorKind::Internal, "the time is known within transactions only");
        self.time.map(Time::now).ok_or_else(outside)
    }

    async fn fetch(&mut self, statement: Statement) -> Result<Vec<gitsync_sql::Row>> {
        let rows = bind(statement).fetch_all(&mut *self.connection).await.map_err(classify)?;
        read(&rows)
    }

    async fn execute(&mut self, statement: Statement) -> Result<u64> {
        let done = bind(statement).execute(&mut *self.connection).await.map_err(classify)?;
        Ok(done.rows_affected())
    }
}

fn bind(statement: Statement) -> Query<'static, Postgres, PgArguments> {
    let sql = match statement.sql {
        Cow::Borrowed(text) => text.into_sql_str(),
        // Values never enter the text: it was written by sea-query, with placeholders.
        Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
    };
    let query = sqlx::query(sql).persistent(statement.recurs);
    statement.values.into_iter().fold(query, |query, value| match value {
        Value::Bool(value) => query.bind(value),
        Value::Int(value) => query.bind(value),
        Value::Text(value) => query.bind(value.map(without_nul)),
        Value::Bytes(value) => query.bind(value),
        Value::Array(Array::Bool(values)) => query.bind(values),
        Value::Array(Array::Int(values)) => query.bind(values),
        Value::Array(Array::Text(values)) => {
            query.bind(values.into_iter().map(|value| value.map(without_nul)).collect::<Vec<_>>())
        }
        Value::Array(Array::Bytes(values)) => query.bind(values),
    })
}

/// Text as Postgres takes it: it refuses NUL, also in what is only searched for.
fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

fn read(rows: &[PgRow]) -> Result<Vec<gitsync_sql::Row>> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns = Columns::new(first.columns().iter().map(|column| column.name().to_owned()));
    let row = |row: &PgRow| {
        let values = (0..row.len()).map(|at| value(row.try_get_raw(at).map_err(classify)?));
        Ok(gitsync_sql::Row::new(columns.clone(), values.collect::<Result<_>>()?))
    };
    rows.iter().map(row).collect()
}

fn value(raw: PgValueRef<'_>) -> Result<Value> {
    if raw.is_null() {
        return Ok(Value::Int(None));
    }
    let name = raw.type_info().name().to_owned();
    match name.as_str() {
        "BOOL" => decode(raw).map(|value: bool| Value::from(value)),
        "INT8" => decode(raw).map(|value: i64| Value::from(value)),
        "TEXT" => decode(raw).map(|value: String| Value::from(value)),
        "BYTEA" => decode(raw).map(|value: Vec<u8>| Value::from(value)),
        _ => Err(Error::new(ErrorKind::Corrupt, "the database holds a value of a foreign type").with("type", name)),
    }
}

fn decode<'r, T: sqlx::Decode<'r, Postgres>>(raw: PgValueRef<'r>) -> Result<T> {
    T::decode(raw).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("the database holds a value that cannot be read: {error}"))
    })
}
