//! The way of jobs into the queue.

use std::sync::Arc;

use crate::error::Result;
use crate::queue::{JobQueue, MAX_BATCH, NewJob};
use crate::store::Store;
use crate::together::Together;

/// How many batches of requests are on their way at a time: the database is at work on one while another is put together.
const TURNS: usize = 2;

/// Puts jobs into the queue and notes that in the store. What fails here the outbox makes good.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    store: Arc<dyn Store>,
    queue: Arc<dyn JobQueue>,
    requests: Together<NewJob, ()>,
}

impl Dispatcher {
    pub(crate) fn new(store: Arc<dyn Store>, queue: Arc<dyn JobQueue>) -> Self {
        Dispatcher { store, queue, requests: Together::new(TURNS, MAX_BATCH, |_| 1) }
    }

    /// Dispatches jobs that are at hand.
    pub(crate) async fn all(&self, jobs: &[NewJob]) -> Result<()> {
        for jobs in jobs.chunks(MAX_BATCH) {
            self.queue.enqueue(jobs).await?;
            self.store.mark_enqueued(jobs).await?;
        }
        Ok(())
    }

    /// Dispatches the job of a request, together with those of requests at the same time.
    pub(crate) async fn one(&self, job: NewJob) -> Result<()> {
        let dispatch = |jobs: Vec<NewJob>| async move {
            self.all(&jobs).await?;
            Ok(vec![(); jobs.len()])
        };
        self.requests.call(job, dispatch).await
    }
}
