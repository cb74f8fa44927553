//! Leases: claims, heartbeats, expiry, and the attempts they cost.

use super::harness::{LIMITS, QueueHarness, SECOND};
use crate::clock::Clock;
use crate::model::TaskId;
use crate::queue::{HeartbeatAnswer, HostReport, JobEnd, JobOutcome, Lease};

/// The first claim is above the floor that came with the job, each later one above the one before.
pub async fn each_claim_raises_the_epoch(h: QueueHarness) {
    let mut job = h.job("a");
    (job.epoch, job.attempt) = (41, 1);
    h.enqueue(&[job]).await;
    let first = h.claim_one().await;
    assert!(first.lease.epoch > 41);
    assert_eq!((first.attempt, first.exhausted), (2, false));
    assert!(h.finish(first.lease, JobOutcome::Released).await);
    assert!(h.claim_one().await.lease.epoch > first.lease.epoch);
}

/// A worker that is silent for longer than a lease has lost its job: the next one gets it, and the attempt is counted.
pub async fn an_expired_job_goes_to_the_next(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    let first = h.claim_one().await;
    h.clock.advance(LIMITS.lease - SECOND);
    assert_eq!(h.claim(1).await, []);
    h.clock.advance(2 * SECOND);
    let second = h.claim_one().await;
    assert_eq!((first.attempt, second.attempt), (1, 2));
    assert_eq!(heartbeat(&h, first.lease).await, HeartbeatAnswer::Lost);
    assert!(!h.finish(first.lease, JobOutcome::Done).await);
    assert_eq!(heartbeat(&h, second.lease).await, HeartbeatAnswer::Continue);
}

/// A lease lasts for as long as it is extended in time.
pub async fn a_heartbeat_extends_a_lease(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    let claimed = h.claim_one().await;
    for _ in 0..3 {
        h.clock.advance(LIMITS.lease - SECOND);
        assert_eq!(heartbeat(&h, claimed.lease).await, HeartbeatAnswer::Continue);
        assert_eq!(h.claim(1).await, []);
    }
    assert!(h.finish(claimed.lease, JobOutcome::Done).await);
}

/// However often it is extended, a lease ends some time after the job's deadline, and its worker is told why.
pub async fn a_job_past_its_deadline_is_not_extended(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    let claimed = h.claim_one().await;
    let beat = LIMITS.lease - SECOND;
    let beats = LIMITS.deadline.as_secs() / beat.as_secs();
    for _ in 0..beats {
        h.clock.advance(beat);
        assert_eq!(heartbeat(&h, claimed.lease).await, HeartbeatAnswer::Continue);
    }
    h.clock.advance(LIMITS.deadline - beat * u32::try_from(beats).expect("a few") + SECOND);
    assert_eq!(heartbeat(&h, claimed.lease).await, HeartbeatAnswer::DeadlineReached);
    h.queue.cancel(&[claimed.lease.id]).await.expect("the job can be cancelled");
    assert_eq!(heartbeat(&h, claimed.lease).await, HeartbeatAnswer::DeadlineReached, "it is not extended either way");
    assert_eq!(h.claim(1).await, [], "what is left of the lease is the worker's");
    h.clock.advance(beat);
    assert_eq!(heartbeat(&h, claimed.lease).await, HeartbeatAnswer::Lost);
    let next = h.claim_one().await;
    assert_eq!((next.lease.id, next.attempt), (claimed.lease.id, 2));
}

/// In what is left of its lease after the deadline, a worker ends the job like any other.
pub async fn a_job_past_its_deadline_can_be_finished(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    let claimed = h.claim_one().await;
    reach_the_deadline(&h, claimed.lease).await;
    assert!(h.finish(claimed.lease, JobOutcome::Done).await);
    h.let_leases_expire();
    assert_eq!(h.claim(1).await, []);
}

/// The deadline is one of each claim: the next one has all the time again.
pub async fn every_claim_has_its_own_deadline(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    let first = h.claim_one().await;
    reach_the_deadline(&h, first.lease).await;
    assert!(h.finish(first.lease, JobOutcome::Released).await);
    let second = h.claim_one().await;
    h.clock.advance(LIMITS.lease / 2);
    assert_eq!(heartbeat(&h, second.lease).await, HeartbeatAnswer::Continue);
}

/// The end of a lease that has expired is refused, also if nobody has claimed the job since, and changes nothing.
pub async fn an_expired_lease_cannot_be_finished(h: QueueHarness) {
    let retry = JobOutcome::Retry { at: h.in_seconds(7200), spent: false };
    for (attempt, outcome) in (1..).zip([JobOutcome::Done, JobOutcome::Released, retry]) {
        let job = h.job("a");
        h.enqueue(std::slice::from_ref(&job)).await;
        let claimed = h.claim_one().await;
        h.let_leases_expire();
        assert_eq!(heartbeat(&h, claimed.lease).await, HeartbeatAnswer::Lost, "{attempt}");
        let host = HostReport::Busy { pause: Some(7200 * SECOND) };
        assert!(!h.end(JobEnd { lease: claimed.lease, outcome, host }).await);
        let next = h.claim_one().await;
        assert_eq!((next.lease.id, next.attempt), (job.id, 2), "it is due at once, and the attempt counts");
        assert!(h.finish(next.lease, JobOutcome::Done).await);
    }
}

/// A lease of an earlier claim is not good for a later one, nor one of a claim that never was.
pub async fn only_the_latest_claim_counts(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    let first = h.claim_one().await.lease;
    assert!(h.finish(first, JobOutcome::Released).await);
    assert_eq!(heartbeat(&h, first).await, HeartbeatAnswer::Lost, "it has ended");
    let second = h.claim_one().await.lease;
    let future = Lease { epoch: second.epoch + 1, ..second };
    for other in [first, future] {
        assert_eq!(heartbeat(&h, other).await, HeartbeatAnswer::Lost);
        assert!(!h.finish(other, JobOutcome::Done).await);
    }
    assert!(h.finish(second, JobOutcome::Done).await);
    assert!(!h.finish(second, JobOutcome::Done).await, "it ends once");
    assert_eq!(heartbeat(&h, second).await, HeartbeatAnswer::Lost);
}

/// There is one answer for each lease, in order.
pub async fn answers_are_in_order(h: QueueHarness) {
    let jobs = ["a", "b", "c"].map(|host| h.job(host));
    h.enqueue(&jobs).await;
    let leases: Vec<_> = h.claim(3).await.iter().map(|job| job.lease).collect();
    h.queue.cancel(&[leases[1].id]).await.expect("the job can be cancelled");
    let unknown = Lease { id: TaskId::generate(), epoch: 1 };
    let asked = [unknown, leases[2], leases[1], leases[0]];
    let answers = h.queue.heartbeat(&asked).await.expect("leases can be extended");
    use HeartbeatAnswer::{CancelRequested, Continue, Lost};
    assert_eq!(answers, [Lost, Continue, CancelRequested, Continue]);
    let answers = h.queue.cancel_requested(&asked).await.expect("cancellations can be asked for");
    assert_eq!(answers, [true, false, true, false]);
    let outcomes = asked.map(|lease| JobEnd::new(lease, JobOutcome::Done));
    let answers = h.queue.finish(&outcomes).await.expect("work can be ended");
    assert_eq!(answers, [false, true, true, true]);
    h.let_leases_expire();
    assert_eq!(h.claim(10).await, []);
}

async fn heartbeat(h: &QueueHarness, lease: Lease) -> HeartbeatAnswer {
    h.queue.heartbeat(&[lease]).await.expect("leases can be extended")[0]
}

/// Extends a lease for as long as that can be.
async fn reach_the_deadline(h: &QueueHarness, lease: Lease) {
    let end = h.clock.now().after(LIMITS.deadline);
    while h.clock.now() < end {
        assert_eq!(heartbeat(h, lease).await, HeartbeatAnswer::Continue);
        h.clock.advance(LIMITS.lease / 2);
    }
    h.clock.advance(SECOND);
    assert_eq!(heartbeat(h, lease).await, HeartbeatAnswer::DeadlineReached);
}
