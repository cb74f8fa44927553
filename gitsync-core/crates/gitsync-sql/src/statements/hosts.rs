//! Statements about source hosts.

use gitsync_core::source::HostKey;
use gitsync_core::{Result, Timestamp};
use sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Order, Query};

use super::jobs::answer;
use super::{is, select};
use crate::schema::host::{BLOCKED_UNTIL, NAME, RUNNING, TABLE};
use crate::{Dialect, Statement, Value, statement};

const EXCLUDED: &str = "excluded";

/// Counts jobs of a host that began to run.
pub fn begin(dialect: Dialect, host: &HostKey, jobs: i64) -> Result<Statement> {
    let sum = Expr::col((TABLE, RUNNING)).add(Expr::col((EXCLUDED, RUNNING)));
    let counted = OnConflict::column(NAME).value(RUNNING, sum).to_owned();
    upsert(dialect, host, jobs, None, &counted)
}

/// Counts jobs of a host that run no longer.
pub fn end(dialect: Dialect, host: &HostKey, jobs: i64) -> Result<Statement> {
    let mut update = Query::update();
    update.table(TABLE).value(RUNNING, Expr::col(RUNNING).sub(Value::from(jobs)));
    dialect.render(update.and_where(is(NAME, host.as_str())))
}

/// Leaves a host alone until a moment, or longer if it already was to be.
pub fn block(dialect: Dialect, host: &HostKey, until: Timestamp) -> Result<Statement> {
    let (ours, theirs) = (|| Expr::col((EXCLUDED, BLOCKED_UNTIL)), || Expr::col((TABLE, BLOCKED_UNTIL)));
    let later = Expr::case(theirs().is_null().or(ours().gt(theirs())), ours()).finally(theirs());
    let blocked = OnConflict::column(NAME).value(BLOCKED_UNTIL, later).to_owned();
    upsert(dialect, host, 0, Some(until), &blocked)
}

/// Deletes hosts of which no job runs and that are not left alone, the first ones by name.
pub fn delete_idle(dialect: Dialect, now: Timestamp, limit: usize) -> Result<Statement> {
    let is_free = Expr::col(BLOCKED_UNTIL).is_null().or(Expr::col(BLOCKED_UNTIL).lte(Value::from(now)));
    let mut some = select(TABLE, &[NAME]);
    some.and_where(is(RUNNING, 0_i64)).and_where(is_free).order_by(NAME, Order::Asc).limit(super::limit(limit));
    // One that a claim is at is not idle.
    some.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    statement::delete(dialect, TABLE, [Expr::col(NAME).in_subquery(some)]).map(Statement::planned_anew)
}

fn upsert(
    dialect: Dialect,
    host: &HostKey,
    running: i64,
    blocked_until: Option<Timestamp>,
    on_conflict: &OnConflict,
) -> Result<Statement> {
    let record = vec![(NAME, host.as_str().into()), (RUNNING, running.into()), (BLOCKED_UNTIL, blocked_until.into())];
    let mut statements = statement::insert_many(dialect, TABLE, vec![record], Some(on_conflict))?;
    statements
        .pop()
        .ok_or_else(|| gitsync_core::Error::new(gitsync_core::ErrorKind::Internal, "no statement was made for a row"))
}

/// Finds the next moment at which a blocked host is free again.
pub fn next_moment(dialect: Dialect, now: Timestamp) -> Result<Statement> {
    let mut select = Query::select();
    select.expr_as(Expr::col(BLOCKED_UNTIL).min(), answer::NEXT).from(TABLE);
    dialect.render(select.and_where(Expr::col(BLOCKED_UNTIL).gt(Value::from(now))))
}
