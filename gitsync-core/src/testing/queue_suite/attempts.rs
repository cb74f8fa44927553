//! Which ends of work count as attempts, and when the next one is due.

use super::harness::{LIMITS, QueueHarness, SECOND};
use crate::clock::Clock;
use crate::queue::{JobEnd, JobOutcome, NewJob};

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

/// An exhausted job stays so, however its hand-outs end.
pub async fn an_exhausted_job_gains_no_attempt(h: QueueHarness) {
    h.enqueue(&[NewJob { attempt: LIMITS.max_attempts, ..h.job("a") }]).await;
    let at = h.clock.now();
    let outcomes = [
        JobOutcome::Released,
        JobOutcome::Retry { at, spent: false },
        JobOutcome::Retry { at, spent: true },
        JobOutcome::Done,
    ];
    for outcome in outcomes {
        let claimed = h.claim_one().await;
        assert_eq!((claimed.attempt, claimed.exhausted), (LIMITS.max_attempts, true));
        assert!(h.finish(claimed.lease, outcome).await);
    }
    assert_eq!(h.claim(1).await, []);
}

/// A retry is due when it says, and its attempt counts.
pub async fn a_retry_waits_for_its_time(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    let first = h.claim_one().await;
    let retry = JobOutcome::Retry { at: h.in_seconds(100), spent: true };
    assert!(h.finish(first.lease, retry).await);
    h.clock.advance(99 * SECOND);
    assert_eq!(h.claim(1).await, []);
    h.clock.advance(2 * SECOND);
    let second = h.claim_one().await;
    assert_eq!((second.lease.id, second.attempt, &second.lane), (first.lease.id, 2, &first.lane));
    assert!(second.lease.epoch > first.lease.epoch);
}

/// An attempt that does not count is made again, as often as it takes.
pub async fn an_unspent_retry_does_not_count(h: QueueHarness) {
    h.enqueue(&[NewJob { attempt: 1, ..h.job("a") }]).await;
    for _ in 0..=LIMITS.max_attempts {
        let claimed = h.claim_one().await;
        assert_eq!((claimed.attempt, claimed.exhausted), (2, false));
        let retry = JobOutcome::Retry { at: h.in_seconds(10), spent: false };
        assert!(h.finish(claimed.lease, retry).await);
        assert_eq!(h.claim(1).await, []);
        h.clock.advance(11 * SECOND);
    }
}

/// Spent attempts add up to the limit; then the job is handed out to be ended.
pub async fn spent_retries_exhaust_a_job(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    for attempt in 1..=LIMITS.max_attempts {
        let claimed = h.claim_one().await;
        assert_eq!((claimed.attempt, claimed.exhausted), (attempt, false));
        let retry = JobOutcome::Retry { at: h.clock.now(), spent: true };
        assert!(h.finish(claimed.lease, retry).await);
    }
    let claimed = h.claim_one().await;
    assert_eq!((claimed.attempt, claimed.exhausted), (LIMITS.max_attempts, true));
}

/// A job that is given back is due as it was before, in its old place, and its attempt does not count.
pub async fn a_released_job_is_as_it_was(h: QueueHarness) {
    h.clock.advance(10 * SECOND);
    let now = h.clock.now();
    let job = |seconds: u32| NewJob { run_at: now.before(seconds * SECOND), ..h.job("local") };
    let jobs = [job(9), job(6), job(3)];
    h.enqueue(&jobs).await;
    for _ in 0..=LIMITS.max_attempts {
        let claimed = h.claim(2).await;
        let summary: Vec<_> = claimed.iter().map(|job| (job.lease.id, job.attempt, job.exhausted)).collect();
        assert_eq!(summary, [(jobs[0].id, 1, false), (jobs[1].id, 1, false)]);
        let released: Vec<_> = claimed.iter().map(|job| JobEnd::new(job.lease, JobOutcome::Released)).collect();
        assert_eq!(h.queue.finish(&released).await.expect("work can be ended"), [true, true]);
    }
}
