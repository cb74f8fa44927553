//! Statements about the log of references.

use gitsync_core::model::{RefChange, RepositoryId, TaskId};
use gitsync_core::{Result, Timestamp};
use sea_query::{Expr, ExprTrait, Order, Query};

use super::{of, select};
use crate::rows::ref_update::record;
use crate::schema::ref_update::{ALL, AT, ID, REPOSITORY, TABLE};
use crate::{Dialect, Statement, statement};

/// Appends entries in their order.
pub fn insert(
    dialect: Dialect,
    repository: RepositoryId,
    task: TaskId,
    now: Timestamp,
    changes: impl IntoIterator<Item = RefChange>,
) -> Result<Vec<Statement>> {
    let records = changes.into_iter().map(|change| record(repository, task, now, &change)).collect();
    statement::insert_many(dialect, TABLE, records, None)
}

/// Lists the entries of a repository, newest first, after one.
pub fn list(dialect: Dialect, repository: RepositoryId, after: Option<i64>, limit: u64) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(of(REPOSITORY, repository));
    select.and_where_option(after.map(|after| Expr::col(ID).lt(after)));
    dialect.render(select.order_by(ID, Order::Desc).limit(limit))
}

/// Deletes entries of a repository, the oldest first.
pub fn delete_some(dialect: Dialect, repository: RepositoryId, limit: usize) -> Result<Statement> {
    let mut some = select(TABLE, &[ID]);
    some.and_where(of(REPOSITORY, repository)).order_by(ID, Order::Asc).limit(super::limit(limit));
    statement::delete(dialect, TABLE, [Expr::col(ID).in_subquery(some)]).map(Statement::planned_anew)
}

/// Deletes entries that were made before a moment, longest ago first.
pub fn prune(dialect: Dialect, before: Timestamp, limit: usize) -> Result<Statement> {
    let mut old = Query::select();
    old.column(ID).from(TABLE).and_where(Expr::col(AT).lt(before.as_micros()));
    old.order_by(AT, Order::Asc).limit(super::limit(limit));
    statement::delete(dialect, TABLE, [Expr::col(ID).in_subquery(old)]).map(Statement::planned_anew)
}
