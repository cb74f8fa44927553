//! The pool: who may work, and how calls end.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tracing::Span;

use super::batch::{BatchLimits, CommitSink};
use super::commits;
use super::ticket::{Ticket, Waiting};
use crate::backend::CommitStream;
use crate::cancel::Cancellation;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::CallLimits;

/// How long a call that was told to stop is waited for. Transports return within 2 s, see
/// [`Transport`](crate::Transport).
const GRACE: Duration = Duration::from_secs(3);

/// Runs blocking work on a bounded number of threads. Clones share the bound.
///
/// Commit walks have places of their own, as many again: a walk waits for whoever reads its stream, and must not keep a
/// call from the place that its reader may need.
///
/// ```
/// use gitsync_core::blocking::BlockingPool;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> gitsync_core::Result<()> {
/// let pool = BlockingPool::new(4);
/// let sum = pool.run(|| Ok((1..=1_000_u64).sum::<u64>())).await?;
/// assert_eq!(sum, 500_500);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct BlockingPool {
    calls: Arc<Semaphore>,
    walks: Arc<Semaphore>,
    grace: Duration,
    abandoned: Arc<AtomicUsize>,
}

impl BlockingPool {
    /// Creates a pool of at most `threads` calls, and as many walks, at a time; at least one each.
    pub fn new(threads: usize) -> Self {
        let semaphore = || Arc::new(Semaphore::new(threads.clamp(1, Semaphore::MAX_PERMITS)));
        BlockingPool { calls: semaphore(), walks: semaphore(), grace: GRACE, abandoned: Arc::default() }
    }

    /// Sets how long a call that was told to stop is waited for before it is abandoned.
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Returns how many threads are still at work on calls that nobody waits for any more.
    pub fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Runs work that has no limits of its own. Dropping the call does not stop it.
    ///
    /// # Errors
    /// Those of the work; [`ErrorKind::Internal`] if it panics.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        F: FnOnce() -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let permit = acquire(&self.calls).await?;
        let (_waiting, ticket) = Waiting::new(permit, Cancellation::new(), &self.abandoned);
        joined(spawn(ticket, work).await)
    }

    /// Runs work that ends by `limits`, also while it waits for a place.
    ///
    /// The work is given limits like those, of which the cancellation is also set by the deadline and when the call is
    /// dropped. Work that does not return soon after that is abandoned.
    ///
    /// # Errors
    /// Those of the work and of the limits; [`ErrorKind::Internal`] if it panics.
    pub async fn run_within<T, F>(&self, limits: &CallLimits, work: F) -> Result<T>
    where
        F: FnOnce(&CallLimits) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let permit = acquire_within(&self.calls, limits).await?;
        let (inner, waiting, ticket) = self.begin(permit, limits);
        let mut task = spawn(ticket, move || work(&inner));
        tokio::select! {
            biased;
            done = &mut task => joined(done),
            error = over(limits.clone()) => {
                waiting.stop();
                match tokio::time::timeout(self.grace, &mut task).await {
                    // What was finished in time is finished; any error is a consequence of the stop.
                    Ok(done) => joined(done).map_err(|_| error),
                    Err(_) => Err(error.with("abandoned_after", format!("{:?}", self.grace))),
                }
            }
        }
    }

    /// Starts a walk and returns what it finds as a stream, over a channel that holds a few batches.
    ///
    /// The work puts commits into the sink until that says that nobody wants more. Its error is the last item.
    ///
    /// # Errors
    /// Those of the limits, while the walk waits for a place.
    pub async fn walk<F>(&self, limits: &CallLimits, batch: BatchLimits, work: F) -> Result<CommitStream>
    where
        F: FnOnce(&CallLimits, &mut CommitSink) -> Result<()> + Send + 'static,
    {
        let permit = acquire_within(&self.walks, limits).await?;
        let (inner, waiting, ticket) = self.begin(permit, limits);
        let (mut sink, receiver) = CommitSink::new(batch);
        let task = spawn(ticket, move || {
            let walked = work(&inner, &mut sink);
            sink.finish(walked);
            Ok(())
        });
        Ok(Box::pin(commits::Commits::new(receiver, task, waiting, limits.clone(), self.grace)))
    }

    fn begin(&self, permit: OwnedSemaphorePermit, limits: &CallLimits) -> (CallLimits, Waiting, Ticket) {
        let stop = Cancellation::new();
        let inner = CallLimits { cancellation: stop.clone(), ..limits.clone() };
        let (waiting, ticket) = Waiting::new(permit, stop, &self.abandoned);
        (inner, waiting, ticket)
    }
}

fn spawn<T: Send + 'static>(
    ticket: Ticket,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> JoinHandle<Result<T>> {
    let span = Span::current();
    spawn_blocking(move || {
        let _ticket = ticket;
        span.in_scope(work)
    })
}

async fn acquire(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    let permit = Arc::clone(places).acquire_owned().await;
    permit.map_err(|error| Error::new(ErrorKind::Internal, "the pool of blocking threads is closed").caused_by(error))
}

async fn acquire_within(places: &Arc<Semaphore>, limits: &CallLimits) -> Result<OwnedSemaphorePermit> {
    limits.check()?;
    tokio::select! {
        biased;
        error = over(limits.clone()) => Err(error.with("while", "waiting for a blocking thread")),
        permit = acquire(places) => permit,
    }
}

/// Completes when the limits end a call, with the error to return.
pub(super) async fn over(limits: CallLimits) -> Error {
    tokio::select! {
        () = limits.cancellation.cancelled() => {}
        () = tokio::time::sleep_until(limits.deadline.into()) => {}
    }
    limits.check().err().unwrap_or_else(|| Error::new(ErrorKind::Timeout, "the deadline of the work has passed"))
}

/// Makes a panic an error.
pub(super) fn joined<T>(done: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    done.unwrap_or_else(|error| {
        let error = match error.try_into_panic() {
            Ok(panic) => Error::new(ErrorKind::Internal, format!("the git engine panicked: {}", message_of(&*panic))),
            Err(error) => Error::new(ErrorKind::Internal, "the runtime is shutting down").caused_by(error),
        };
        Err(error)
    })
}

fn message_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests;
