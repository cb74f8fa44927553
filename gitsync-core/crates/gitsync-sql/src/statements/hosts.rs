//! Statements about source hosts.

use gitsync_core::rules::{HostLesson, LESSONS_KEPT};
use gitsync_core::source::HostKey;
use gitsync_core::{Result, Timestamp};
use sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Order, Query};

use super::jobs::answer;
use super::{is, select};
use crate::rows::host::record;
use crate::schema::host::{ALL, BLOCKED_UNTIL, NAME, RUNNING, TABLE, is_plain};
use crate::statement::{self, Record};
use crate::{Dialect, Statement, Value};

/// Changes how many jobs of hosts run, by how many more or fewer those are; each host at most once. They are locked in the order
/// they are in.
pub fn count(dialect: Dialect, changes: &[(&HostKey, i64)]) -> Result<Vec<Statement>> {
    statement::insert_many(dialect, TABLE, rows(changes), Some(&sum()))
}

/// Does the same and answers with all that is known of the hosts.
pub fn count_and_tell(dialect: Dialect, changes: &[(&HostKey, i64)]) -> Result<Vec<Statement>> {
    statement::insert_many_returning(dialect, TABLE, rows(changes), &sum(), ALL)
}

fn rows(changes: &[(&HostKey, i64)]) -> Vec<Record> {
    let row = |(host, running): &(&HostKey, i64)| vec![(NAME, host.as_str().into()), (RUNNING, (*running).into())];
    changes.iter().map(row).collect()
}

/// Adds to the count of a host that there is a row of.
fn sum() -> OnConflict {
    let sum = Expr::col((TABLE, RUNNING)).add(Expr::col(("excluded", RUNNING)));
    OnConflict::column(NAME).value(RUNNING, sum).to_owned()
}

/// Notes what was learned of a host. Its row is locked.
pub fn note(dialect: Dialect, lesson: &HostLesson) -> Result<Statement> {
    statement::update(dialect, TABLE, record(&lesson.after), [is(NAME, lesson.host.as_str())])
}

/// Deletes hosts of which no job runs, that are not left alone and of which nothing is known any more, the first ones by name.
pub fn delete_idle(dialect: Dialect, now: Timestamp, limit: usize) -> Result<Statement> {
    let over = Expr::case(is_plain(), Value::from(now)).finally(Value::from(now.before(LESSONS_KEPT)));
    let is_free = Expr::col(BLOCKED_UNTIL).is_null().or(Expr::col(BLOCKED_UNTIL).lte(over));
    let mut some = select(TABLE, &[NAME]);
    some.and_where(is(RUNNING, 0_i64)).and_where(is_free).order_by(NAME, Order::Asc).limit(super::limit(limit));
    // One that a claim is at is not idle.
    some.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    statement::delete(dialect, TABLE, [Expr::col(NAME).in_subquery(some)]).map(Statement::planned_anew)
}

/// Finds the hosts that are left alone, or of which something is known, the first ones by name.
pub fn spared(dialect: Dialect, now: Timestamp, limit: usize) -> Result<Statement> {
    let is_blocked = Expr::col(BLOCKED_UNTIL).is_not_null().and(Expr::col(BLOCKED_UNTIL).gt(Value::from(now)));
    let mut select = select(TABLE, ALL);
    dialect
        .render(select.and_where(is_plain().not().or(is_blocked)).order_by(NAME, Order::Asc).limit(super::limit(limit)))
}

/// Finds the next moment at which a blocked host is free again.
pub fn next_moment(dialect: Dialect, now: Timestamp) -> Result<Statement> {
    let mut select = Query::select();
    select.expr_as(Expr::col(BLOCKED_UNTIL).min(), answer::NEXT).from(TABLE);
    dialect.render(select.and_where(Expr::col(BLOCKED_UNTIL).gt(Value::from(now))))
}
