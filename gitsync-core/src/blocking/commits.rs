//! The stream of a walk.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep};

use super::pool::{joined, over};
use super::ticket::Waiting;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Commit;
use crate::transport::CallLimits;

/// What a walk finds, batch by batch.
pub(super) struct Commits {
    receiver: mpsc::Receiver<Result<Vec<Commit>>>,
    task: JoinHandle<Result<()>>,
    waiting: Waiting,
    state: State,
    grace: Duration,
}

enum State {
    Walking { over: Pin<Box<dyn Future<Output = Error> + Send>> },
    Stopping { error: Error, grace: Pin<Box<Sleep>> },
    Done,
}

impl Commits {
    pub(super) fn new(
        receiver: mpsc::Receiver<Result<Vec<Commit>>>,
        task: JoinHandle<Result<()>>,
        waiting: Waiting,
        limits: CallLimits,
        grace: Duration,
    ) -> Self {
        let over: Pin<Box<dyn Future<Output = Error> + Send>> = Box::pin(over(limits));
        Commits { receiver, task, waiting, state: State::Walking { over }, grace }
    }

    /// Ends the stream with an error; that of the limits if the engine only says that it was told to stop.
    fn end(&mut self, error: Error) -> Poll<Option<Result<Vec<Commit>>>> {
        let state = std::mem::replace(&mut self.state, State::Done);
        Poll::Ready(Some(Err(match state {
            State::Stopping { error: stopped, .. } if error.kind() == ErrorKind::Cancelled => stopped,
            _ => error,
        })))
    }
}

impl Stream for Commits {
    type Item = Result<Vec<Commit>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        // First, since an engine that always has a batch ready must be told to stop all the same.
        if let State::Walking { over } = &mut this.state
            && let Poll::Ready(error) = over.as_mut().poll(context)
        {
            this.waiting.stop();
            this.state = State::Stopping { error, grace: Box::pin(sleep(this.grace)) };
        }
        if matches!(this.state, State::Done) {
            return Poll::Ready(None);
        }
        match this.receiver.poll_recv(context) {
            Poll::Ready(Some(Ok(batch))) => return Poll::Ready(Some(Ok(batch))),
            Poll::Ready(Some(Err(error))) => return this.end(error),
            Poll::Ready(None) => {
                // The thread is at its end, or it panicked.
                if let Poll::Ready(done) = Pin::new(&mut this.task).poll(context) {
                    return match joined(done) {
                        Ok(()) => {
                            this.state = State::Done;
                            Poll::Ready(None)
                        }
                        Err(error) => this.end(error),
                    };
                }
            }
            Poll::Pending => {}
        }
        if let State::Stopping { grace, error } = &mut this.state
            && grace.as_mut().poll(context).is_ready()
        {
            let error = error.clone();
            return this.end(error);
        }
        Poll::Pending
    }
}
