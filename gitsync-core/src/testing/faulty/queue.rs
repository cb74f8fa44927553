//! A queue that goes wrong.

use std::time::Duration;

use crate::model::TaskId;
use crate::queue::{ClaimRequest, ClaimedJob, HeartbeatAnswer, JobEnd, JobQueue, Lease, NewJob, QueueStats};
use crate::testing::faulty::faulty;

faulty! {
    /// A [`JobQueue`] that fails when a test wants it to, as [`FaultyStore`](crate::testing::FaultyStore) does.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use gitsync_core::JobQueue;
    /// use gitsync_core::memory::MemoryQueue;
    /// use gitsync_core::queue::QueueLimits;
    /// use gitsync_core::testing::{FaultyQueue, ManualClock};
    ///
    /// # gitsync_core::testing::run(async {
    /// let queue = MemoryQueue::new(Arc::new(ManualClock::default()), QueueLimits::default());
    /// let queue = FaultyQueue::new(Arc::new(queue));
    /// queue.go_away();
    /// assert!(queue.stats().await.is_err());
    /// queue.come_back();
    /// assert!(queue.stats().await.is_ok());
    /// # });
    /// ```
    FaultyQueue for JobQueue, with the calls QueueCall {
        Enqueue => enqueue(jobs: &[NewJob]) -> ();
        Claim => claim(request: &ClaimRequest) -> Vec<ClaimedJob>;
        Heartbeat => heartbeat(leases: &[Lease]) -> Vec<HeartbeatAnswer>;
        Finish => finish(ends: &[JobEnd]) -> Vec<bool>;
        Cancel => cancel(jobs: &[TaskId]) -> ();
        CancelRequested => cancel_requested(leases: &[Lease]) -> Vec<bool>;
        ForgetHosts => forget_hosts(limit: usize) -> u64;
        Stats => stats() -> QueueStats;
    }
    async fn wait_ready(&self, timeout: Duration) {
        self.inner.wait_ready(timeout).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::memory::MemoryQueue;
    use crate::testing::ManualClock;
    use crate::testing::queue_suite::{LIMITS, QueueHarness};

    async fn make() -> QueueHarness {
        let clock = ManualClock::default();
        let queue = FaultyQueue::new(Arc::new(MemoryQueue::new(Arc::new(clock.clone()), LIMITS)));
        QueueHarness::new(Arc::new(queue), clock)
    }

    // Without a fault it is the queue it wraps.
    crate::queue_suite!(make);
}
