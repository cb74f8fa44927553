//! The seam to the job queue: who works, and when.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{StorageName, TaskId};
use crate::rules::HostState;
use crate::source::HostKey;

/// The most jobs one call may claim, extend, finish or ask about.
pub const MAX_BATCH: usize = 256;

/// Which workers may take a job, and beside which others it runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lane {
    /// The disk the repository is on: only workers that serve it take the job.
    pub storage: StorageName,
    /// The source host whose limit counts the job; [`HostKey::local`] has no limit.
    pub host: HostKey,
}

/// A job to put into the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// The id of the task; a job has no identity of its own.
    pub id: TaskId,
    /// Who may take it.
    pub lane: Lane,
    /// Lower values go first.
    pub priority: i16,
    /// When it may be taken.
    pub run_at: Timestamp,
    /// The attempts the task has had: the next claim is counted above it.
    pub attempt: u32,
    /// The highest epoch the task has seen: the next claim is above it.
    pub epoch: i64,
}

/// The right to work on a job: the job at one epoch. It ends by being finished, by expiring or by being outrun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job.
    pub id: TaskId,
    /// The claim: a later one has a higher value.
    pub epoch: i64,
}

/// A job that was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedJob {
    /// The right to work on it.
    pub lease: Lease,
    /// The lane it was queued in.
    pub lane: Lane,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// No attempt is left: the worker only writes the failure and finishes the job.
    pub exhausted: bool,
}

/// What a claim asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The most jobs to hand out; more than [`MAX_BATCH`] are refused like a slice that is too long.
    pub limit: usize,
    /// The disks the worker serves.
    pub storages: Vec<StorageName>,
}

/// What a worker is told when it extends a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatAnswer {
    /// Go on; the lease was extended.
    Continue,
    /// Go on until it is safe to stop; the lease was extended.
    CancelRequested,
    /// The job has run for too long; stop. The lease was not extended. Said also to who was asked to stop.
    DeadlineReached,
    /// Somebody else has the job; stop and write nothing.
    Lost,
}

/// How work on a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// For good, however the task fared: the job is deleted.
    Done,
    /// Another attempt is to be made.
    Retry {
        /// When.
        at: Timestamp,
        /// Whether the attempt counts; one that a host's rate limit ended does not.
        spent: bool,
    },
    /// It was given back unfinished, as at a shutdown: due as it was before, the attempt does not count.
    Released,
}

/// What work on a job says of its source host, by which the queue decides how many of its jobs run at once. Of
/// [`HostKey::local`] nothing is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostReport {
    /// Nothing: it was not asked, or what failed may not be its fault.
    #[default]
    Nothing,
    /// It answered, if only that it has no such repository.
    Answered,
    /// It asked for a pause.
    Busy {
        /// For how long, if it said that.
        pause: Option<Duration>,
    },
    /// It could not be reached, or did not go on answering.
    Away,
}

/// The end of work on a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobEnd {
    /// The right to work on it, which ends.
    pub lease: Lease,
    /// How it ended.
    pub outcome: JobOutcome,
    /// What it says of the job's host.
    pub host: HostReport,
}

impl JobEnd {
    /// Creates an end that says nothing of the host.
    pub fn new(lease: Lease, outcome: JobOutcome) -> Self {
        JobEnd { lease, outcome, host: HostReport::Nothing }
    }
}

/// A count of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Jobs that could be taken now, if their host has room and is not blocked; also those whose lease has expired.
    pub ready: u64,
    /// Jobs that are due later.
    pub scheduled: u64,
    /// Jobs that are leased.
    pub running: u64,
    /// How long the oldest ready job has been due; one whose lease has expired, since then.
    pub oldest_ready: Option<Duration>,
    /// The source hosts that get fewer jobs at once than is configured, are left alone or failed lately, by name: the first
    /// [`MAX_BATCH`].
    pub hosts: Vec<HostStats>,
}

/// What a queue has learned of a source host, see [`HostReport`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostStats {
    /// The host.
    pub host: HostKey,
    /// How many of its jobs may run at once.
    pub limit: u32,
    /// How many may if nothing were known of it: [`QueueLimits::host_concurrency`].
    pub configured: u32,
    /// How many jobs have failed by it in a row.
    pub failures: u32,
    /// Until when it is left alone.
    pub blocked_until: Option<Timestamp>,
}

impl HostStats {
    /// Returns what there is to say of a host, if there is anything.
    pub fn of(host: &HostKey, state: &HostState, configured: u32, now: Timestamp) -> Option<Self> {
        (!state.is_plain() || state.is_blocked(now)).then(|| HostStats {
            host: host.clone(),
            limit: state.most().map_or(configured, |most| most.min(configured)),
            configured,
            failures: state.failures,
            blocked_until: state.blocked_until.filter(|_| state.is_blocked(now)),
        })
    }
}

/// The limits a queue keeps. They are the same for all processes that share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// How long a lease lasts without a heartbeat. Default: 60 s.
    pub lease: Duration,
    /// How long one attempt may take in all. Default: 30 minutes.
    pub deadline: Duration,
    /// How many attempts a job has. Default: 4, the first and three retries.
    pub max_attempts: u32,
    /// How many jobs of one source host run at once, unless it has shown that it takes less. Default: 4.
    pub host_concurrency: u32,
}

impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits {
            lease: Duration::from_secs(60),
            deadline: Duration::from_secs(30 * 60),
            max_attempts: 4,
            host_concurrency: 4,
        }
    }
}

/// A durable queue of jobs. The store decides what is to be done; the queue decides who does it and when.
///
/// All calls that change something take slices and are atomic per element: the answer has one entry per element, in
/// order. A slice longer than [`MAX_BATCH`] is [`InvalidInput`](crate::ErrorKind::InvalidInput), and a queue that cannot be
/// reached is [`Unavailable`](crate::ErrorKind::Unavailable), with nothing changed.
///
/// **All** implementations:
///
/// - hand a job to one worker at a time, and raise its epoch at every claim;
/// - make a job claimable again when its lease expires, and count that as an attempt; a job that has run past its deadline
///   gets no more extensions, so a worker has what is left of its lease to write down why it stopped;
/// - never run more jobs of a host than [`QueueLimits::host_concurrency`], and none of a host that is blocked;
/// - learn from what each end of work says of the host, as [`HostState::after`] decides: how many of its jobs run at once, and
///   until when it is blocked;
/// - hand an exhausted job out once more, marked so and not counted, until it is finished;
/// - keep a claim's cost independent of how many jobs wait, also behind a host that has no room, if they are to serve more
///   than a few thousand jobs.
///
/// # Implement your own
///
/// `gitsync_core::queue_suite!` (feature `testing`) tells whether an implementation keeps all that. A queue that
/// adds something to another one passes on what it does not care about:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::time::Duration;
///
/// use gitsync_core::memory::MemoryQueue;
/// use gitsync_core::model::TaskId;
/// use gitsync_core::queue::*;
/// use gitsync_core::{JobQueue, Result, SystemClock};
///
/// /// Counts the jobs that were handed out.
/// #[derive(Debug)]
/// struct Counted<Q> {
///     queue: Q,
///     claimed: AtomicUsize,
/// }
///
/// #[async_trait::async_trait]
/// impl<Q: JobQueue> JobQueue for Counted<Q> {
///     async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedJob>> {
///         let jobs = self.queue.claim(request).await?;
///         self.claimed.fetch_add(jobs.len(), Ordering::Relaxed);
///         Ok(jobs)
///     }
///
///     async fn enqueue(&self, jobs: &[NewJob]) -> Result<()> {
///         self.queue.enqueue(jobs).await
///     }
///     async fn heartbeat(&self, leases: &[Lease]) -> Result<Vec<HeartbeatAnswer>> {
///         self.queue.heartbeat(leases).await
///     }
///     async fn finish(&self, ends: &[JobEnd]) -> Result<Vec<bool>> {
///         self.queue.finish(ends).await
///     }
///     async fn cancel(&self, jobs: &[TaskId]) -> Result<()> {
///         self.queue.cancel(jobs).await
///     }
///     async fn cancel_requested(&self, leases: &[Lease]) -> Result<Vec<bool>> {
///         self.queue.cancel_requested(leases).await
///     }
///     async fn forget_hosts(&self, limit: usize) -> Result<u64> {
///         self.queue.forget_hosts(limit).await
///     }
///     async fn stats(&self) -> Result<QueueStats> {
///         self.queue.stats().await
///     }
///     async fn wait_ready(&self, timeout: Duration) {
///         self.queue.wait_ready(timeout).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let queue = MemoryQueue::new(Arc::new(SystemClock), QueueLimits::default());
/// let queue: Arc<dyn JobQueue> = Arc::new(Counted { queue, claimed: AtomicUsize::new(0) });
/// let request = ClaimRequest { limit: 10, storages: vec!["default".parse()?] };
/// assert!(queue.claim(&request).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait JobQueue: fmt::Debug + Send + Sync {
    /// Puts jobs into the queue. A job that is there and is not leased gets the new lane, priority, time and count of
    /// attempts: they are the task's, and a task that was given other work begins to count anew. A leased one stays as it is.
    /// Epochs only ever rise. Doing it twice is doing it once.
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<()>;

    /// Claims jobs that are due, better priority first, then earlier time. Returns fewer, or none, if there are no more.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedJob>>;

    /// Extends leases and tells for each how to go on.
    async fn heartbeat(&self, leases: &[Lease]) -> Result<Vec<HeartbeatAnswer>>;

    /// Ends work on jobs. Tells for each whether the lease was still good; if not, nothing was changed. An expired lease is
    /// not good, even if nobody has claimed the job since.
    ///
    /// What they say of hosts is taken in in their order.
    async fn finish(&self, ends: &[JobEnd]) -> Result<Vec<bool>>;

    /// Asks for the end of jobs. One that waits is deleted. The holder of one that was claimed is told at its next heartbeat;
    /// if its lease has expired, the next holder is, because the task is still to be ended in the store.
    async fn cancel(&self, jobs: &[TaskId]) -> Result<()>;

    /// Tells for each lease whether its holder should stop: cancelled, or lost. A cheap read, made every second.
    async fn cancel_requested(&self, leases: &[Lease]) -> Result<Vec<bool>>;

    /// Forgets hosts that have no running job, are not blocked, and of which nothing was learned for a day
    /// ([`HostState::may_be_forgotten`]), at most `limit` and [`MAX_BATCH`], and tells how many.
    async fn forget_hosts(&self, limit: usize) -> Result<u64>;

    /// Counts the jobs, and tells which hosts are spared.
    async fn stats(&self) -> Result<QueueStats>;

    /// Completes when there may be something to claim, at the latest after `timeout`. A hint only: it may be wrong both ways.
    async fn wait_ready(&self, timeout: Duration);
}
