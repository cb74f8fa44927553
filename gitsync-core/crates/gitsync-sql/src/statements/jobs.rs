//! Statements about jobs, but for the search of a claim: how free hosts are found and locked is each database's own.

use std::time::Duration;

use gitsync_core::model::TaskId;
use gitsync_core::queue::{NewJob, QueueLimits};
use gitsync_core::{Result, Timestamp};
use sea_query::{Expr, ExprTrait, LockType, OnConflict, Order, Query};

use super::{is, is_in, select};
use crate::rows::job::record;
use crate::schema::job::{
    ABANDONED_AT, ALL, ATTEMPT, CANCEL_REQUESTED, COUNTED, DEADLINE_AT, EPOCH, HOST, ID, LEASED_UNTIL, PRIORITY,
    RUN_AT, STORAGE, TABLE, leased, still_waiting, waiting,
};
use crate::schema::literal;
use crate::{Dialect, Statement, Value, statement};

/// Puts jobs into the queue, each id once. One that waits gets the new lane, priority, time and attempts.
pub fn upsert(dialect: Dialect, jobs: &[NewJob]) -> Result<Vec<Statement>> {
    const EXCLUDED: &str = "excluded";
    let higher_epoch =
        Expr::case(Expr::col((EXCLUDED, EPOCH)).gt(Expr::col((TABLE, EPOCH))), Expr::col((EXCLUDED, EPOCH)))
            .finally(Expr::col((TABLE, EPOCH)));
    let changed = OnConflict::column(ID)
        .update_columns([STORAGE, HOST, PRIORITY, RUN_AT, ATTEMPT])
        .value(EPOCH, higher_epoch)
        .action_and_where(Expr::col((TABLE, LEASED_UNTIL)).is_null())
        .to_owned();
    statement::insert_many(dialect, TABLE, jobs.iter().map(record).collect(), Some(&changed))
}

/// Takes the expired leases away and answers with the host of each.
pub fn abandon_expired(dialect: Dialect, now: Timestamp) -> Result<Statement> {
    let mut update = Query::update();
    update
        .table(TABLE)
        .value(ABANDONED_AT, Expr::col(LEASED_UNTIL))
        .value(LEASED_UNTIL, Value::Int(None))
        .value(DEADLINE_AT, Value::Int(None))
        .and_where(leased())
        .and_where(Expr::col(LEASED_UNTIL).lte(now.as_micros()));
    dialect.render(update.returning_col(HOST))
}

/// Leases jobs and answers with them. The transaction has found them waiting.
pub fn lease(dialect: Dialect, ids: &[TaskId], limits: &QueueLimits, now: Timestamp) -> Result<Statement> {
    let until = |duration| Value::from(now.after(duration)).into();
    dialect.render(&lease_those(is_in(dialect, ID, ids.iter().copied())?, limits, until))
}

/// Leases jobs as part of the statement of Postgres that finds and locks them: `ids` is a query of that, and so is `now`. The
/// placeholders are the first ones of that statement.
pub fn lease_found(ids: &str, now: &str, limits: &QueueLimits) -> Result<Statement> {
    // As one array they are looked up, however many the database believes them to be.
    let found = literal(format!("{ID} = ANY (ARRAY({ids}))"));
    let until = |duration: Duration| {
        // Behind the present moment there has to be room for it.
        let micros = i64::try_from(duration.as_micros().min(u128::from(u64::MAX / 4))).unwrap_or(i64::MAX / 2);
        literal(format!("({now})")).add(Value::from(micros))
    };
    Dialect::Postgres.render(&lease_those(found, limits, until))
}

fn lease_those(found: Expr, limits: &QueueLimits, until: impl Fn(Duration) -> Expr) -> sea_query::UpdateStatement {
    let number = |number: i64| Value::from(number);
    let has_attempts = || Expr::col(ATTEMPT).lt(number(i64::from(limits.max_attempts)));
    let mut update = Query::update();
    update
        .table(TABLE)
        .value(EPOCH, Expr::col(EPOCH).add(number(1)))
        .value(ATTEMPT, Expr::case(has_attempts(), Expr::col(ATTEMPT).add(number(1))).finally(Expr::col(ATTEMPT)))
        .value(COUNTED, Expr::case(has_attempts(), Value::from(true)).finally(Value::from(false)))
        .value(LEASED_UNTIL, until(limits.lease))
        .value(DEADLINE_AT, until(limits.deadline))
        .value(ABANDONED_AT, Value::Int(None))
        .and_where(found)
        .and_where(still_waiting());
    update.returning(Query::returning().columns([ID, STORAGE, HOST, ATTEMPT, EPOCH, COUNTED])).to_owned()
}

/// Finds jobs by their ids and keeps them from others until the transaction ends.
pub fn lock(dialect: Dialect, ids: &[TaskId]) -> Result<Statement> {
    // All lock in this order, so that two who lock some of the same do not wait for each other.
    dialect.render(of_ids(dialect, ids)?.order_by(ID, Order::Asc).lock(LockType::Update))
}

/// Finds jobs by their ids.
pub fn by_ids(dialect: Dialect, ids: &[TaskId]) -> Result<Statement> {
    dialect.render(&of_ids(dialect, ids)?)
}

fn of_ids(dialect: Dialect, ids: &[TaskId]) -> Result<sea_query::SelectStatement> {
    let mut select = select(TABLE, ALL);
    select.and_where(is_in(dialect, ID, ids.iter().copied())?);
    Ok(select)
}

/// Extends leases.
pub fn extend(dialect: Dialect, ids: &[TaskId], until: Timestamp) -> Result<Statement> {
    statement::update(dialect, TABLE, vec![(LEASED_UNTIL, until.into())], [is_in(dialect, ID, ids.iter().copied())?])
}

/// Ends a lease; the job waits again, until another moment if there is one.
pub fn give_back(dialect: Dialect, id: TaskId, attempt: u32, run_at: Option<Timestamp>) -> Result<Statement> {
    let mut changes: statement::Record =
        vec![(ATTEMPT, attempt.into()), (LEASED_UNTIL, Value::Int(None)), (DEADLINE_AT, Value::Int(None))];
    changes.extend(run_at.map(|run_at| (RUN_AT, run_at.into())));
    statement::update(dialect, TABLE, changes, [is(ID, id)])
}

/// Deletes jobs.
pub fn delete(dialect: Dialect, ids: &[TaskId]) -> Result<Statement> {
    statement::delete(dialect, TABLE, [is_in(dialect, ID, ids.iter().copied())?])
}

/// Deletes the jobs whose leases are of an epoch and have not expired, and answers with their ids and hosts.
pub fn delete_held(dialect: Dialect, ids: &[TaskId], epoch: i64, now: Timestamp) -> Result<Statement> {
    // Not a condition that the index of leases could serve: they are found by their ids, see `still_waiting`.
    let expiry = Expr::col(LEASED_UNTIL).if_null(Value::from(0_i64));
    let mut delete = Query::delete();
    delete
        .from_table(TABLE)
        .and_where(is_in(dialect, ID, ids.iter().copied())?)
        .and_where(is(EPOCH, epoch))
        .and_where(expiry.gt(Value::from(now)));
    dialect.render(delete.returning(Query::returning().columns([ID, HOST])))
}

/// Deletes those jobs that nobody has begun to work on.
pub fn delete_untouched(dialect: Dialect, ids: &[TaskId]) -> Result<Statement> {
    let untouched = [is_in(dialect, ID, ids.iter().copied())?, still_waiting(), Expr::col(ABANDONED_AT).is_null()];
    statement::delete(dialect, TABLE, untouched)
}

/// Marks jobs as to be ended by whoever has them, or has them next.
pub fn request_cancel(dialect: Dialect, ids: &[TaskId]) -> Result<Statement> {
    statement::update(dialect, TABLE, vec![(CANCEL_REQUESTED, true.into())], [is_in(dialect, ID, ids.iter().copied())?])
}

/// The names of the columns that [`stats`] and [`next_moment`] answer with.
pub(crate) mod answer {
    pub(crate) const READY: &str = "ready";
    pub(crate) const SCHEDULED: &str = "scheduled";
    pub(crate) const RUNNING: &str = "running";
    pub(crate) const OLDEST: &str = "oldest";
    pub(crate) const NEXT: &str = "next";
}

/// Counts the jobs and finds the one that has been ready for the longest time.
pub fn stats(dialect: Dialect, now: Timestamp) -> Result<Statement> {
    let now = || Value::from(now);
    let running = || Expr::col(LEASED_UNTIL).is_not_null().and(Expr::col(LEASED_UNTIL).gt(now()));
    let ready = || running().not().and(Expr::col(RUN_AT).lte(now()));
    let scheduled = || running().not().and(Expr::col(RUN_AT).gt(now()));
    // A sum would be a number of another type in Postgres.
    let count = |condition| {
        let counted: Expr = Expr::case(condition, Value::from(1_i64)).into();
        counted.count()
    };
    // Since when it has been ready: since it was due, but not before its last lease expired.
    let lease_end = || Expr::col(LEASED_UNTIL).if_null(Expr::col(ABANDONED_AT).if_null(Expr::col(RUN_AT)));
    let since = Expr::case(lease_end().gt(Expr::col(RUN_AT)), lease_end()).finally(Expr::col(RUN_AT));
    let mut select = Query::select();
    select
        .expr_as(count(ready()), answer::READY)
        .expr_as(count(scheduled()), answer::SCHEDULED)
        .expr_as(count(running()), answer::RUNNING)
        .expr_as(Expr::case(ready(), since).finally(Value::Int(None)).min(), answer::OLDEST)
        .from(TABLE);
    dialect.render(&select)
}

/// Finds the next moments at which time alone makes a job ready: when it is due, and when a lease expires.
pub fn next_moment(dialect: Dialect, now: Timestamp) -> Result<Statement> {
    let next = |column: &'static str, condition| {
        let mut select = Query::select();
        select.expr_as(Expr::col(column).min(), answer::NEXT).from(TABLE);
        select.and_where(condition).and_where(Expr::col(column).gt(Value::from(now)));
        select
    };
    let mut select = next(RUN_AT, waiting());
    dialect.render(select.union(sea_query::UnionType::All, next(LEASED_UNTIL, leased())))
}
