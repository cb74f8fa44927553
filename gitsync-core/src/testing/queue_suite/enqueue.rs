//! What becomes of jobs that are put into the queue, once and again.

use super::harness::{LIMITS, QueueHarness, SECOND, ids, lane};
use crate::clock::{Clock, Timestamp};
use crate::model::TaskId;
use crate::queue::{ClaimRequest, HeartbeatAnswer, JobOutcome, NewJob};

/// Putting a job in twice, in one call or in two, is putting it in once.
pub async fn a_job_is_there_once(h: QueueHarness) {
    let job = h.job("a");
    h.enqueue(&[job.clone(), job.clone()]).await;
    h.enqueue(std::slice::from_ref(&job)).await;
    let stats = h.queue.stats().await.expect("jobs can be counted");
    assert_eq!((stats.ready, stats.scheduled, stats.running), (1, 0, 0));
    assert_eq!(h.claim_ids(10).await, [job.id]);
    assert_eq!(h.claim_ids(10).await, []);
}

/// A waiting job does what its task says by now: in another lane, at another priority and time, with other attempts.
pub async fn a_waiting_job_is_overwritten(h: QueueHarness) {
    h.clock.advance(10 * SECOND);
    let old = NewJob { attempt: 2, ..h.job("a") };
    let other = h.job("b");
    h.enqueue(&[old.clone(), other.clone()]).await;
    let new = NewJob { priority: -1, run_at: h.in_seconds(50), attempt: 0, lane: lane("default", "c"), ..old.clone() };
    h.enqueue(std::slice::from_ref(&new)).await;
    let beside = h.claim_one().await;
    assert_eq!(beside.lease.id, other.id, "the other one is not due any more");
    assert!(h.finish(beside.lease, JobOutcome::Done).await);
    h.clock.advance(51 * SECOND);
    let claimed = h.claim_one().await;
    assert_eq!((claimed.lease.id, &claimed.lane, claimed.attempt), (old.id, &new.lane, 1));
    assert!(h.finish(claimed.lease, JobOutcome::Released).await);

    let elsewhere = NewJob { lane: lane("other", "c"), run_at: h.clock.now(), ..new };
    h.enqueue(std::slice::from_ref(&elsewhere)).await;
    assert_eq!(h.claim(1).await, []);
    let request = ClaimRequest { limit: 1, storages: vec![elsewhere.lane.storage.clone()] };
    let claimed = h.queue.claim(&request).await.expect("jobs can be claimed");
    assert_eq!(claimed.iter().map(|job| (job.lease.id, &job.lane)).collect::<Vec<_>>(), [(old.id, &elsewhere.lane)]);
}

/// A better priority moves a waiting job forward, and an earlier time makes it due.
pub async fn a_waiting_job_can_be_pulled_forward(h: QueueHarness) {
    h.clock.advance(10 * SECOND);
    let first = h.job("a");
    let second = NewJob { priority: 5, ..h.job("b") };
    let later = NewJob { run_at: h.in_seconds(500), ..h.job("c") };
    h.enqueue(&[first.clone(), second.clone(), later.clone()]).await;
    let second = NewJob { priority: -5, ..second };
    let later = NewJob { run_at: h.clock.now().before(5 * SECOND), ..later };
    h.enqueue(&[second.clone(), later.clone()]).await;
    assert_eq!(h.claim_ids(10).await, [second.id, later.id, first.id]);
}

/// A leased job stays as it is: what the task says by then comes when its worker has ended.
pub async fn a_leased_job_stays_as_it_is(h: QueueHarness) {
    let job = h.job("a");
    h.enqueue(std::slice::from_ref(&job)).await;
    let claimed = h.claim_one().await;
    let new = NewJob { run_at: h.in_seconds(5000), lane: lane("other", "b"), attempt: 7, epoch: 70, ..job.clone() };
    h.enqueue(std::slice::from_ref(&new)).await;
    let answers = h.queue.heartbeat(&[claimed.lease]).await.expect("leases can be extended");
    assert_eq!(answers, [HeartbeatAnswer::Continue]);
    assert!(h.finish(claimed.lease, JobOutcome::Released).await);
    let again = h.claim_one().await;
    assert_eq!((again.lease.id, &again.lane, again.attempt), (job.id, &job.lane, 1));
}

/// A job whose lease has expired waits again, so it is overwritten; a late end of that lease changes nothing.
pub async fn a_job_of_a_dead_worker_is_overwritten(h: QueueHarness) {
    let job = h.job("a");
    h.enqueue(std::slice::from_ref(&job)).await;
    let dead = h.claim_one().await;
    h.let_leases_expire();
    let new = NewJob { lane: lane("default", "b"), attempt: 0, run_at: h.in_seconds(20), ..job };
    h.enqueue(std::slice::from_ref(&new)).await;
    assert!(!h.finish(dead.lease, JobOutcome::Done).await);
    assert_eq!(h.claim(1).await, []);
    h.clock.advance(21 * SECOND);
    let next = h.claim_one().await;
    assert_eq!((next.lease.id, &next.lane, next.attempt), (new.id, &new.lane, 1));
    assert!(next.lease.epoch > dead.lease.epoch);
}

/// A lower floor does not bring an epoch down, and a higher one lifts it.
pub async fn epochs_only_rise(h: QueueHarness) {
    let job = NewJob { epoch: 10, ..h.job("a") };
    h.enqueue(std::slice::from_ref(&job)).await;
    h.enqueue(&[NewJob { epoch: 3, ..job.clone() }]).await;
    let first = h.claim_one().await;
    assert!(first.lease.epoch > 10);
    assert!(h.finish(first.lease, JobOutcome::Released).await);
    h.enqueue(&[NewJob { epoch: 0, ..job.clone() }]).await;
    let second = h.claim_one().await;
    assert!(second.lease.epoch > first.lease.epoch);
    assert!(h.finish(second.lease, JobOutcome::Released).await);
    h.enqueue(&[NewJob { epoch: 1 << 40, ..job }]).await;
    assert!(h.claim_one().await.lease.epoch > 1 << 40);
}

/// A task that was given other work begins to count anew, also when no attempt was left.
pub async fn attempts_follow_the_task(h: QueueHarness) {
    let job = NewJob { attempt: LIMITS.max_attempts, ..h.job("a") };
    h.enqueue(std::slice::from_ref(&job)).await;
    h.enqueue(&[NewJob { attempt: 0, ..job.clone() }]).await;
    let claimed = h.claim_one().await;
    assert_eq!((claimed.attempt, claimed.exhausted), (1, false));
    assert!(h.finish(claimed.lease, JobOutcome::Released).await);
    h.enqueue(&[NewJob { attempt: LIMITS.max_attempts + 4, ..job }]).await;
    let claimed = h.claim_one().await;
    assert_eq!((claimed.attempt, claimed.exhausted), (LIMITS.max_attempts + 4, true));
}

/// What was finished can be put in again, and is as new.
pub async fn a_finished_job_can_come_again(h: QueueHarness) {
    let job = NewJob { attempt: 1, ..h.job("a") };
    h.enqueue(std::slice::from_ref(&job)).await;
    let first = h.claim_one().await;
    assert!(h.finish(first.lease, JobOutcome::Done).await);
    let again = NewJob { epoch: first.lease.epoch, ..job };
    h.enqueue(&[again]).await;
    let second = h.claim_one().await;
    assert_eq!(second.attempt, 2);
    assert!(second.lease.epoch > first.lease.epoch);
}

/// Priorities and times may be as extreme as their types.
pub async fn extremes_are_sorted(h: QueueHarness) {
    let job = |priority, run_at| NewJob { priority, run_at, ..h.job("local") };
    let (now, dawn) = (h.clock.now(), Timestamp::from_secs(-10_000_000_000));
    let in_order =
        [job(i16::MIN, now), job(0, dawn), job(0, Timestamp::from_secs(0)), job(0, now), job(i16::MAX, dawn)];
    let unknown = TaskId::generate();
    let never = NewJob { id: unknown, ..job(i16::MIN, Timestamp::from_secs(200_000_000_000)) };
    h.enqueue(&[never]).await;
    h.enqueue(&[in_order[3].clone(), in_order[4].clone(), in_order[0].clone()]).await;
    h.enqueue(&in_order[1..3]).await;
    assert_eq!(h.claim_ids(10).await, ids(&in_order));
}
