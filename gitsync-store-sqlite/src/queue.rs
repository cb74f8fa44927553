//! The queue's side: each call is one of [`gitsync_sql::queue`], on the connection that it needs; claims
//! and ends that come at the same time share one.

use std::time::Duration;

use async_trait::async_trait;
use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimRequest, ClaimedJob, HeartbeatAnswer, JobEnd, JobQueue, Lease, NewJob, QueueStats};
use gitsync_core::rules::HostLesson;
use gitsync_sql::queue::{self as operations, SharedClaims, split_ends};

use crate::SqliteStore;
use crate::claim::{claim, is_anything_claimable};

#[async_trait]
impl JobQueue for SqliteStore {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<()> {
        let jobs = jobs.to_vec();
        self.write_repeatable(move |c| Box::pin(async move { operations::enqueue(c, &jobs).await })).await?;
        self.announce();
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedJob>> {
        operations::check_batch(request.limit)?;
        self.claims.serve(&request.storages);
        if request.limit == 0 {
            return Ok(Vec::new());
        }
        self.together.claims.call(request.clone(), |requests| self.claim_together(requests)).await?
    }

    async fn heartbeat(&self, leases: &[Lease]) -> Result<Vec<HeartbeatAnswer>> {
        let (leases, limits) = (leases.to_vec(), self.limits.clone());
        self.write_repeatable(move |c| Box::pin(async move { operations::heartbeat(c, &leases, &limits).await })).await
    }

    async fn finish(&self, ends: &[JobEnd]) -> Result<Vec<bool>> {
        operations::check_batch(ends.len())?;
        self.together.ends.call(ends.to_vec(), |ends| self.finish_together(ends)).await
    }

    async fn cancel(&self, jobs: &[TaskId]) -> Result<()> {
        let jobs = jobs.to_vec();
        self.write(move |c| Box::pin(async move { operations::cancel(c, &jobs).await })).await
    }

    async fn cancel_requested(&self, leases: &[Lease]) -> Result<Vec<bool>> {
        let leases = leases.to_vec();
        self.read(move |c| Box::pin(async move { operations::cancel_requested(c, &leases).await })).await
    }

    async fn forget_hosts(&self, limit: usize) -> Result<u64> {
        self.write_repeatable(move |c| Box::pin(operations::forget_hosts(c, limit))).await
    }

    async fn stats(&self) -> Result<QueueStats> {
        let limits = self.limits.clone();
        self.read(move |c| Box::pin(async move { operations::stats(c, &limits).await })).await
    }

    async fn wait_ready(&self, timeout: Duration) {
        let end = self.clock.now().after(timeout);
        let mut version = self.watch.seen().await;
        loop {
            let next = self.read(move |c| Box::pin(operations::next_moment(c))).await;
            let next = next.ok().and_then(|(_, next)| next).map_or(end, |next| next.min(end));
            tokio::select! {
                () = self.ready.notified() => return,
                () = self.clock.sleep(next.since(self.clock.now())) => return,
                changed = self.watch.changed(version) => version = changed,
            }
            // Somebody wrote: perhaps a job, perhaps only how far a task is.
            if self.may_claim(self.claims.served()).await.unwrap_or(true) {
                return;
            }
        }
    }
}

impl SqliteStore {
    async fn claim_together(&self, requests: Vec<ClaimRequest>) -> Result<Vec<Result<Vec<ClaimedJob>>>> {
        let mut shared = SharedClaims::new(requests);
        for (request, outcome) in shared.each() {
            *outcome = self.claim_once(request).await;
        }
        Ok(shared.into_answers())
    }

    async fn claim_once(&self, request: &ClaimRequest) -> Result<Vec<ClaimedJob>> {
        // Most claims of an idle worker find nothing. They need not keep the writer from others.
        if self.claims.is_idle() && !self.may_claim(request.storages.clone()).await? {
            return Ok(Vec::new());
        }
        let (request, limits, begin) = (request.clone(), self.limits.clone(), self.claims.position());
        let (claimed, end) =
            self.write_repeatable(move |c| Box::pin(async move { claim(c, &request, &limits, begin).await })).await?;
        self.claims.set_position(end);
        self.claims.set_idle(claimed.is_empty());
        Ok(claimed)
    }

    async fn finish_together(&self, ends: Vec<Vec<JobEnd>>) -> Result<Vec<Vec<bool>>> {
        let (all, limits) = (ends.concat(), self.limits.clone());
        let work = self.write_repeatable(move |c| Box::pin(async move { operations::finish(c, &all, &limits).await }));
        let ended = work.await?;
        ended.lessons.iter().for_each(HostLesson::log);
        self.announce();
        Ok(split_ends(&ends, ended.answers))
    }

    /// Tells whether a claim for some storages would find something, without waiting for the writer.
    async fn may_claim(&self, storages: Vec<gitsync_core::model::StorageName>) -> Result<bool> {
        let (limits, begin) = (self.limits.clone(), self.claims.position());
        self.read(move |c| Box::pin(async move { is_anything_claimable(c, &storages, &limits, begin).await })).await
    }
}
