//! Statements about commits.

use gitsync_core::model::{Commit, ObjectId, RepositoryId};
use gitsync_core::store::CommitFilter;
use gitsync_core::{Result, Timestamp};
use sea_query::{CommonTableExpression, Expr, ExprTrait, JoinType, OnConflict, Order, Query, UnionType, WithClause};

use super::{beyond, is, is_in, of, select};
use crate::rows::commit::record;
use crate::schema::commit::{
    ALL, AUTHOR_EMAIL, COMMITTER_SECONDS, ID, ORPHANED_AT, PARENTS, RECORDED_BY, REPOSITORY, TABLE, reached,
    reached_until_now, still_reached,
};
use crate::{Dialect, Statement, Value, statement};

/// Writes commits. Those that are there are marked as seen by the task with this fence, and are orphans no longer.
pub fn upsert(dialect: Dialect, repository: RepositoryId, fence: i64, commits: &[Commit]) -> Result<Vec<Statement>> {
    let unique = statement::last_of_each(commits, |commit| commit.id);
    let records = unique.map(|commit| record(repository, fence, commit)).collect();
    let seen_before = Expr::col((TABLE, RECORDED_BY)).ne(Value::from(fence));
    let seen = OnConflict::columns([REPOSITORY, ID])
        .update_columns([RECORDED_BY, ORPHANED_AT])
        .action_and_where(seen_before.or(Expr::col((TABLE, ORPHANED_AT)).is_not_null()))
        .to_owned();
    statement::insert_many(dialect, TABLE, records, Some(&seen))
}

/// Marks commits as reached by no branch or tag.
pub fn orphan(dialect: Dialect, repository: RepositoryId, ids: &[ObjectId], now: Timestamp) -> Result<Statement> {
    let these = is_in(dialect, ID, ids.iter().copied())?;
    statement::update(dialect, TABLE, orphaned(now), [of(REPOSITORY, repository), these, still_reached()])
}

/// Marks commits that the task with this fence did not record, those first that were recorded longest ago.
///
/// A fence only rises: what another one recorded has a lower one. So the index leads to what is to be marked, past all that
/// was recorded and all that is marked.
pub fn orphan_unrecorded(
    dialect: Dialect,
    repository: RepositoryId,
    fence: i64,
    now: Timestamp,
    limit: usize,
) -> Result<Statement> {
    let mut unrecorded = select(TABLE, &[ID]);
    unrecorded
        .and_where(of(REPOSITORY, repository))
        .and_where(Expr::col(RECORDED_BY).lt(fence))
        .and_where(reached_until_now());
    unrecorded.order_by(RECORDED_BY, Order::Asc).limit(super::limit(limit));
    let these = Expr::col(ID).in_subquery(unrecorded);
    statement::update(dialect, TABLE, orphaned(now), [of(REPOSITORY, repository), these]).map(Statement::planned_anew)
}

fn orphaned(now: Timestamp) -> statement::Record {
    vec![(ORPHANED_AT, now.into())]
}

/// Deletes commits of a repository, the oldest first: neighbours in time mostly are so in the table.
pub fn delete_some(dialect: Dialect, repository: RepositoryId, limit: usize) -> Result<Statement> {
    let mut some = select(TABLE, &[ID]);
    some.and_where(of(REPOSITORY, repository)).limit(super::limit(limit));
    some.order_by(COMMITTER_SECONDS, Order::Asc).order_by(ID, Order::Asc);
    statement::delete(dialect, TABLE, [of(REPOSITORY, repository), Expr::col(ID).in_subquery(some)])
        .map(Statement::planned_anew)
}

/// Lists commits, newest commit time first, those of one second by id from the highest, after one. With a tip only those
/// that it reaches.
pub fn list(
    dialect: Dialect,
    repository: RepositoryId,
    filter: &CommitFilter,
    tip: Option<ObjectId>,
    after: Option<(i64, ObjectId)>,
    limit: u64,
) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(of(REPOSITORY, repository));
    select.and_where_option(filter.author_email.as_deref().map(|email| is(AUTHOR_EMAIL, email)));
    select.and_where_option(filter.since_seconds.map(|since| Expr::col(COMMITTER_SECONDS).gte(since)));
    select.and_where_option(filter.until_seconds.map(|until| Expr::col(COMMITTER_SECONDS).lt(until)));
    if !filter.include_orphaned {
        select.and_where(reached());
    }
    if let Some((seconds, id)) = after {
        let (columns, values) = beyond([COMMITTER_SECONDS, ID], [seconds.into(), id.into()]);
        select.and_where(columns.lt(values));
    }
    select.order_by(COMMITTER_SECONDS, Order::Desc).order_by(ID, Order::Desc).limit(limit);
    let Some(tip) = tip else { return dialect.render(&select).map(Statement::planned_anew) };
    select.and_where(Expr::col(ID).in_subquery(super::select(REACHED, &[REACHED_ID])));
    dialect.render(&select.with(ancestors(repository, tip))).map(Statement::planned_anew)
}

/// The commits that a tip reaches, as a table for the length of one statement.
const REACHED: &str = "reached";
const REACHED_ID: &str = "id";
/// How many bytes of a commit's parents were passed over.
const SKIPPED: &str = "skipped";

/// Defines the table of those that a tip reaches.
///
/// A row is a commit and a place among its parents, which leads to the first place of the parent that stands there, and to
/// the next place. Dates are not looked at, and each row is there once, so that the walk ends.
fn ancestors(repository: RepositoryId, tip: ObjectId) -> WithClause {
    const STEPS: &str = "steps";
    const STEP: &str = "step";
    let step = |step| Query::select().expr_as(Expr::cust(step), STEP).to_owned();
    let steps = step("0").union(UnionType::All, step("1")).to_owned();
    let mut next = Query::select();
    next.expr(Expr::cust(format!(
        "CASE {STEP} WHEN 0 THEN substr({PARENTS}, {SKIPPED} + 1, length({ID})) ELSE {ID} END"
    )))
    .expr(Expr::cust(format!("{STEP} * ({SKIPPED} + length({ID}))")))
    .from(REACHED)
    .inner_join(TABLE, of(REPOSITORY, repository).and(Expr::col(ID).equals((REACHED, REACHED_ID))))
    .join_subquery(JoinType::InnerJoin, steps, STEPS, Expr::cust("1 = 1"))
    .and_where(Expr::cust(format!("{SKIPPED} + {STEP} * length({ID}) < length({PARENTS})")));

    let mut walk = select(TABLE, &[ID]);
    walk.expr(Expr::cust("0")).and_where(of(REPOSITORY, repository)).and_where(is(ID, tip));
    walk.union(UnionType::Distinct, next);
    let mut reached = CommonTableExpression::new();
    reached.table_name(REACHED).columns([REACHED_ID, SKIPPED]).query(walk);
    WithClause::new().recursive(true).cte(reached).to_owned()
}
