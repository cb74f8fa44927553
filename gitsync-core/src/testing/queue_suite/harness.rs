//! What the cases are given, and the steps they are made of.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::model::TaskId;
use crate::queue::{
    ClaimRequest, ClaimedJob, JobEnd, JobOutcome, JobQueue, Lane, Lease, MAX_BATCH, NewJob, QueueLimits,
};
use crate::testing::ManualClock;

/// The limits of the queue under test. All differ from the defaults.
pub const LIMITS: QueueLimits = QueueLimits {
    lease: Duration::from_secs(30),
    deadline: Duration::from_secs(300),
    max_attempts: 3,
    host_concurrency: 2,
};

/// The limits of the same queue where it is opened once more.
pub const WIDER: QueueLimits = QueueLimits { host_concurrency: 8, ..LIMITS };

/// A second: by how much cases keep away from the exact moment at which something changes, so that a queue may take its
/// time from a database whose clock goes on by itself.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// After this time on a real clock what should have happened at once will not happen any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// An empty queue under test.
#[derive(Debug)]
pub struct QueueHarness {
    /// The queue.
    pub queue: Arc<dyn JobQueue>,
    /// The clock that the queue goes by.
    pub clock: ManualClock,
    wider: Option<Arc<dyn JobQueue>>,
    #[allow(dead_code)]
    kept: Option<Box<dyn Any + Send + Sync>>,
}

impl QueueHarness {
    /// Brings a queue and its clock together.
    pub fn new(queue: Arc<dyn JobQueue>, clock: ManualClock) -> Self {
        QueueHarness { queue, clock, wider: None, kept: None }
    }

    /// Adds the same queue, opened once more with the limits [`WIDER`], as another process does. One that lives in memory has
    /// nothing of the kind.
    #[must_use]
    pub fn opened_wider(self, queue: Arc<dyn JobQueue>) -> Self {
        QueueHarness { wider: Some(queue), ..self }
    }

    /// Returns the queue as another process has it, if it can be shared.
    pub(super) fn wider(&self) -> Option<QueueHarness> {
        let queue = Arc::clone(self.wider.as_ref()?);
        Some(QueueHarness::new(queue, self.clock.clone()))
    }

    /// Keeps a value, such as a temporary directory, for as long as the queue is used.
    #[must_use]
    pub fn keep(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept = Some(Box::new(kept));
        self
    }

    /// Returns a job on the storage `default` that is due now.
    pub(super) fn job(&self, host: &str) -> NewJob {
        NewJob {
            id: TaskId::generate(),
            lane: lane("default", host),
            priority: 0,
            run_at: self.clock.now(),
            attempt: 0,
            epoch: 0,
        }
    }

    /// Returns the moment `seconds` from now.
    pub(super) fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.clock.now().after(Duration::from_secs(seconds))
    }

    pub(super) async fn enqueue(&self, jobs: &[NewJob]) {
        self.queue.enqueue(jobs).await.expect("jobs can be put into the queue");
    }

    /// Claims at most `limit` jobs of the storage `default`.
    pub(super) async fn claim(&self, limit: usize) -> Vec<ClaimedJob> {
        let request = ClaimRequest { limit, storages: vec!["default".parse().expect("a name")] };
        self.queue.claim(&request).await.expect("jobs can be claimed")
    }

    /// Claims the one job there is to be claimed.
    pub(super) async fn claim_one(&self) -> ClaimedJob {
        let mut claimed = self.claim(2).await;
        assert_eq!(claimed.len(), 1, "exactly one job can be claimed: {claimed:?}");
        claimed.remove(0)
    }

    /// Claims all there is and returns the ids.
    pub(super) async fn claim_ids(&self, limit: usize) -> Vec<TaskId> {
        self.claim(limit).await.iter().map(|job| job.lease.id).collect()
    }

    pub(super) async fn finish(&self, lease: Lease, outcome: JobOutcome) -> bool {
        self.end(JobEnd::new(lease, outcome)).await
    }

    pub(super) async fn end(&self, end: JobEnd) -> bool {
        let answers = self.queue.finish(&[end]).await.expect("work can be ended");
        assert_eq!(answers.len(), 1, "there is one answer for each element");
        answers[0]
    }

    /// Forgets hosts until there are none to forget.
    pub(super) async fn forget_all_hosts(&self) {
        while self.queue.forget_hosts(MAX_BATCH).await.expect("hosts can be forgotten") > 0 {}
    }

    /// Moves the clock past the end of a lease that was taken or extended just now.
    pub(super) fn let_leases_expire(&self) {
        self.clock.advance(LIMITS.lease + SECOND);
    }
}

/// Returns a lane.
pub(super) fn lane(storage: &str, host: &str) -> Lane {
    Lane { storage: storage.parse().expect("a storage name"), host: host.parse().expect("a host") }
}

/// Returns the ids of jobs.
pub(super) fn ids(jobs: &[NewJob]) -> Vec<TaskId> {
    jobs.iter().map(|job| job.id).collect()
}
