//! The one connection that writes, and the calls that queue for it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gitsync_core::{Clock, Error, ErrorKind, Result};
use gitsync_sql::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::connection::Attached;
use crate::error::{classify, not_committed};
use crate::operation::{Call, Durability, Operation, Work};
use crate::turns::{Turn, Turns};

/// The most calls that are committed together.
const MAX_CALLS: usize = 256;
/// After this a transaction takes no more calls: those in it have waited long enough.
const MAX_AGE: Duration = Duration::from_millis(20);
/// How many calls may wait; further ones wait for a place.
const QUEUE: usize = 1024;

/// Where calls queue for the writer.
pub(crate) struct Writer {
    calls: mpsc::Sender<Box<dyn Operation>>,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    /// Starts the writer on a connection. It ends when the last call is done after the value was dropped.
    pub(crate) fn start(
        connection: SqliteConnection,
        options: SqliteConnectOptions,
        turns: Turns,
        clock: Arc<dyn Clock>,
    ) -> (Self, JoinHandle<()>) {
        let (sender, calls) = mpsc::channel(QUEUE);
        let task = WriterTask {
            calls,
            put_off: None,
            connection: Reopened { options, durability: Durability::Power, open: Some(connection) },
            turns,
            clock,
        };
        (Writer { calls: sender }, tokio::spawn(task.run()))
    }

    /// Does work in a transaction and returns once it is committed as durably as it needs.
    pub(crate) async fn write<T, F>(&self, durability: Durability, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send + 'static,
    {
        let closed = || Error::new(ErrorKind::Unavailable, "the database was closed");
        let (call, answer) = Call::new(durability, work);
        self.calls.send(Box::new(call)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

struct WriterTask {
    calls: mpsc::Receiver<Box<dyn Operation>>,
    /// A call that needs more of a commit than the transaction that met it: the first of the next one.
    put_off: Option<Box<dyn Operation>>,
    connection: Reopened,
    turns: Turns,
    clock: Arc<dyn Clock>,
}

impl WriterTask {
    async fn run(mut self) {
        while let Some(first) = self.next_transaction().await {
            if !first.is_abandoned() {
                self.transaction(first).await;
            }
        }
        if let Some(connection) = self.connection.open {
            // Closing writes the log back; if it cannot, the next one to open the database does.
            let _ = connection.close().await;
        }
    }

    async fn next_transaction(&mut self) -> Option<Box<dyn Operation>> {
        match self.put_off.take() {
            Some(call) => Some(call),
            None => self.calls.recv().await,
        }
    }

    /// Commits a call together with those that wait behind it.
    async fn transaction(&mut self, first: Box<dyn Operation>) {
        let mut calls = vec![first];
        let committed = self.try_transaction(&mut calls).await;
        if committed.is_err() {
            self.connection.open = None;
        }
        for call in calls {
            call.answer(committed.clone());
        }
    }

    /// Does the first call and takes further ones along. On an error nothing was changed.
    async fn try_transaction(&mut self, calls: &mut Vec<Box<dyn Operation>>) -> Result<()> {
        let durability = calls.first().map_or(Durability::Power, |first| first.durability());
        let (turn, connection) = match begin(&self.turns, &mut self.connection, durability).await {
            Ok(begun) => begun,
            Err(error) => {
                // Those behind it would wait as long, for the same answer.
                calls.extend(std::iter::from_fn(|| self.calls.try_recv().ok()));
                return Err(error);
            }
        };
        let began = Instant::now();
        let mut done = 0;
        while let Some(call) = calls.get_mut(done) {
            // Its caller may have gone away while the turn was waited for.
            let is_kept = !call.is_abandoned() && call.run(&mut Attached::new(connection, &*self.clock)).await;
            done += 1;
            if calls.len() < MAX_CALLS && began.elapsed() < MAX_AGE && self.put_off.is_none() {
                match next(&mut self.calls) {
                    Some(call) if call.durability() == Durability::Power && durability == Durability::Process => {
                        self.put_off = Some(call);
                    }
                    call => calls.extend(call),
                }
            }
            if let Err(error) = control(connection, after(is_kept, done < calls.len())).await {
                let _ = control(connection, "ROLLBACK").await;
                return Err(not_committed(&error));
            }
        }
        drop(turn);
        Ok(())
    }
}

/// Returns what ends a call, which ran within a savepoint of its own, so that its failure is undone alone. In one text, because
/// every way to the thread that SQLite is on takes as long as a statement.
fn after(is_kept: bool, another_follows: bool) -> &'static str {
    match (is_kept, another_follows) {
        (true, true) => "RELEASE call; SAVEPOINT call",
        (true, false) => "COMMIT",
        // The savepoint is still there, with nothing in it.
        (false, true) => "ROLLBACK TO call",
        (false, false) => "ROLLBACK TO call; COMMIT",
    }
}

/// The connection, which is opened anew after a failure that it may not have survived.
struct Reopened {
    options: SqliteConnectOptions,
    /// What its commits promise at present; a new one is opened with the most.
    durability: Durability,
    open: Option<SqliteConnection>,
}

/// Waits for a turn and begins a transaction, whose commit will promise what is asked for.
async fn begin<'w>(
    turns: &'w Turns,
    connection: &'w mut Reopened,
    durability: Durability,
) -> Result<(Turn<'w>, &'w mut SqliteConnection)> {
    let turn = turns.take().await?;
    let open = match &mut connection.open {
        Some(open) => open,
        missing => {
            connection.durability = Durability::Power;
            missing.insert(connection.options.connect().await.map_err(classify)?)
        }
    };
    if durability != connection.durability {
        control(open, pragma(durability)).await?;
        connection.durability = durability;
    }
    control(open, "BEGIN IMMEDIATE; SAVEPOINT call").await?;
    Ok((turn, open))
}

/// The statement that sets what commits promise; it must come before a transaction.
fn pragma(durability: Durability) -> &'static str {
    match durability {
        Durability::Power => "PRAGMA synchronous = FULL",
        Durability::Process => "PRAGMA synchronous = NORMAL",
    }
}

async fn control(connection: &mut SqliteConnection, statement: &'static str) -> Result<()> {
    sqlx::query(statement).execute(connection).await.map_err(classify)?;
    Ok(())
}

/// Returns the next call that somebody still waits for, if there is one already.
fn next(calls: &mut mpsc::Receiver<Box<dyn Operation>>) -> Option<Box<dyn Operation>> {
    std::iter::from_fn(|| calls.try_recv().ok()).find(|call| !call.is_abandoned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use gitsync_core::SystemClock;
    use gitsync_core::queue::QueueLimits;
    use gitsync_sql::Statement;

    use super::*;
    use crate::{SqliteOptions, SqliteStore};

    /// Asks the connection within a call what its commit will promise: 1 is NORMAL, 2 is FULL.
    fn ask(connection: &mut dyn Connection) -> Work<'_, i64> {
        Box::pin(async move {
            let mut rows = connection.fetch(Statement::new("PRAGMA synchronous", Vec::new())).await?;
            rows[0].int("synchronous")
        })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_call_gets_the_commit_it_needs_whatever_waits_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gitsync.db");
        let store = SqliteStore::open(path, Arc::new(SystemClock), QueueLimits::default()).await.unwrap();
        assert_eq!(store.write(ask).await.unwrap(), 2);
        assert_eq!(store.write_repeatable(ask).await.unwrap(), 1);
        for _ in 0..50 {
            let (relaxed, durable, other) =
                tokio::join!(store.write_repeatable(ask), store.write(ask), store.write_repeatable(ask));
            assert_eq!(durable.unwrap(), 2);
            // One that shares a transaction with a durable call gets more than it needs.
            assert!(relaxed.unwrap() <= 2 && other.unwrap() <= 2);
        }
        assert_eq!(store.write_repeatable(ask).await.unwrap(), 1, "and the next one no more again");
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_opened_again_is_told_to_all_who_wait() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = SqliteOptions::new(dir.path().join("gitsync.db"));
        let (sender, calls) = mpsc::channel(QUEUE);
        let mut task = WriterTask {
            calls,
            put_off: None,
            // A directory: nothing that can be opened.
            connection: Reopened {
                options: SqliteOptions::new(dir.path()).to_write(),
                durability: Durability::Power,
                open: None,
            },
            turns: Turns::open(&elsewhere).unwrap(),
            clock: Arc::new(SystemClock),
        };
        let mut answers = Vec::new();
        for durability in [Durability::Power, Durability::Process, Durability::Power] {
            let (call, answer) = Call::new(durability, ask);
            sender.send(Box::new(call)).await.unwrap();
            answers.push(answer);
        }
        let first = task.next_transaction().await.unwrap();
        task.transaction(first).await;
        for mut answer in answers {
            let error = answer.try_recv().expect("there is an answer").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
    }
}
