//! Cancellation of jobs in every state.

use super::harness::{QueueHarness, SECOND};
use crate::model::TaskId;
use crate::queue::{HeartbeatAnswer, JobOutcome, Lease, NewJob};

/// A job that waits is gone at once, whether it is due, not yet due or to be tried again.
pub async fn a_waiting_job_is_deleted(h: QueueHarness) {
    let (ready, later, retried) = (h.job("a"), NewJob { run_at: h.in_seconds(60), ..h.job("b") }, h.job("c"));
    let stays = h.job("d");
    h.enqueue(std::slice::from_ref(&retried)).await;
    let claimed = h.claim_one().await;
    let retry = JobOutcome::Retry { at: h.in_seconds(60), spent: true };
    assert!(h.finish(claimed.lease, retry).await);
    h.enqueue(&[ready.clone(), later.clone(), stays.clone()]).await;

    cancel(&h, &[ready.id, later.id, retried.id]).await;
    let stats = h.queue.stats().await.expect("jobs can be counted");
    assert_eq!((stats.ready, stats.scheduled, stats.running), (1, 0, 0));
    h.clock.advance(61 * SECOND);
    assert_eq!(h.claim_ids(10).await, [stays.id]);
}

/// The holder of a leased job is told, until it ends the job; its lease is extended meanwhile.
pub async fn the_holder_is_told(h: QueueHarness) {
    let (job, other) = (h.job("a"), h.job("b"));
    h.enqueue(&[job.clone(), other]).await;
    let leases: Vec<_> = h.claim(2).await.iter().map(|job| job.lease).collect();
    assert_eq!(asked(&h, &leases).await, [false, false]);
    cancel(&h, &[job.id]).await;
    cancel(&h, &[job.id]).await;
    for _ in 0..3 {
        assert_eq!(asked(&h, &leases).await, [true, false]);
        let answers = h.queue.heartbeat(&leases).await.expect("leases can be extended");
        assert_eq!(answers, [HeartbeatAnswer::CancelRequested, HeartbeatAnswer::Continue]);
        assert_eq!(h.claim(1).await, []);
        h.clock.advance(20 * SECOND);
    }
    assert!(h.finish(leases[0], JobOutcome::Done).await);
    assert_eq!(asked(&h, &leases).await, [true, false], "what is gone is not to be worked on");
}

/// If the holder has died, the next one is told, because the task is still to be ended.
pub async fn the_next_holder_is_told(h: QueueHarness) {
    let job = h.job("a");
    h.enqueue(std::slice::from_ref(&job)).await;
    let asked_in_time = h.claim_one().await;
    cancel(&h, &[job.id]).await;
    h.let_leases_expire();
    let second = h.claim_one().await;
    assert_eq!(asked(&h, &[second.lease]).await, [true], "asked while the first held it");
    assert!(h.finish(second.lease, JobOutcome::Done).await);
    assert_eq!(asked(&h, &[asked_in_time.lease]).await, [true]);

    let job = h.job("a");
    h.enqueue(std::slice::from_ref(&job)).await;
    h.claim_one().await;
    h.let_leases_expire();
    cancel(&h, &[job.id]).await;
    let next = h.claim_one().await;
    assert_eq!(next.lease.id, job.id, "asked when nobody held it");
    let answers = h.queue.heartbeat(&[next.lease]).await.expect("leases can be extended");
    assert_eq!(answers, [HeartbeatAnswer::CancelRequested]);
}

/// A job that comes again after its cancellation is as new.
pub async fn a_cancelled_job_can_come_again(h: QueueHarness) {
    let job = h.job("a");
    h.enqueue(std::slice::from_ref(&job)).await;
    cancel(&h, &[job.id]).await;
    h.enqueue(std::slice::from_ref(&job)).await;
    let claimed = h.claim_one().await;
    assert_eq!((claimed.lease.id, asked(&h, &[claimed.lease]).await), (job.id, vec![false]));
    cancel(&h, &[job.id]).await;
    assert!(h.finish(claimed.lease, JobOutcome::Done).await);
    let again = NewJob { epoch: claimed.lease.epoch, ..job };
    h.enqueue(&[again]).await;
    let claimed = h.claim_one().await;
    assert_eq!(asked(&h, &[claimed.lease]).await, [false]);
}

/// What is not there needs no cancellation, and does not hinder that of others.
pub async fn an_unknown_job_is_passed_over(h: QueueHarness) {
    let job = h.job("a");
    h.enqueue(std::slice::from_ref(&job)).await;
    cancel(&h, &[TaskId::generate(), job.id, TaskId::generate(), job.id]).await;
    assert_eq!(h.claim(1).await, []);
}

/// A holder that was outrun should stop, whoever asked for what.
pub async fn a_lost_lease_should_stop(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    let first = h.claim_one().await.lease;
    h.let_leases_expire();
    assert_eq!(asked(&h, &[first]).await, [true], "expired");
    let second = h.claim_one().await.lease;
    let unknown = Lease { id: TaskId::generate(), epoch: 1 };
    assert_eq!(asked(&h, &[first, second, unknown]).await, [true, false, true]);
}

async fn cancel(h: &QueueHarness, jobs: &[TaskId]) {
    h.queue.cancel(jobs).await.expect("jobs can be cancelled");
}

async fn asked(h: &QueueHarness, leases: &[Lease]) -> Vec<bool> {
    h.queue.cancel_requested(leases).await.expect("cancellations can be asked for")
}
