//! Transactions, and what is done again when Postgres ends one for the sake of another.

use gitsync_core::{Error, Result};
use sqlx::{Postgres, Transaction};

use crate::error::{classify, is_worth_repeating};

/// How often a transaction is tried that others get in the way of.
const ATTEMPTS: u32 = 8;

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It writes nothing, and all that it sees was true at the same moment.
    Read,
    /// Each statement sees what was committed before it. What a decision depends on is locked first.
    Write,
    /// All that it sees was true at the same moment, and it fails if it writes what was changed since: for decisions about
    /// rows that are not locked.
    WriteUnlocked,
}

impl Mode {
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Mode::Write => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Mode::WriteUnlocked => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        }
    }
}

/// How an attempt ended.
pub(crate) enum End<T> {
    /// For good.
    Answer(Result<T>),
    /// Others were in the way, and nothing was changed.
    Again,
}

/// Commits what succeeded and rolls back what failed.
pub(crate) async fn end<T>(transaction: Transaction<'static, Postgres>, outcome: Result<T>, attempt: u32) -> End<T> {
    let outcome = match outcome {
        Ok(value) => transaction.commit().await.map(|()| value).map_err(classify),
        Err(error) => {
            // If it cannot be rolled back the connection is gone, and the transaction with it.
            let _ = transaction.rollback().await;
            Err(error)
        }
    };
    match outcome {
        Err(error) if may_repeat(&error, attempt) => End::Again,
        outcome => End::Answer(outcome),
    }
}

fn may_repeat(error: &Error, attempt: u32) -> bool {
    attempt < ATTEMPTS && is_worth_repeating(error)
}

/// Does work in a transaction of a [`PostgresStore`](crate::PostgresStore) and returns once it is committed. The work may
/// be done several times.
///
/// This is a macro because a function cannot say that the future of a closure, which borrows the connection and the arguments of
/// the call, can be sent to another thread.
macro_rules! in_transaction {
    ($store:expr, $mode:expr, |$connection:ident| $work:expr) => {{
        let mut attempt = 1;
        loop {
            let mut transaction = $store.begin($mode).await?;
            let outcome = {
                let mut attached = $crate::connection::Attached::new(&mut transaction, &*$store.clock);
                let $connection = &mut attached;
                $work.await
            };
            match $crate::transaction::end(transaction, outcome, attempt).await {
                $crate::transaction::End::Answer(answer) => break answer,
                $crate::transaction::End::Again => attempt += 1,
            }
        }
    }};
}
pub(crate) use in_transaction;
