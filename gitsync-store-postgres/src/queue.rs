//! The queue's side: each call is one of [`gitsync_sql::queue`] in a transaction, but for claims, which take what they find in
//! single statements; claims and ends that come at the same time are one.

use std::time::Duration;

use async_trait::async_trait;
use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimRequest, ClaimedJob, HeartbeatAnswer, JobEnd, JobQueue, Lease, NewJob, QueueStats};
use gitsync_core::rules::HostLesson;
use gitsync_sql::queue::{self as operations, SharedClaims, split_ends};

use crate::PostgresStore;
use crate::claim::claim;
use crate::error::is_refusal;
use crate::transaction::{Mode, in_transaction};

#[async_trait]
impl JobQueue for PostgresStore {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<()> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::enqueue(c, jobs))?;
        self.watch.announce();
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedJob>> {
        operations::check_batch(request.limit)?;
        if request.limit == 0 || request.storages.is_empty() {
            return Ok(Vec::new());
        }
        self.together.claims.call(request.clone(), |requests| self.claim_together(requests)).await?
    }

    async fn heartbeat(&self, leases: &[Lease]) -> Result<Vec<HeartbeatAnswer>> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::heartbeat(c, leases, &self.limits))
    }

    async fn finish(&self, ends: &[JobEnd]) -> Result<Vec<bool>> {
        operations::check_batch(ends.len())?;
        let own = ends.to_vec();
        match self.together.ends.call(own.clone(), |ends| self.finish_together(ends)).await {
            Err(error) if is_refusal(&error) => Ok(self.finish_together(vec![own]).await?.concat()),
            ended => ended,
        }
    }

    async fn cancel(&self, jobs: &[TaskId]) -> Result<()> {
        in_transaction!(self, Mode::Write, |c| operations::cancel(c, jobs))
    }

    async fn cancel_requested(&self, leases: &[Lease]) -> Result<Vec<bool>> {
        in_transaction!(self, Mode::Read, |c| operations::cancel_requested(c, leases))
    }

    async fn forget_hosts(&self, limit: usize) -> Result<u64> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::forget_hosts(c, limit))
    }

    async fn stats(&self) -> Result<QueueStats> {
        in_transaction!(self, Mode::Read, |c| operations::stats(c, &self.limits))
    }

    async fn wait_ready(&self, timeout: Duration) {
        tokio::select! {
            () = self.watch.ready() => {}
            () = self.next_moment() => {}
            // Also while the database does not answer.
            () = self.time.sleep(timeout) => {}
        }
    }
}

impl PostgresStore {
    async fn claim_together(&self, requests: Vec<ClaimRequest>) -> Result<Vec<Result<Vec<ClaimedJob>>>> {
        let mut shared = SharedClaims::new(requests);
        for (request, outcome) in shared.each() {
            *outcome = self.claim_once(request).await;
        }
        Ok(shared.into_answers())
    }

    async fn claim_once(&self, request: &ClaimRequest) -> Result<Vec<ClaimedJob>> {
        let (claimed, end) = claim(self, request, self.claims_begin()).await?;
        self.set_claims_begin(end);
        Ok(claimed)
    }

    async fn finish_together(&self, ends: Vec<Vec<JobEnd>>) -> Result<Vec<Vec<bool>>> {
        let all = ends.concat();
        let ended = in_transaction!(self, Mode::WriteRepeatable, |c| operations::finish(c, &all, &self.limits))?;
        ended.lessons.iter().for_each(HostLesson::log);
        self.watch.announce();
        Ok(split_ends(&ends, ended.answers))
    }

    /// Completes when time alone has made a job claimable, if the database knows of such a moment.
    async fn next_moment(&self) {
        match self.read_next_moment().await {
            Ok((now, Some(next))) => self.time.sleep(next.since(now)).await,
            Ok((_, None)) | Err(_) => std::future::pending().await,
        }
    }

    async fn read_next_moment(&self) -> Result<(gitsync_core::Timestamp, Option<gitsync_core::Timestamp>)> {
        in_transaction!(self, Mode::Read, |c| operations::next_moment(c))
    }
}
