//! The statements of the operations, by theme. Each is a function of the dialect and the values; nothing is run here.
//!
//! They are public so that a store can test how its database carries them out.

pub mod commits;
pub mod credentials;
pub mod hosts;
pub mod jobs;
pub mod log;
pub mod organisations;
pub mod push_targets;
pub mod refs;
pub mod repositories;
pub mod storages;
pub mod tasks;

use gitsync_core::Result;
use gitsync_core::model::RepositoryId;
use sea_query::extension::postgres::PgFunc;
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::{Dialect, Value};

/// Selects columns of a table.
fn select(table: &'static str, columns: &[&'static str]) -> SelectStatement {
    let mut select = Query::select();
    select.columns(columns.iter().copied()).from(table);
    select
}

/// Compares a column with a value.
fn is(column: &'static str, value: impl Into<Value>) -> Expr {
    Expr::col(column).eq(Expr::from(value.into()))
}

/// Holds if a column has one of some values.
///
/// Postgres gets them as one array: the text is the same for any number of them, and so is the plan, which looks them up.
fn is_in<V: Into<Value>>(dialect: Dialect, column: &'static str, values: impl IntoIterator<Item = V>) -> Result<Expr> {
    let mut values = values.into_iter().map(Into::into).peekable();
    Ok(match dialect {
        Dialect::Postgres if values.peek().is_some() => Expr::col(column).eq(PgFunc::any(Value::array(values)?)),
        Dialect::Postgres | Dialect::Sqlite => Expr::col(column).is_in(values.map(Expr::from)),
    })
}

/// Compares several columns with as many values at once, in the order of an index.
fn beyond<const N: usize>(columns: [&'static str; N], values: [Value; N]) -> (Expr, Expr) {
    (Expr::tuple(columns.map(Expr::col)), Expr::tuple(values.map(Expr::from)))
}

/// Holds for what belongs to a repository.
fn of(column: &'static str, repository: RepositoryId) -> Expr {
    is(column, repository.0)
}

/// Returns a limit that a statement can carry.
fn limit(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// Splits what goes into [`is_in`]. In SQLite lists of one length have one text, which the database parses once.
pub(crate) fn chunks<T>(dialect: Dialect, items: &[T]) -> impl Iterator<Item = &[T]> {
    items.chunks(match dialect {
        Dialect::Sqlite => 500,
        Dialect::Postgres => 5_000,
    })
}
