//! How many jobs of one source host run at once.

use super::harness::{QueueHarness, ids};
use crate::queue::JobOutcome;

/// The limit is exact, other hosts are served past a full one, and an ended job makes room.
pub async fn a_host_never_has_more_than_its_limit(h: QueueHarness) {
    let busy: Vec<_> = (0..4).map(|_| h.job("busy.example")).collect();
    h.enqueue(&busy).await;
    h.clock.advance(super::harness::SECOND);
    let other = h.job("other.example");
    h.enqueue(std::slice::from_ref(&other)).await;

    let claimed = h.claim(10).await;
    let expected = [busy[0].id, busy[1].id, other.id];
    assert_eq!(claimed.iter().map(|job| job.lease.id).collect::<Vec<_>>(), expected, "LIMITS allow two of a host");
    assert_eq!(h.claim_ids(10).await, []);

    assert!(h.finish(claimed[0].lease, JobOutcome::Done).await);
    assert_eq!(h.claim_ids(10).await, [busy[2].id]);
    assert!(h.finish(claimed[1].lease, JobOutcome::Released).await);
    assert_eq!(h.claim_ids(10).await, [busy[1].id], "the one that was given back is due as it was before");
}

/// The place of a dead worker's job is free once its lease has expired, and is counted once, not twice, when the worker
/// turns up again.
pub async fn an_expired_lease_frees_its_place(h: QueueHarness) {
    let jobs: Vec<_> = (0..5).map(|_| h.job("busy.example")).collect();
    h.enqueue(&jobs).await;
    let dead = h.claim(10).await;
    assert_eq!(dead.len(), 2);
    h.let_leases_expire();
    assert_eq!(h.claim_ids(10).await, ids(&jobs[..2]));
    assert!(!h.finish(dead[0].lease, JobOutcome::Done).await);
    assert_eq!(h.claim_ids(10).await, [], "the end of a lost lease makes no room");
}

/// Work that needs no upstream is not limited.
pub async fn local_work_has_no_limit(h: QueueHarness) {
    let jobs: Vec<_> = (0..5).map(|_| h.job("local")).collect();
    h.enqueue(&jobs).await;
    assert_eq!(h.claim_ids(10).await, ids(&jobs));
}
