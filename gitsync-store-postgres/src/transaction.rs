//! Transactions, and what is done again when Postgres ends one for the sake of another.

use std::fmt;

use gitsync_core::{Error, Result};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Executor, Postgres, Row};
use tokio::runtime::Handle;

use crate::connection::Attached;
use crate::error::{classify, is_lost, is_worth_repeating};
use crate::time::{Time, TimeSource, read_time};

/// How often a transaction is tried that others get in the way of.
const ATTEMPTS: u32 = 8;

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It writes nothing, and all that it sees was true at the same moment.
    Read,
    /// Each statement sees what was committed before it. What a decision depends on is locked first.
    Write,
    /// Like [`Mode::Write`], but it may be lost when the machine of the database fails, as long as all is that was committed
    /// later: what is lost is only done again. So its end does not wait for the disk.
    WriteRepeatable,
    /// All that it sees was true at the same moment, and it fails if it writes what was changed since: for decisions about
    /// rows that are not locked.
    WriteUnlocked,
}

impl Mode {
    /// Returns what begins a transaction and answers with the time, which so costs no way of its own to the database.
    fn begin(self) -> &'static str {
        match self {
            Mode::Read => concat!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ", read_time!()),
            Mode::Write => concat!("BEGIN ISOLATION LEVEL READ COMMITTED; ", read_time!()),
            Mode::WriteRepeatable => {
                concat!("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off; ", read_time!())
            }
            Mode::WriteUnlocked => concat!("BEGIN ISOLATION LEVEL REPEATABLE READ; ", read_time!()),
        }
    }
}

/// A transaction on a connection of the pool. One that is dropped is rolled back, and its connection goes back to the pool only
/// then: the database is at work for it until it has answered, so it counts among those that may be open.
///
/// The driver has such a type, too, but the answer to its beginning is lost.
pub(crate) struct Transaction {
    /// Missing only once it was taken to be rolled back.
    connection: Option<PoolConnection<Postgres>>,
    time: Time,
    is_open: bool,
}

/// Why a transaction has a connection.
const TAKEN: &str = "only a drop takes the connection";

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("is_open", &self.is_open).finish_non_exhaustive()
    }
}

impl Transaction {
    /// Begins a transaction. Whether a connection still works is not asked before: nothing has happened if it does not, and
    /// another one is taken.
    pub(crate) async fn begin(pool: &PgPool, source: &TimeSource, mode: Mode) -> Result<Self> {
        let mut idle = pool.num_idle();
        loop {
            let connection = pool.acquire().await.map_err(classify)?;
            match Transaction::begin_on(connection, source, mode).await {
                Err(error) if idle > 0 && is_lost(&error) => idle -= 1,
                begun => return begun.map_err(classify),
            }
        }
    }

    async fn begin_on(connection: PoolConnection<Postgres>, source: &TimeSource, mode: Mode) -> sqlx::Result<Self> {
        // Open before it is: a beginning that is given up may have happened.
        let mut transaction = Transaction { connection: Some(connection), time: Time::begin(source, 0), is_open: true };
        let row = transaction.driver().fetch_one(mode.begin()).await?;
        transaction.time = Time::begin(source, row.try_get(0)?);
        Ok(transaction)
    }

    /// Returns what the operations work on.
    pub(crate) fn attach(&mut self) -> Attached<'_> {
        let connection = self.connection.as_mut().expect(TAKEN);
        Attached::new(connection, Some(&self.time))
    }

    pub(crate) async fn commit(mut self) -> Result<()> {
        let committed = self.driver().execute("COMMIT").await;
        // If it failed there is no transaction any more, or no connection.
        self.is_open = false;
        committed.map_err(classify)?;
        Ok(())
    }

    pub(crate) async fn rollback(mut self) {
        self.is_open = self.driver().execute("ROLLBACK").await.is_err();
    }

    fn driver(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(TAKEN)
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take().filter(|_| self.is_open) else { return };
        let Ok(runtime) = Handle::try_current() else { return connection.close_on_drop() };
        runtime.spawn(async move {
            if connection.execute("ROLLBACK").await.is_err() {
                connection.close_on_drop();
            }
        });
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
pub(crate) async fn end<T>(transaction: Transaction, outcome: Result<T>, attempt: u32) -> End<T> {
    let outcome = match outcome {
        Ok(value) => transaction.commit().await.map(|()| value),
        Err(error) => {
            transaction.rollback().await;
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
                let mut attached = transaction.attach();
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
