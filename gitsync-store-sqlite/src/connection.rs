//! The seam of [`gitsync_sql`], on a connection of the driver.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use gitsync_core::{Clock, Error, ErrorKind, Result, Timestamp};
use gitsync_sql::{Columns, Connection, Dialect, Statement, Value};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow, SqliteValueRef};
use sqlx::{AssertSqlSafe, Column, Row, SqlSafeStr, Sqlite, TypeInfo, ValueRef};

use crate::error::classify;

/// A connection in a transaction, and the clock that its time comes from.
pub(crate) struct Attached<'c> {
    connection: &'c mut SqliteConnection,
    clock: &'c dyn Clock,
}

impl<'c> Attached<'c> {
    pub(crate) fn new(connection: &'c mut SqliteConnection, clock: &'c dyn Clock) -> Self {
        Attached { connection, clock }
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
        Dialect::Sqlite
    }

    async fn now(&mut self) -> Result<Timestamp> {
        Ok(self.clock.now())
    }

    async fn fetch(&mut self, statement: Statement) -> Result<Vec<gitsync_sql::Row>> {
        let rows = bind(statement)?.fetch_all(&mut *self.connection).await.map_err(classify)?;
        read(&rows)
    }

    async fn execute(&mut self, statement: Statement) -> Result<u64> {
        let done = bind(statement)?.execute(&mut *self.connection).await.map_err(classify)?;
        Ok(done.rows_affected())
    }
}

fn bind(statement: Statement) -> Result<Query<'static, Sqlite, SqliteArguments>> {
    let sql = match statement.sql {
        Cow::Borrowed(text) => text.into_sql_str(),
        // Values never enter the text: it was written by sea-query, with placeholders.
        Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
    };
    let query = sqlx::query(sql).persistent(statement.recurs);
    statement.values.into_iter().try_fold(query, |query, value| match value {
        Value::Bool(value) => Ok(query.bind(value)),
        Value::Int(value) => Ok(query.bind(value)),
        Value::Text(value) => Ok(query.bind(value)),
        Value::Bytes(value) => Ok(query.bind(value)),
        Value::Array(_) => {
            Err(Error::new(ErrorKind::Internal, "a statement holds an array, which SQLite does not have"))
        }
    })
}

fn read(rows: &[SqliteRow]) -> Result<Vec<gitsync_sql::Row>> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let columns = Columns::new(first.columns().iter().map(|column| column.name().to_owned()));
    let row = |row: &SqliteRow| {
        let values = (0..row.len()).map(|at| value(row.try_get_raw(at).map_err(classify)?));
        Ok(gitsync_sql::Row::new(columns.clone(), values.collect::<Result<_>>()?))
    };
    rows.iter().map(row).collect()
}

/// Reads a value by what it is; what its column was declared as does not matter to SQLite.
fn value(raw: SqliteValueRef<'_>) -> Result<Value> {
    if raw.is_null() {
        return Ok(Value::Int(None));
    }
    let name = raw.type_info().name().to_owned();
    match name.as_str() {
        "INTEGER" | "BOOLEAN" => decode(raw).map(|value: i64| Value::from(value)),
        "TEXT" => decode(raw).map(|value: String| Value::from(value)),
        "BLOB" => decode(raw).map(|value: Vec<u8>| Value::from(value)),
        _ => Err(Error::new(ErrorKind::Corrupt, "the database holds a value of a foreign type").with("type", name)),
    }
}

fn decode<'r, T: sqlx::Decode<'r, Sqlite>>(raw: SqliteValueRef<'r>) -> Result<T> {
    T::decode(raw).map_err(|error| {
        Error::new(ErrorKind::Corrupt, format!("the database holds a value that cannot be read: {error}"))
    })
}
