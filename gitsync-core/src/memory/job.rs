//! A job in the queue.

use crate::clock::Timestamp;
use crate::queue::{ClaimedJob, HeartbeatAnswer, Lane, Lease, NewJob, QueueLimits};

/// A job and, if it was claimed, its claim.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) lane: Lane,
    pub(super) priority: i16,
    pub(super) run_at: Timestamp,
    /// The attempts that count.
    pub(super) attempt: u32,
    /// The latest claim's number, or the floor for the first.
    pub(super) epoch: i64,
    pub(super) cancel_requested: bool,
    /// The latest claim until it is finished, also after it has expired.
    pub(super) claim: Option<Claim>,
}

/// A worker's hold on a job.
#[derive(Debug)]
pub(super) struct Claim {
    /// When the lease expires.
    pub(super) until: Timestamp,
    /// After this the lease is not extended.
    deadline: Timestamp,
    /// Whether the claim was counted as an attempt; one of an exhausted job is not.
    counted: bool,
}

impl Job {
    pub(super) fn new(new: &NewJob) -> Self {
        Job {
            lane: new.lane.clone(),
            priority: new.priority,
            run_at: new.run_at,
            attempt: new.attempt,
            epoch: new.epoch,
            cancel_requested: false,
            claim: None,
        }
    }

    pub(super) fn is_leased(&self, now: Timestamp) -> bool {
        self.claim.as_ref().is_some_and(|claim| now < claim.until)
    }

    /// Tells whether it may be taken, if its host has room.
    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        !self.is_leased(now) && self.run_at <= now
    }

    /// Tells whether a lease is good.
    pub(super) fn is_held_by(&self, lease: Lease, now: Timestamp) -> bool {
        self.epoch == lease.epoch && self.is_leased(now)
    }

    /// Since when it may be taken, or from when on.
    pub(super) fn due_at(&self) -> Timestamp {
        self.claim.as_ref().map_or(self.run_at, |claim| claim.until.max(self.run_at))
    }

    /// Takes over what the task says by now, unless somebody is at it.
    pub(super) fn update(&mut self, new: &NewJob, now: Timestamp) {
        if self.is_leased(now) {
            return;
        }
        self.lane = new.lane.clone();
        self.priority = new.priority;
        self.run_at = new.run_at;
        self.attempt = new.attempt;
        self.epoch = self.epoch.max(new.epoch);
    }

    pub(super) fn claim(&mut self, lease: Lease, limits: &QueueLimits, now: Timestamp) -> ClaimedJob {
        let exhausted = self.attempt >= limits.max_attempts;
        if !exhausted {
            self.attempt += 1;
        }
        self.epoch = lease.epoch;
        self.claim =
            Some(Claim { until: now.after(limits.lease), deadline: now.after(limits.deadline), counted: !exhausted });
        ClaimedJob { lease, lane: self.lane.clone(), attempt: self.attempt, exhausted }
    }

    /// Extends a lease.
    pub(super) fn heartbeat(&mut self, lease: Lease, limits: &QueueLimits, now: Timestamp) -> HeartbeatAnswer {
        if !self.is_held_by(lease, now) {
            return HeartbeatAnswer::Lost;
        }
        match &mut self.claim {
            Some(claim) if now < claim.deadline => claim.until = now.after(limits.lease),
            _ => return HeartbeatAnswer::DeadlineReached,
        }
        if self.cancel_requested { HeartbeatAnswer::CancelRequested } else { HeartbeatAnswer::Continue }
    }

    /// Ends a claim; the job waits again.
    pub(super) fn give_back(&mut self, spent: bool) {
        if let Some(claim) = self.claim.take()
            && claim.counted
            && !spent
        {
            self.attempt = self.attempt.saturating_sub(1);
        }
    }
}
