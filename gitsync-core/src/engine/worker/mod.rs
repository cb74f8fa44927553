//! Workers: claim jobs, do their tasks, and never do one that somebody else has taken over.

mod leases;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use self::leases::{Ending, Leases, LiveJob};
use self::verdict::{Verdict, next_sync_at, verdict};
use super::parts::Parts;
use super::task::{Attempt, Done};
use crate::cancel::Cancellation;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{StoredError, TaskKind};
use crate::queue::{ClaimRequest, ClaimedJob, JobOutcome, MAX_BATCH};
use crate::rules::{Outcome, job, lane};
use crate::store::{StartedTask, StartedWork};

/// How long a worker waits for a hint that there is work before it looks again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long work that was told to stop may take to do so before it is abandoned; the fence makes it harmless.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How many waiting tasks a worker puts into the queue after one has ended.
const RELAY_BATCH: usize = 64;

/// Runs jobs of the storages this process serves, several at once.
///
/// Made by [`GitSync::worker`](super::GitSync::worker). Any number of workers, in any number of processes, share one queue.
#[derive(Debug)]
pub struct Worker {
    parts: Arc<Parts>,
    leases: Arc<Leases>,
}

impl Worker {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Worker { leases: Arc::new(Leases::new(Arc::clone(&parts))), parts }
    }

    /// Runs jobs until `shutdown`, then stops what runs and gives it back, so that another worker goes on at once.
    ///
    /// A database that is away is waited for.
    pub async fn run(&self, shutdown: Cancellation) {
        let mut jobs = JoinSet::new();
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.claim_for_ever(&mut jobs) => {}
            () = self.leases.keep() => {}
        }
        self.leases.stop_all(Ending::Shutdown);
        while jobs.join_next().await.is_some() {}
    }

    /// Runs jobs until none is due, and tells how many there were. For one-shot programs and tests.
    ///
    /// # Errors
    /// Those of the queue.
    pub async fn run_until_idle(&self) -> Result<usize> {
        let mut jobs = JoinSet::new();
        let work = async {
            let mut count = 0;
            loop {
                let claimed = self.claim(jobs.len()).await?;
                if claimed.is_empty() && jobs.is_empty() {
                    if super::relay::relay_outbox(&self.parts, RELAY_BATCH).await? == 0 {
                        return Ok(count);
                    }
                    continue;
                }
                count += claimed.len();
                for claimed in claimed {
                    self.spawn(&mut jobs, claimed);
                }
                jobs.join_next().await;
            }
        };
        tokio::select! {
            count = work => count,
            () = self.leases.keep() => Ok(0),
        }
    }

    async fn claim_for_ever(&self, jobs: &mut JoinSet<()>) {
        loop {
            let claimed = match self.claim(jobs.len()).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    warn!(%error, "cannot claim jobs");
                    self.parts.clock.sleep(POLL_INTERVAL).await;
                    continue;
                }
            };
            let found_some = !claimed.is_empty();
            for claimed in claimed {
                self.spawn(jobs, claimed);
            }
            let is_full = jobs.len() >= self.parts.options.concurrency;
            tokio::select! {
                Some(_) = jobs.join_next(), if !jobs.is_empty() => {}
                () = self.parts.queue.wait_ready(POLL_INTERVAL), if !is_full && !found_some => {}
                () = std::future::ready(()), if !is_full && found_some => {}
            }
        }
    }

    async fn claim(&self, running: usize) -> Result<Vec<ClaimedJob>> {
        let limit = self.parts.options.concurrency.saturating_sub(running).min(MAX_BATCH);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let storages = self.parts.storages.keys().cloned().collect();
        self.parts.queue.claim(&ClaimRequest { limit, storages }).await
    }

    fn spawn(&self, jobs: &mut JoinSet<()>, claimed: ClaimedJob) {
        let live = self.leases.add(claimed.lease);
        let run = JobRun { parts: Arc::clone(&self.parts), live };
        jobs.spawn(async move { run.run(claimed).await });
    }
}

/// One claimed job, from its start in the store to its end in the queue.
struct JobRun {
    parts: Arc<Parts>,
    live: LiveJob,
}

impl JobRun {
    async fn run(&self, claimed: ClaimedJob) {
        let Some(outcome) = self.work(&claimed).await else {
            debug!(job = %claimed.lease.id, epoch = claimed.lease.epoch, "the job was taken over by another worker");
            return;
        };
        // The store is written by now. If the queue is not, the job is delivered once more and found finished.
        if let Err(error) = self.parts.queue.finish(&[(claimed.lease, outcome)]).await {
            warn!(%error, job = %claimed.lease.id, "cannot finish the job in the queue");
        }
        if let Err(error) = super::relay::relay_outbox(&self.parts, RELAY_BATCH).await {
            warn!(%error, "cannot queue waiting tasks");
        }
    }

    /// Does the work and writes its end to the store; returns what is left for the queue, or `None` if the job is not ours
    /// any more.
    async fn work(&self, claimed: &ClaimedJob) -> Option<JobOutcome> {
        let lease = claimed.lease;
        let started = match self.parts.store.start_task(lease.id, lease.epoch, claimed.attempt).await {
            Ok(StartedTask::Run(started)) => *started,
            Ok(StartedTask::AlreadyFinished) => return Some(JobOutcome::Done),
            Err(error) => return self.not_started(claimed, &error),
        };
        self.parts.steps.reached("started").await;
        let expected = lane(&started.repository, &started.task);
        if expected != claimed.lane {
            return self.change_lanes(claimed, &started).await;
        }
        info!(
            task = %lease.id, repository = %started.repository.id, kind = started.task.kind.as_str(),
            attempt = claimed.attempt, "task started"
        );
        // A deletion has been promised: it is tried for ever.
        let gives_up = claimed.exhausted && started.task.kind != TaskKind::Delete;
        let result = if gives_up { Err(exhausted(&started)) } else { self.attempt(started.clone()).await };
        self.conclude(claimed, &started, result).await
    }

    fn not_started(&self, claimed: &ClaimedJob, error: &Error) -> Option<JobOutcome> {
        warn!(%error, job = %claimed.lease.id, "cannot start the task");
        match error.kind() {
            ErrorKind::LeaseLost => None,
            // A task that is gone, or held behind another that will put it into the queue again.
            ErrorKind::NotFound | ErrorKind::Conflict => Some(JobOutcome::Done),
            _ => {
                let at = self.parts.clock.now().after(STOP_GRACE);
                Some(JobOutcome::Retry { at, spent: false, block_host_until: None })
            }
        }
    }

    /// Gives back a job that was queued in a lane its task has left, and queues it in the right one.
    async fn change_lanes(&self, claimed: &ClaimedJob, started: &StartedWork) -> Option<JobOutcome> {
        let task = self.parts.store.finish_task(started.work, &Outcome::Released, None, None).await;
        let task = task.inspect_err(|error| warn!(%error, "cannot give the task back")).ok()?;
        let _ = self.parts.queue.finish(&[(claimed.lease, JobOutcome::Released)]).await;
        let right_one = job(&started.repository, &task);
        if let Err(error) = self.parts.queue.enqueue(&[right_one]).await {
            warn!(%error, job = %claimed.lease.id, "cannot queue the job in its lane");
        }
        None
    }

    /// Carries out an attempt; one that does not stop when told to is abandoned.
    async fn attempt(&self, started: StartedWork) -> Result<Done> {
        let attempt = Attempt::new(Arc::clone(&self.parts), started, self.live.cancellation())?;
        let abandoned = async {
            tokio::select! {
                () = self.live.cancelled() => {}
                () = tokio::time::sleep(self.parts.options.task_time_limit) => self.live.end(Ending::Deadline),
            }
            tokio::time::sleep(STOP_GRACE).await;
        };
        tokio::select! {
            done = attempt.run() => done,
            () = abandoned => Err(Error::new(ErrorKind::Cancelled, "the work did not stop and was abandoned")),
        }
    }

    /// Writes the end of an attempt to the store and returns what the queue is to be told.
    async fn conclude(&self, claimed: &ClaimedJob, started: &StartedWork, result: Result<Done>) -> Option<JobOutcome> {
        let now = self.parts.clock.now();
        let options = &self.parts.options;
        let (verdict, recording) = match result {
            Ok(Done::Purged) => return Some(JobOutcome::Done),
            Ok(Done::Books(books, recording)) => {
                let next_sync_at = next_sync_at(&started.repository, books.source.is_some(), 0, options, now);
                (
                    Verdict { task: Outcome::Completed(Some(books)), job: JobOutcome::Done, next_sync_at },
                    Some(recording),
                )
            }
            Err(error) => {
                warn!(%error, task = %claimed.lease.id, kind = %error.kind(), "the attempt failed");
                let error = self.live.explain(error);
                let attempt = if claimed.exhausted { u32::MAX } else { claimed.attempt };
                (verdict(started, &error, self.live.ending(), attempt, options, now)?, None)
            }
        };
        let work = started.work;
        self.parts.steps.reached("done").await;
        match self.parts.store.finish_task(work, &verdict.task, recording.as_ref(), verdict.next_sync_at).await {
            Ok(task) => {
                info!(task = %task.id, status = %task.status, commits = task.commits_synced, "task ended");
                self.parts.steps.reached("finished").await;
                // A task that was asked to stop has ended, even if the verdict was to try again.
                Some(if task.status.is_terminal() { JobOutcome::Done } else { verdict.job })
            }
            Err(error) if matches!(error.kind(), ErrorKind::LeaseLost | ErrorKind::NotFound) => None,
            Err(error) => {
                warn!(%error, task = %claimed.lease.id, "cannot write the end of the task");
                let at = now.after(STOP_GRACE);
                Some(JobOutcome::Retry { at, spent: true, block_host_until: None })
            }
        }
    }
}

/// The error of a job that was handed out once more only for its failure to be written.
fn exhausted(started: &StartedWork) -> Error {
    let last = started.task.error.as_ref().map(|StoredError { kind, message }| Error::new(*kind, message.clone()));
    last.unwrap_or_else(|| Error::new(ErrorKind::Timeout, "no attempt came to its end: its workers died or hung"))
        .permanent()
}
