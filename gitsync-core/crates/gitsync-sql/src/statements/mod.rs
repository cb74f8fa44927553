//! The statements of the operations, by theme. Each is a function of the dialect and the values; nothing is run here.
//!
//! They are public so that a store can test how its database carries them out.

pub mod commits;
pub mod hosts;
pub mod jobs;
pub mod log;
pub mod organisations;
pub mod refs;
pub mod repositories;
pub mod storages;
pub mod tasks;

use gitsync_core::model::RepositoryId;
use sea_query::{Expr, ExprTrait, Query, SelectStatement};

use crate::Value;

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
fn is_in<V: Into<Value>>(column: &'static str, values: impl IntoIterator<Item = V>) -> Expr {
    Expr::col(column).is_in(values.into_iter().map(|value| Expr::from(value.into())))
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

/// Splits what goes into `IN (..)`: lists of one length have one text, which the database parses once.
pub(crate) fn chunks<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    items.chunks(500)
}
