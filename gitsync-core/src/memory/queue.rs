//! The queue in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::job::Job;
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, Result};
use crate::model::TaskId;
use crate::queue::{
    ClaimRequest, ClaimedJob, HeartbeatAnswer, HostReport, HostStats, JobEnd, JobOutcome, JobQueue, Lease, MAX_BATCH,
    NewJob, QueueLimits, QueueStats,
};
use crate::rules::{HostLesson, HostState};
use crate::source::HostKey;

/// A job queue in memory: the reference implementation of [`JobQueue`].
///
/// Its jobs are gone with it, so it belongs beside a store that is too. Every call looks at every job, which is fine for
/// some thousands of them.
#[derive(Debug)]
pub struct MemoryQueue {
    clock: Arc<dyn Clock>,
    limits: QueueLimits,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<TaskId, Job>,
    /// What is known of hosts.
    hosts: BTreeMap<HostKey, HostState>,
}

impl MemoryQueue {
    /// Creates an empty queue.
    pub fn new(clock: Arc<dyn Clock>, limits: QueueLimits) -> Self {
        MemoryQueue { clock, limits, state: Mutex::default(), changed: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all who wait, and the next one who is about to: it may have looked before the change.
    fn announce(&self) {
        self.changed.notify_waiters();
        self.changed.notify_one();
    }
}

#[async_trait]
impl JobQueue for MemoryQueue {
    async fn enqueue(&self, jobs: &[NewJob]) -> Result<()> {
        check_batch(jobs.len())?;
        let now = self.clock.now();
        let mut state = self.state();
        for new in jobs {
            state.jobs.entry(new.id).and_modify(|job| job.update(new, now)).or_insert_with(|| Job::new(new));
        }
        drop(state);
        self.announce();
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<ClaimedJob>> {
        check_batch(request.limit)?;
        Ok(self.state().claim(request, &self.limits, self.clock.now()))
    }

    async fn heartbeat(&self, leases: &[Lease]) -> Result<Vec<HeartbeatAnswer>> {
        check_batch(leases.len())?;
        let now = self.clock.now();
        let mut state = self.state();
        let answer = |lease: &Lease| {
            let job = state.jobs.get_mut(&lease.id);
            job.map_or(HeartbeatAnswer::Lost, |job| job.heartbeat(*lease, &self.limits, now))
        };
        Ok(leases.iter().map(answer).collect())
    }

    async fn finish(&self, ends: &[JobEnd]) -> Result<Vec<bool>> {
        check_batch(ends.len())?;
        let now = self.clock.now();
        let mut state = self.state();
        let answers = ends.iter().map(|end| state.finish(end, &self.limits, now)).collect();
        drop(state);
        self.announce();
        Ok(answers)
    }

    async fn cancel(&self, jobs: &[TaskId]) -> Result<()> {
        check_batch(jobs.len())?;
        let mut state = self.state();
        for id in jobs {
            state.cancel(*id);
        }
        Ok(())
    }

    async fn cancel_requested(&self, leases: &[Lease]) -> Result<Vec<bool>> {
        check_batch(leases.len())?;
        let now = self.clock.now();
        let state = self.state();
        let may_go_on = |lease: &Lease| {
            state.jobs.get(&lease.id).is_some_and(|job| job.is_held_by(*lease, now) && !job.cancel_requested)
        };
        Ok(leases.iter().map(|lease| !may_go_on(lease)).collect())
    }

    async fn forget_hosts(&self, limit: usize) -> Result<u64> {
        let now = self.clock.now();
        let mut state = self.state();
        let is_idle = |host: &HostKey, known: &HostState| state.running(host, now) == 0 && known.may_be_forgotten(now);
        let idle = state.hosts.iter().filter(|(host, known)| is_idle(host, known)).map(|(host, _)| host.clone());
        let idle: Vec<HostKey> = idle.take(limit.min(MAX_BATCH)).collect();
        state.hosts.retain(|host, _| !idle.contains(host));
        Ok(idle.len() as u64)
    }

    async fn stats(&self) -> Result<QueueStats> {
        Ok(self.state().stats(&self.limits, self.clock.now()))
    }

    async fn wait_ready(&self, timeout: Duration) {
        let now = self.clock.now();
        let next = self.state().next_moment(now);
        let pause = next.map_or(timeout, |next| next.since(now).min(timeout));
        tokio::select! {
            () = self.changed.notified() => {}
            () = self.clock.sleep(pause) => {}
        }
    }
}

impl State {
    fn claim(&mut self, request: &ClaimRequest, limits: &QueueLimits, now: Timestamp) -> Vec<ClaimedJob> {
        let served = |job: &Job| job.is_ready(now) && request.storages.contains(&job.lane.storage);
        let mut ready: Vec<_> = self.jobs.iter().filter(|(_, job)| served(job)).collect();
        ready.sort_by_key(|(id, job)| (job.priority, job.run_at, **id));
        let ready: Vec<TaskId> = ready.into_iter().map(|(id, _)| *id).collect();

        let mut claimed = Vec::new();
        for id in ready {
            if claimed.len() == request.limit {
                break;
            }
            let Some(job) = self.jobs.get(&id) else { continue };
            if !self.has_room(&job.lane.host, limits, now) {
                continue;
            }
            if let Some(job) = self.jobs.get_mut(&id) {
                let lease = Lease { id, epoch: job.epoch + 1 };
                claimed.push(job.claim(lease, limits, now));
            }
        }
        claimed
    }

    fn has_room(&self, host: &HostKey, limits: &QueueLimits, now: Timestamp) -> bool {
        if *host == HostKey::local() {
            return true;
        }
        let configured = limits.host_concurrency;
        let known = self.hosts.get(host);
        let most = known.and_then(HostState::most).map_or(configured, |most| most.min(configured));
        let is_blocked = known.is_some_and(|known| known.is_blocked(now));
        !is_blocked && self.running(host, now) < usize::try_from(most).unwrap_or(usize::MAX)
    }

    fn running(&self, host: &HostKey, now: Timestamp) -> usize {
        self.jobs.values().filter(|job| job.lane.host == *host && job.is_leased(now)).count()
    }

    fn finish(&mut self, end: &JobEnd, limits: &QueueLimits, now: Timestamp) -> bool {
        let lease = end.lease;
        let Some(job) = self.jobs.get_mut(&lease.id) else { return false };
        if !job.is_held_by(lease, now) {
            return false;
        }
        let host = job.lane.host.clone();
        match &end.outcome {
            JobOutcome::Done => {
                self.jobs.remove(&lease.id);
            }
            JobOutcome::Released => job.give_back(false),
            JobOutcome::Retry { at, spent } => {
                job.give_back(*spent);
                job.run_at = *at;
            }
        }
        self.learn(host, end.host, limits, now);
        true
    }

    fn learn(&mut self, host: HostKey, report: HostReport, limits: &QueueLimits, now: Timestamp) {
        if host == HostKey::local() || report == HostReport::Nothing {
            return;
        }
        let before = self.hosts.get(&host).cloned().unwrap_or_default();
        let after = before.clone().after(report, limits.host_concurrency, now);
        if after != before {
            let lesson = HostLesson { host, before, after };
            lesson.log();
            self.hosts.insert(lesson.host, lesson.after);
        }
    }

    fn cancel(&mut self, id: TaskId) {
        match self.jobs.get_mut(&id) {
            Some(job) if job.claim.is_some() => job.cancel_requested = true,
            _ => {
                self.jobs.remove(&id);
            }
        }
    }

    fn stats(&self, limits: &QueueLimits, now: Timestamp) -> QueueStats {
        let known = |(host, state)| HostStats::of(host, state, limits.host_concurrency, now);
        let hosts = self.hosts.iter().filter_map(known).take(MAX_BATCH).collect();
        let mut stats = QueueStats { hosts, ..QueueStats::default() };
        for job in self.jobs.values() {
            if job.is_leased(now) {
                stats.running += 1;
            } else if job.is_ready(now) {
                stats.ready += 1;
                stats.oldest_ready = stats.oldest_ready.max(Some(now.since(job.due_at())));
            } else {
                stats.scheduled += 1;
            }
        }
        stats
    }

    /// Returns the next moment at which something may become claimable just because time passes.
    fn next_moment(&self, now: Timestamp) -> Option<Timestamp> {
        let dues = self.jobs.values().map(Job::due_at);
        dues.chain(self.hosts.values().filter_map(|known| known.blocked_until)).filter(|at| *at > now).min()
    }
}

fn check_batch(len: usize) -> Result<()> {
    if len <= MAX_BATCH {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("a call takes at most {MAX_BATCH} jobs")).with("given", len))
}
