//! Mocks of the seams, made by [mockall]: for tests that care for a single call, such as what happens when it fails.
//!
//! A mock answers only what it was told to expect, and panics at any other call. For tests that need a store, a queue
//! or an engine that works, those of [`memory`](crate::memory) are shorter and cannot be wrong.
//!
//! ```
//! use gitsync_core::queue::QueueStats;
//! use gitsync_core::testing::MockJobQueue;
//! use gitsync_core::{Error, ErrorKind, JobQueue};
//!
//! /// Tells how many jobs wait; none that anybody could say, if the queue is away.
//! async fn backlog(queue: &dyn JobQueue) -> Option<u64> {
//!     queue.stats().await.ok().map(|stats| stats.ready + stats.scheduled)
//! }
//!
//! # gitsync_core::testing::run(async {
//! let mut queue = MockJobQueue::new();
//! queue.expect_stats().times(1).returning(|| Ok(QueueStats { ready: 2, scheduled: 3, ..QueueStats::default() }));
//! queue.expect_stats().returning(|| Err(Error::new(ErrorKind::Unavailable, "the queue is away")));
//! assert_eq!(backlog(&queue).await, Some(5));
//! assert_eq!(backlog(&queue).await, None);
//! # });
//! ```

pub use mockall;

pub use crate::backend::MockGitBackend;
pub use crate::queue::MockJobQueue;
pub use crate::store::MockStore;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mockall::Sequence;
    use mockall::predicate::always;

    use super::{MockGitBackend, MockJobQueue, MockStore};
    use crate::engine::GitSync;
    use crate::error::{Error, ErrorKind, Result};
    use crate::model::TaskId;
    use crate::queue::{Lane, NewJob};
    use crate::rules::DueScan;
    use crate::source::HostKey;
    use crate::testing::{ManualClock, Offline};

    fn job() -> NewJob {
        let lane = Lane { storage: "default".parse().unwrap(), host: HostKey::local() };
        NewJob { id: TaskId::generate(), lane, priority: 0, run_at: Default::default(), attempt: 0, epoch: 0 }
    }

    /// A store in whose outbox is one job.
    fn store(job: &NewJob) -> MockStore {
        let (mut store, jobs) = (MockStore::new(), vec![job.clone()]);
        store.expect_request_due().with(always()).returning(|_| Ok(DueScan::default()));
        store.expect_outbox().returning(move |_| Ok(jobs.clone()));
        store
    }

    async fn scan(store: MockStore, queue: MockJobQueue) -> Result<usize> {
        let directory = tempfile::tempdir().unwrap();
        let gitsync = GitSync::builder()
            .store(Arc::new(store))
            .queue(Arc::new(queue))
            .backend(Arc::new(MockGitBackend::new()))
            .transport(Arc::new(Offline))
            .clock(Arc::new(ManualClock::default()))
            .repos_dir(directory.path())
            .build()?;
        gitsync.scheduler().scan().await
    }

    #[tokio::test]
    async fn a_job_is_put_into_the_queue_before_that_is_noted() {
        let (job, mut order) = (job(), Sequence::new());
        let (mut store, mut queue) = (store(&job), MockJobQueue::new());
        let jobs = move |given: &[NewJob]| given == [job.clone()];
        queue.expect_enqueue().withf(jobs.clone()).times(1).in_sequence(&mut order).returning(|_| Ok(()));
        store.expect_mark_enqueued().withf(jobs).times(1).in_sequence(&mut order).returning(|_| Ok(()));
        assert_eq!(scan(store, queue).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_job_that_is_not_in_the_queue_stays_in_the_outbox() {
        let job = job();
        let (store, mut queue) = (store(&job), MockJobQueue::new());
        let away = |_: &[NewJob]| Err(Error::new(ErrorKind::Unavailable, "the queue is away"));
        queue.expect_enqueue().times(1).returning(away);
        // The store expects no other call, so noting it after all would panic.
        assert_eq!(scan(store, queue).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
