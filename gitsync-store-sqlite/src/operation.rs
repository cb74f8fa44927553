//! A call, as it waits for the writer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_sql::Connection;
use tokio::sync::oneshot;

/// What a call does on the connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'c>>;

/// What a commit promises before the call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It survives a loss of power.
    Power,
    /// It survives the end of the process. A loss of power may take it, but never without everything that was committed
    /// later, and takes every worker of the database along: what is lost is only done again.
    Process,
}

/// A call, whatever it returns.
#[async_trait]
pub(crate) trait Operation: Send {
    /// Returns what the call needs of its commit.
    fn durability(&self) -> Durability;

    /// Tells whether the caller has gone away.
    fn is_abandoned(&self) -> bool;

    /// Does the work, and tells whether it is to be kept.
    async fn run(&mut self, connection: &mut dyn Connection) -> bool;

    /// Tells the caller what became of the work. An error is the transaction's, and counts for all that took part in it.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// A call that returns a `T`.
pub(crate) struct Call<T, F> {
    durability: Durability,
    work: Option<F>,
    outcome: Option<Result<T>>,
    caller: oneshot::Sender<Result<T>>,
}

impl<T, F> Call<T, F> {
    /// Creates the call, and what its caller waits for.
    pub(crate) fn new(durability: Durability, work: F) -> (Self, oneshot::Receiver<Result<T>>) {
        let (caller, answer) = oneshot::channel();
        (Call { durability, work: Some(work), outcome: None, caller }, answer)
    }
}

#[async_trait]
impl<T, F> Operation for Call<T, F>
where
    T: Send,
    F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send,
{
    fn durability(&self) -> Durability {
        self.durability
    }

    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    async fn run(&mut self, connection: &mut dyn Connection) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome = Guarded(work(connection)).await;
        let is_kept = outcome.is_ok();
        self.outcome = Some(outcome);
        is_kept
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let answer = match (self.outcome, committed) {
            // What failed by itself says why.
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(error),
            (Some(outcome), Ok(())) => outcome,
            (None, Ok(())) => Err(Error::new(ErrorKind::Internal, "the database did not do what it was asked for")),
        };
        // A caller that has gone away does not mind.
        let _ = self.caller.send(answer);
    }
}

/// Work that takes nobody else with it when it panics.
struct Guarded<'c, T>(Work<'c, T>);

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // What it leaves behind is rolled back.
        let poll = catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context)));
        poll.unwrap_or_else(|_| Poll::Ready(Err(Error::new(ErrorKind::Internal, "a database operation panicked"))))
    }
}
