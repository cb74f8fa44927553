//! The queue: who was given which job.

use std::time::Duration;

use async_trait::async_trait;
use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimRequest, ClaimedJob, HeartbeatAnswer, JobEnd, JobQueue, Lease, NewJob, QueueStats};

use super::Audited;

#[async_trait]
impl<Q: JobQueue> JobQueue for Audited<Q> {
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedJob>> {
        // Jobs that were handed out and cannot be noted are leased to nobody, and come again when their leases expire.
        self.noted(self.database.claim(request).await, |jobs| {
            let jobs = jobs.iter().map(|job| format!("{} attempt {}", job.lease.id, job.attempt)).collect::<Vec<_>>();
            (!jobs.is_empty()).then(|| format!("claimed {}", jobs.join(", ")))
        })
    }

    async fn finish(&self, ends: &[JobEnd]) -> Result<Vec<bool>> {
        self.noted(self.database.finish(ends).await, |were_good| {
            let given_up = ends.iter().zip(were_good).filter(|(_, was_good)| **was_good);
            let given_up = given_up.map(|(end, _)| format!("{} {:?}", end.lease.id, end.outcome)).collect::<Vec<_>>();
            (!given_up.is_empty()).then(|| format!("given back {}", given_up.join(", ")))
        })
    }

    // What follows from the records of the store, or is forgotten within a minute, is not worth a line.

    async fn enqueue(&self, jobs: &[NewJob]) -> Result<()> {
        self.database.enqueue(jobs).await
    }

    async fn heartbeat(&self, leases: &[Lease]) -> Result<Vec<HeartbeatAnswer>> {
        self.database.heartbeat(leases).await
    }

    async fn cancel(&self, jobs: &[TaskId]) -> Result<()> {
        self.database.cancel(jobs).await
    }

    async fn cancel_requested(&self, leases: &[Lease]) -> Result<Vec<bool>> {
        self.database.cancel_requested(leases).await
    }

    async fn forget_hosts(&self, limit: usize) -> Result<u64> {
        self.database.forget_hosts(limit).await
    }

    async fn stats(&self) -> Result<QueueStats> {
        self.database.stats().await
    }

    async fn wait_ready(&self, timeout: Duration) {
        self.database.wait_ready(timeout).await;
    }
}
