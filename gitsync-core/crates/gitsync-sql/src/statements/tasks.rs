//! Statements about tasks.

use gitsync_core::model::{Progress, RepositoryId, SyncTask, TaskId};
use gitsync_core::state::TaskStatus;
use gitsync_core::store::TaskFilter;
use gitsync_core::{Result, Timestamp};
use sea_query::{Cond, Expr, ExprTrait, Order, Query};

use super::{is, is_in, of, select};
use crate::rows::task::{progress_record, record};
use crate::schema::repository;
use crate::schema::task::{
    ALL, COMPLETED_AT, ENQUEUED_AT, ID, KIND, REPOSITORY, STATUS, TABLE, ended, is as in_status, to_enqueue,
};
use crate::{Dialect, Statement, statement};

/// Inserts a task.
pub fn insert(dialect: Dialect, task: &SyncTask) -> Result<Statement> {
    statement::insert(dialect, TABLE, record(task))
}

/// Inserts many tasks.
pub fn insert_many(dialect: Dialect, tasks: &[SyncTask]) -> Result<Vec<Statement>> {
    statement::insert_many(dialect, TABLE, tasks.iter().map(record).collect(), None)
}

/// Writes what differs between a task as it was read and as it is to be. `None` if nothing does.
pub fn update(dialect: Dialect, before: &SyncTask, after: &SyncTask) -> Result<Option<Statement>> {
    let changes = statement::changes(record(before), record(after));
    if changes.is_empty() {
        return Ok(None);
    }
    statement::update(dialect, TABLE, changes, [is(ID, before.id)]).map(Some)
}

/// Writes how far a task is.
pub fn set_progress(dialect: Dialect, id: TaskId, progress: &Progress) -> Result<Statement> {
    statement::update(dialect, TABLE, progress_record(progress), [is(ID, id)])
}

/// Writes that the jobs of tasks are in the queue.
pub fn set_enqueued(dialect: Dialect, ids: &[TaskId], now: Timestamp) -> Result<Statement> {
    let enqueued = vec![(ENQUEUED_AT, now.into())];
    statement::update(dialect, TABLE, enqueued, [is_in(dialect, ID, ids.iter().copied())?, to_enqueue()])
}

/// Finds a task by its id.
pub fn by_id(dialect: Dialect, id: TaskId) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is(ID, id)))
}

/// Finds tasks by their ids.
pub fn by_ids(dialect: Dialect, ids: &[TaskId]) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is_in(dialect, ID, ids.iter().copied())?))
}

/// Finds the unfinished tasks of repositories: of each one that waits and one that runs at most.
pub fn unfinished(dialect: Dialect, repositories: &[RepositoryId]) -> Result<Statement> {
    let of_repositories = is_in(dialect, REPOSITORY, repositories.iter().map(|id| id.0))?;
    // Two queries, because each has its own partial index.
    let mut pending = select(TABLE, ALL);
    pending.and_where(in_status(TaskStatus::Pending)).and_where(of_repositories.clone());
    let mut running = select(TABLE, ALL);
    running.and_where(in_status(TaskStatus::Running)).and_where(of_repositories);
    dialect.render(pending.union(sea_query::UnionType::All, running))
}

/// Lists the tasks of existing repositories from the highest id, after one.
pub fn list(dialect: Dialect, filter: &TaskFilter, after: Option<TaskId>, limit: u64) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where_option(filter.repository.map(|repository| of(REPOSITORY, repository)));
    select.and_where_option(filter.status.map(|status| is(STATUS, status.as_str())));
    select.and_where_option(filter.kind.map(|kind| is(KIND, kind.as_str())));
    select.and_where_option(after.map(|after| Expr::col(ID).lt(crate::Value::from(after))));
    select.and_where(Expr::exists(repository_of_task()));
    dialect.render(select.order_by(ID, Order::Desc).limit(limit)).map(Statement::planned_anew)
}

/// Selects the repository of a row of tasks.
fn repository_of_task() -> sea_query::SelectStatement {
    let mut select = Query::select();
    select
        .expr(Expr::cust("1"))
        .from(repository::TABLE)
        .and_where(Expr::col((repository::TABLE, repository::ID)).equals((TABLE, REPOSITORY)));
    select
}

/// Lists the tasks whose jobs are still to be put into the queue, by id.
pub fn outbox(dialect: Dialect, limit: usize) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(to_enqueue());
    dialect.render(select.order_by(ID, Order::Asc).limit(super::limit(limit)))
}

/// Deletes tasks of a repository but for one, the oldest first.
pub fn delete_others(dialect: Dialect, repository: RepositoryId, keep: TaskId, limit: usize) -> Result<Statement> {
    let mut others = select(TABLE, &[ID]);
    others.and_where(of(REPOSITORY, repository)).and_where(Expr::col(ID).ne(crate::Value::from(keep)));
    others.order_by(ID, Order::Asc).limit(super::limit(limit));
    statement::delete(dialect, TABLE, [Expr::col(ID).in_subquery(others)]).map(Statement::planned_anew)
}

/// Deletes tasks that ended before a moment, longest ago first, but for the last one of each existing repository that has
/// ended.
pub fn prune(dialect: Dialect, before: Timestamp, limit: usize) -> Result<Statement> {
    const LATER: &str = "later";
    let mut later = Query::select();
    later
        .expr(Expr::cust("1"))
        .from_as(TABLE, LATER)
        .and_where(Expr::col((LATER, REPOSITORY)).equals((TABLE, REPOSITORY)))
        .and_where(Expr::col((LATER, ID)).gt(Expr::col((TABLE, ID))))
        .and_where(Expr::col((LATER, COMPLETED_AT)).is_not_null());
    let mut old = Query::select();
    old.column((TABLE, ID))
        .from(TABLE)
        .and_where(ended())
        .and_where(Expr::col((TABLE, COMPLETED_AT)).lt(before.as_micros()))
        .cond_where(Cond::any().add(Expr::exists(later)).add(Expr::not_exists(repository_of_task())))
        .order_by((TABLE, COMPLETED_AT), Order::Asc)
        .limit(super::limit(limit));
    statement::delete(dialect, TABLE, [Expr::col(ID).in_subquery(old)]).map(Statement::planned_anew)
}
