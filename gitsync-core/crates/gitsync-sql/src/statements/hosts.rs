//! Statements about source hosts.

use gitsync_core::source::HostKey;
use gitsync_core::{Result, Timestamp};
use sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict, Order, Query};

use super::jobs::answer;
use super::{is, select};
use crate::schema::host::{BLOCKED_UNTIL, NAME, RUNNING, TABLE};
use crate::{Dialect, Statement, Value, statement};

const EXCLUDED: &str = "excluded";

/// What happens to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostChange {
    /// The host.
    pub host: HostKey,
    /// How many more of its jobs run than did; less than none if they are fewer.
    pub running: i64,
    /// Until when it is left alone, unless it already was to be for longer.
    pub blocked_until: Option<Timestamp>,
}

/// Changes hosts, each at most once. They are locked in the order they are in.
pub fn change(dialect: Dialect, changes: &[HostChange]) -> Result<Vec<Statement>> {
    let sum = Expr::col((TABLE, RUNNING)).add(Expr::col((EXCLUDED, RUNNING)));
    let (ours, theirs) = (|| Expr::col((EXCLUDED, BLOCKED_UNTIL)), || Expr::col((TABLE, BLOCKED_UNTIL)));
    let later = Expr::case(theirs().is_null().or(ours().gt(theirs())), ours()).finally(theirs());
    let changed = OnConflict::column(NAME).value(RUNNING, sum).value(BLOCKED_UNTIL, later).to_owned();
    let record = |change: &HostChange| {
        vec![
            (NAME, change.host.as_str().into()),
            (RUNNING, change.running.into()),
            (BLOCKED_UNTIL, change.blocked_until.into()),
        ]
    };
    statement::insert_many(dialect, TABLE, changes.iter().map(record).collect(), Some(&changed))
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

/// Finds the next moment at which a blocked host is free again.
pub fn next_moment(dialect: Dialect, now: Timestamp) -> Result<Statement> {
    let mut select = Query::select();
    select.expr_as(Expr::col(BLOCKED_UNTIL).min(), answer::NEXT).from(TABLE);
    dialect.render(select.and_where(Expr::col(BLOCKED_UNTIL).gt(Value::from(now))))
}
