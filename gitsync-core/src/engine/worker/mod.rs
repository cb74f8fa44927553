//! Workers: claim jobs, do their tasks, and never do one that somebody else has taken over.

mod leases;
mod storages;
mod verdict;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tracing::{Instrument, debug, info, info_span, warn};

use self::leases::{Ending, Leases, LiveJob};
use self::storages::Storages;
use self::verdict::{Asked, Verdict, report, verdict};
use super::metrics;
use super::parts::{PROVIDER_PATIENCE, Parts, blocking};
use super::store_time::StoreTime;
use super::task::{Attempt, Done};
use crate::cancel::Cancellation;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Repository, StoredError, SyncTask, TaskId, TaskKind};
use crate::queue::{ClaimRequest, ClaimedJob, HostReport, JobEnd, JobOutcome, MAX_BATCH};
use crate::rules::{Completion, Outcome, job, lane, next_sync_at};
use crate::source::{CredentialRevision, SourceUrl};
use crate::state::TaskStatus;
use crate::store::{StartedTask, StartedWork};
use crate::transport::Transport;

/// How long a worker waits for a hint that there is work before it looks again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How long work that was told to stop may take to do so before it is abandoned; the fence makes it harmless.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// How many waiting tasks a worker puts into the queue after one has ended.
const RELAY_BATCH: usize = 64;

/// Runs jobs of the storages this process serves, several at once.
///
/// Made by [`GitSync::worker`](super::GitSync::worker). Any number of workers, in any number of processes, share one queue. A
/// storage is served from one machine at a time unless it is declared shared: a worker on another one leaves its jobs alone
/// until nobody has reported the storage for longer than a lease, and for ever if it has another disk of that name.
#[derive(Debug)]
pub struct Worker {
    parts: Arc<Parts>,
    leases: Arc<Leases>,
    storages: Storages,
}

impl Worker {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        let leases = Arc::new(Leases::new(Arc::clone(&parts)));
        Worker { storages: Storages::new(Arc::clone(&parts), Arc::clone(&leases)), leases, parts }
    }

    /// Runs jobs until `shutdown`, then waits for what runs, at most for [`EngineOptions::drain`](super::EngineOptions::drain),
    /// stops the rest and gives it back, so that another worker goes on at once.
    ///
    /// A database that is away is waited for.
    pub async fn run(&self, shutdown: Cancellation) {
        let mut jobs = JoinSet::new();
        tokio::select! {
            () = self.claim_until(&shutdown, &mut jobs) => {}
            () = self.keep() => {}
        }
        let drained = async { while jobs.join_next().await.is_some() {} };
        tokio::select! {
            () = drained => {}
            () = self.keep() => {}
            () = self.parts.clock.sleep(self.parts.options.drain) => {}
        }
        self.leases.stop_all(Ending::Shutdown);
        while jobs.join_next().await.is_some() {}
    }

    /// Runs jobs until none is due, and tells how many there were. For one-shot programs and tests.
    ///
    /// # Errors
    /// Those of the queue and the store; [`ErrorKind::Conflict`] if another machine serves one of the storages, or it is another disk.
    pub async fn run_until_idle(&self) -> Result<usize> {
        self.storages.report().await?;
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
            () = self.keep() => Ok(0),
        }
    }

    /// Extends leases and reports storages, for ever.
    async fn keep(&self) {
        tokio::join!(self.leases.keep(), self.storages.keep());
    }

    /// Claims and starts jobs. A claim is never broken off, since its jobs would be leased to nobody.
    async fn claim_until(&self, shutdown: &Cancellation, jobs: &mut JoinSet<()>) {
        while !shutdown.is_cancelled() {
            let claimed = match self.claim(jobs.len()).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    warn!(%error, "cannot claim jobs");
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = self.parts.clock.sleep(POLL_INTERVAL) => {}
                    }
                    continue;
                }
            };
            let found_some = !claimed.is_empty();
            for claimed in claimed {
                self.spawn(jobs, claimed);
            }
            let is_full = jobs.len() >= self.parts.options.concurrency;
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(_) = jobs.join_next(), if !jobs.is_empty() => {}
                () = self.storages.gained(), if !is_full => {}
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
        let storages = self.storages.to_serve();
        self.parts.queue.claim(&ClaimRequest { limit, storages }).await
    }

    fn spawn(&self, jobs: &mut JoinSet<()>, claimed: ClaimedJob) {
        let live = self.leases.add(claimed.lease, claimed.lane.storage.clone());
        let run =
            JobRun { parts: Arc::clone(&self.parts), live, repository: OnceLock::new(), claimed_at: Instant::now() };
        jobs.spawn(async move { run.run(claimed).await });
    }
}

/// One claimed job, from its start in the store to its end in the queue.
struct JobRun {
    parts: Arc<Parts>,
    live: LiveJob,
    /// The repository as the start found it.
    repository: OnceLock<Repository>,
    claimed_at: Instant,
}

impl JobRun {
    async fn run(&self, claimed: ClaimedJob) {
        let Some(end) = self.work(&claimed).await else {
            metrics::lease_lost();
            debug!(job = %claimed.lease.id, epoch = claimed.lease.epoch, "the job was taken over by another worker");
            return;
        };
        let is_over = end.outcome == JobOutcome::Done;
        // The store is written by now. If the queue is not, the job is delivered once more and found finished.
        if let Err(error) = self.parts.queue.finish(&[end]).await {
            warn!(%error, job = %claimed.lease.id, "cannot finish the job in the queue");
        }
        if !is_over {
            self.queue_as_it_is_now(claimed.lease.id).await;
        }
        if let Err(error) = super::relay::relay_outbox(&self.parts, RELAY_BATCH).await {
            warn!(%error, "cannot queue waiting tasks");
        }
    }

    /// Does the work and writes its end to the store; returns what is left for the queue, or `None` if the job is not ours
    /// any more.
    async fn work(&self, claimed: &ClaimedJob) -> Option<JobEnd> {
        let lease = claimed.lease;
        let end = |outcome| JobEnd::new(lease, outcome);
        let started = match self.parts.store.start_task(lease.id, lease.epoch, claimed.attempt).await {
            Ok(StartedTask::Run(started)) => *started,
            Ok(StartedTask::AlreadyFinished) => return Some(end(JobOutcome::Done)),
            Err(error) => return self.not_started(claimed, &error).await.map(end),
        };
        self.repository.get_or_init(|| started.repository.clone());
        let time = StoreTime::new(Arc::clone(&self.parts.clock), started.started_at);
        self.parts.steps.reached("started").await;
        if lane(&started.repository, &started.task) != claimed.lane {
            return self.change_lanes(claimed, &started).await.map(end);
        }
        if started.task.cancel_requested_at.is_some() {
            // The worker that was to hear of it died before: what it left is removed, and no more is done.
            self.live.end(Ending::Cancelled);
        }
        let span = info_span!(
            "attempt", task = %lease.id, repository = %started.repository.id, kind = started.task.kind.as_str(),
            attempt = claimed.attempt
        );
        let attempt = async {
            info!("task started");
            // A deletion has been promised: it is tried for ever.
            let gives_up = claimed.exhausted && started.task.kind != TaskKind::Delete;
            let transport = if gives_up { Err(exhausted(&started)) } else { self.transport(&started).await };
            let as_organisation = transport.as_ref().is_ok_and(|it| !Arc::ptr_eq(it, &self.parts.transport));
            let (credentials, result) = match transport {
                Ok(transport) => {
                    // What the attempt will show upstream, or older: with newer ones it would not have been refused.
                    let credentials = credentials(Arc::clone(&transport), &started).await;
                    (credentials, self.attempt(started.clone(), transport, time.clone()).await)
                }
                Err(error) => (None, Err(error)),
            };
            let host = self.report(claimed, &started, as_organisation, &result);
            self.conclude(claimed, &started, credentials, (result, host), time.now()).await
        };
        attempt.instrument(span).await
    }

    /// Returns the way to upstreams for a task, and to push targets.
    async fn transport(&self, started: &StartedWork) -> Result<Arc<dyn Transport>> {
        match started.task.kind {
            TaskKind::Maintain | TaskKind::Delete => Ok(Arc::clone(&self.parts.transport)),
            _ => self.parts.transport_of(started.repository.organisation).await,
        }
    }

    async fn not_started(&self, claimed: &ClaimedJob, error: &Error) -> Option<JobOutcome> {
        warn!(%error, job = %claimed.lease.id, "cannot start the task");
        let later = || {
            let at = self.parts.clock.now().after(STOP_GRACE);
            Some(JobOutcome::Retry { at, spent: false })
        };
        match error.kind() {
            ErrorKind::LeaseLost => None,
            ErrorKind::NotFound => Some(JobOutcome::Done),
            ErrorKind::Conflict => match self.give_up_what_cannot_start(claimed.lease.id).await {
                Ok(()) => Some(JobOutcome::Done),
                Err(_) => later(),
            },
            _ => later(),
        }
    }

    /// Ends a task that its repository's state does not allow, so that it is in nobody's way. One that is held behind
    /// another is put into the queue again by that one's end.
    async fn give_up_what_cannot_start(&self, id: TaskId) -> Result<()> {
        let task = self.parts.store.task(id).await?;
        if !task.held && !task.status.is_terminal() {
            self.parts.store.cancel_task(id).await?;
        }
        Ok(())
    }

    /// Queues the job of a task that waits again as the task has it now. A request may have changed the task after its end
    /// was written and found the job still leased, in which case the queue did not hear of it.
    async fn queue_as_it_is_now(&self, id: TaskId) {
        let queued = async {
            let task = self.parts.store.task(id).await?;
            match self.repository.get() {
                Some(repository) if task.status == TaskStatus::Pending && !task.held => {
                    self.parts.queue.enqueue(&[job(repository, &task)]).await
                }
                _ => Ok(()),
            }
        };
        if let Err(error) = queued.await {
            warn!(%error, job = %id, "cannot queue the task as it is now");
        }
    }

    /// Gives back a job that was queued in a lane its task has left, and queues it in the right one.
    async fn change_lanes(&self, claimed: &ClaimedJob, started: &StartedWork) -> Option<JobOutcome> {
        let given_back = self.parts.store.finish_task(started.work, &Outcome::Released, None, None).await;
        if let Err(error) = given_back {
            warn!(%error, job = %claimed.lease.id, "cannot give the task back");
            return None;
        }
        // It is queued as it is now once the queue has it back.
        Some(JobOutcome::Released)
    }

    /// Carries out an attempt; one that does not stop when told to is abandoned.
    async fn attempt(
        &self,
        started: StartedWork,
        transport: Arc<dyn Transport>,
        time: StoreTime,
    ) -> Result<(Done, Option<Timestamp>)> {
        let attempt = Attempt::new(Arc::clone(&self.parts), started, transport, time, self.live.cancellation())?;
        let abandoned = async {
            tokio::select! {
                () = self.live.cancelled() => {}
                () = tokio::time::sleep(self.parts.options.task_time_limit) => self.live.end(Ending::Deadline),
            }
            tokio::time::sleep(STOP_GRACE).await;
        };
        tokio::select! {
            done = attempt.run() => done,
            () = abandoned => {
                metrics::attempt_abandoned();
                Err(Error::new(ErrorKind::Cancelled, "the work did not stop and was abandoned"))
            }
        }
    }

    /// Writes the end of an attempt to the store and returns what the queue is to be told.
    /// Tells what an attempt says of the host of its source.
    fn report<T>(
        &self,
        claimed: &ClaimedJob,
        started: &StartedWork,
        as_organisation: bool,
        result: &Result<T>,
    ) -> HostReport {
        let StartedWork { task, repository, .. } = started;
        let source = source(task, repository);
        let is_known = repository.last_synced_at.is_some() && repository.source.as_ref() == source;
        match result {
            // The error is that of the attempt before.
            _ if claimed.exhausted => HostReport::Nothing,
            Ok(_) => HostReport::Answered,
            Err(error) => report(error, self.live.ending(), Asked { source, is_known, as_organisation }),
        }
    }

    async fn conclude(
        &self,
        claimed: &ClaimedJob,
        started: &StartedWork,
        credentials: Option<CredentialRevision>,
        (result, host): (Result<(Done, Option<Timestamp>)>, HostReport),
        now: Timestamp,
    ) -> Option<JobEnd> {
        let options = &self.parts.options;
        let lease = claimed.lease;
        let (verdict, recording) = match result {
            Ok((Done::Purged, _)) => {
                metrics::purged(self.claimed_at.elapsed());
                return Some(JobEnd::new(lease, JobOutcome::Done));
            }
            Ok((Done::Upkeep, _)) => {
                (Verdict { task: Outcome::Completed(None), job: JobOutcome::Done, next_sync_at: None }, None)
            }
            Ok((Done::Books(books, recording), push_again_at)) => {
                let next_sync_at =
                    next_sync_at(&after(&started.repository, &books, now), options.rhythm(), fastrand::f64(), now);
                // A push target is tried again by a sync, which upstream need not suffer from.
                let soonest = push_again_at.map(|at| at.max(now.after(options.sync_interval_min)));
                let next_sync_at = next_sync_at.map(|at| soonest.map_or(at, |soonest| soonest.min(at)));
                (
                    Verdict { task: Outcome::Completed(Some(books)), job: JobOutcome::Done, next_sync_at },
                    Some(recording),
                )
            }
            Err(error) => {
                warn!(%error, error_kind = %error.kind(), "the attempt failed");
                let error = self.live.explain(error);
                let attempt = if claimed.exhausted { u32::MAX } else { claimed.attempt };
                (verdict(started, &error, credentials, self.live.ending(), attempt, options, now)?, None)
            }
        };
        let work = started.work;
        self.parts.steps.reached("done").await;
        match self.parts.store.finish_task(work, &verdict.task, recording.as_ref(), verdict.next_sync_at).await {
            Ok(task) => {
                info!(status = %task.status, commits = task.commits_synced, "task ended");
                metrics::attempt_ended(started, &verdict.task, &task, self.claimed_at.elapsed(), now);
                self.parts.steps.reached("finished").await;
                // A task that was asked to stop has ended, even if the verdict was to try again.
                let outcome = if task.status.is_terminal() { JobOutcome::Done } else { verdict.job };
                Some(JobEnd { lease, outcome, host })
            }
            Err(error) if matches!(error.kind(), ErrorKind::LeaseLost | ErrorKind::NotFound) => None,
            Err(error) => {
                warn!(%error, "cannot write the end of the task");
                // The next attempt finds the task running and does it again; an attempt is spent, so that ends.
                let at = now.after(STOP_GRACE);
                Some(JobEnd { lease, outcome: JobOutcome::Retry { at, spent: true }, host })
            }
        }
    }
}

/// Tells which credentials the source of a task has, if it has one and that can be told.
async fn credentials(transport: Arc<dyn Transport>, started: &StartedWork) -> Option<CredentialRevision> {
    let source = source(&started.task, &started.repository).cloned()?;
    let asked = tokio::time::timeout(PROVIDER_PATIENCE, blocking(move || transport.credential_revision(&source)));
    // An error is that of the attempt, too.
    asked.await.ok()?.ok().flatten()
}

/// Returns what a task takes from upstream by, if it does.
fn source<'s>(task: &'s SyncTask, repository: &'s Repository) -> Option<&'s SourceUrl> {
    match task.kind {
        TaskKind::Migrate | TaskKind::Sync => task.parameters.source.as_ref().or(repository.source.as_ref()),
        TaskKind::Initialize | TaskKind::Maintain | TaskKind::Delete => None,
    }
}

/// What a repository is after a completed task, as far as the time of its next sync goes by it.
fn after(repository: &Repository, books: &Completion, now: Timestamp) -> Repository {
    Repository {
        source: books.source.clone().or_else(|| repository.source.clone()),
        last_changed_at: if books.changed { Some(now) } else { repository.last_changed_at },
        failures: 0,
        ..repository.clone()
    }
}

/// The error of a job that was handed out once more only for its failure to be written.
fn exhausted(started: &StartedWork) -> Error {
    let last = started.task.error.as_ref().map(|StoredError { kind, message }| Error::new(*kind, message.clone()));
    last.unwrap_or_else(|| Error::new(ErrorKind::Timeout, "no attempt came to its end: its workers died or hung"))
        .permanent()
}
