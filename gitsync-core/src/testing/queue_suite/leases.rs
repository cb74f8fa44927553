//! Leases: claims, heartbeats, expiry, and the attempts they cost.

use super::harness::{LIMITS, QueueHarness, SECOND};
use crate::queue::{HeartbeatAnswer, JobOutcome, Lease};

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

/// When all attempts are used up the job is still handed out, marked so, until somebody has written the failure.
pub async fn an_exhausted_job_is_handed_out_once_more(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    for attempt in 1..=LIMITS.max_attempts {
        let claimed = h.claim_one().await;
        assert_eq!((claimed.attempt, claimed.exhausted), (attempt, false));
        h.let_leases_expire();
    }
    for _ in 0..2 {
        let claimed = h.claim_one().await;
        assert_eq!((claimed.attempt, claimed.exhausted), (LIMITS.max_attempts, true));
        h.let_leases_expire();
    }
    let claimed = h.claim_one().await;
    assert!(h.finish(claimed.lease, JobOutcome::Done).await);
    h.let_leases_expire();
    assert_eq!(h.claim(1).await, []);
}

async fn heartbeat(h: &QueueHarness, lease: Lease) -> HeartbeatAnswer {
    h.queue.heartbeat(&[lease]).await.expect("leases can be extended")[0]
}
