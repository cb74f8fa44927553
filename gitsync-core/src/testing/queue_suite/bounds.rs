//! How much one call may carry, and what the whole queue says of itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::harness::{PATIENCE, QueueHarness, SECOND, ids};
use crate::clock::Clock;
use crate::error::{ErrorKind, Result};
use crate::queue::{ClaimRequest, HeartbeatAnswer, JobEnd, JobOutcome, MAX_BATCH, NewJob, QueueStats};

/// A longer slice is refused whole.
pub async fn longer_slices_are_refused(h: QueueHarness) {
    let jobs: Vec<_> = (0..=MAX_BATCH).map(|_| h.job("local")).collect();
    assert_eq!(refusal(h.queue.enqueue(&jobs).await), ErrorKind::InvalidInput);
    assert_eq!(h.queue.stats().await.expect("jobs can be counted"), QueueStats::default());

    h.enqueue(&jobs[..MAX_BATCH]).await;
    let request = ClaimRequest { limit: MAX_BATCH + 1, storages: vec!["default".parse().expect("a name")] };
    assert_eq!(refusal(h.queue.claim(&request).await), ErrorKind::InvalidInput);
    let mut leases: Vec<_> = h.claim(MAX_BATCH).await.iter().map(|job| job.lease).collect();
    leases.push(leases[0]);
    let outcomes: Vec<_> = leases.iter().map(|lease| JobEnd::new(*lease, JobOutcome::Done)).collect();
    assert_eq!(refusal(h.queue.heartbeat(&leases).await), ErrorKind::InvalidInput);
    assert_eq!(refusal(h.queue.cancel_requested(&leases).await), ErrorKind::InvalidInput);
    assert_eq!(refusal(h.queue.cancel(&ids(&jobs)).await), ErrorKind::InvalidInput);
    assert_eq!(refusal(h.queue.finish(&outcomes).await), ErrorKind::InvalidInput);
    let answers = h.queue.heartbeat(&leases[1..]).await.expect("leases can be extended");
    assert_eq!(answers, [HeartbeatAnswer::Continue; MAX_BATCH]);
}

/// The longest slices are taken whole, and answered in full.
pub async fn the_longest_slices_are_taken(h: QueueHarness) {
    let jobs: Vec<_> = (0..MAX_BATCH).map(|_| h.job("local")).collect();
    h.enqueue(&jobs).await;
    let leases: Vec<_> = h.claim(MAX_BATCH).await.iter().map(|job| job.lease).collect();
    assert_eq!(leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), ids(&jobs));
    let answers = h.queue.heartbeat(&leases).await.expect("leases can be extended");
    assert_eq!(answers, [HeartbeatAnswer::Continue; MAX_BATCH]);
    h.queue.cancel(&ids(&jobs)).await.expect("jobs can be cancelled");
    let answers = h.queue.cancel_requested(&leases).await.expect("cancellations can be asked for");
    assert_eq!(answers, [true; MAX_BATCH]);
    let outcomes: Vec<_> = leases.iter().map(|lease| JobEnd::new(*lease, JobOutcome::Done)).collect();
    assert_eq!(h.queue.finish(&outcomes).await.expect("work can be ended"), [true; MAX_BATCH]);
    assert_eq!(h.queue.stats().await.expect("jobs can be counted"), QueueStats::default());
}

/// Nothing asked is nothing answered.
pub async fn empty_slices_are_answered(h: QueueHarness) {
    h.enqueue(&[h.job("a")]).await;
    h.enqueue(&[]).await;
    h.queue.cancel(&[]).await.expect("nothing can be cancelled");
    assert_eq!(h.queue.heartbeat(&[]).await.expect("no leases can be extended"), []);
    assert_eq!(h.queue.cancel_requested(&[]).await.expect("nothing can be asked for"), [false; 0]);
    assert_eq!(h.queue.finish(&[]).await.expect("nothing can be ended"), [false; 0]);
    h.claim_one().await;
}

/// Every job is counted once: as ready, as due later or as running.
pub async fn jobs_are_counted(h: QueueHarness) {
    assert_eq!(stats(&h).await, ((0, 0, 0), None));
    h.clock.advance(100 * SECOND);
    let due = |seconds: u32| NewJob { run_at: h.clock.now().before(seconds * SECOND), ..h.job("local") };
    let later = NewJob { run_at: h.in_seconds(60), ..h.job("local") };
    h.enqueue(&[due(40), due(30), due(20), later]).await;
    assert_eq!(stats(&h).await, ((3, 1, 0), Some(40)));
    let claimed = h.claim(2).await;
    assert_eq!(stats(&h).await, ((1, 1, 2), Some(20)));
    let retry = JobOutcome::Retry { at: h.in_seconds(60), spent: true };
    assert!(h.finish(claimed[0].lease, retry).await);
    assert_eq!(stats(&h).await, ((1, 2, 1), Some(20)));
    assert!(h.finish(claimed[1].lease, JobOutcome::Released).await);
    assert_eq!(stats(&h).await, ((2, 2, 0), Some(30)));
    h.queue.cancel(&[claimed[0].lease.id]).await.expect("the job can be cancelled");
    assert_eq!(stats(&h).await, ((2, 1, 0), Some(30)));
    h.clock.advance(70 * SECOND);
    assert_eq!(stats(&h).await, ((3, 0, 0), Some(100)));
}

/// A job whose worker has died is ready again since its lease expired, and one that its host keeps waiting is ready too.
pub async fn jobs_of_dead_workers_are_ready(h: QueueHarness) {
    let jobs: Vec<_> = (0..3).map(|_| h.job("busy.example")).collect();
    h.enqueue(&jobs).await;
    assert_eq!(h.claim(10).await.len(), 2);
    h.clock.advance(10 * SECOND);
    assert_eq!(stats(&h).await, ((1, 0, 2), Some(10)));
    h.queue.cancel(&[jobs[2].id]).await.expect("the job can be cancelled");
    assert_eq!(stats(&h).await, ((0, 0, 2), None));
    h.clock.advance(25 * SECOND);
    assert_eq!(stats(&h).await, ((2, 0, 0), Some(5)), "the lease was one of 30 seconds");
}

/// Whoever waits for something to claim learns of it when it is put in, without a move of the clock.
pub async fn who_waits_learns_of_a_new_job(h: QueueHarness) {
    let queue = Arc::clone(&h.queue);
    let waiter = tokio::spawn(async move { queue.wait_ready(Duration::from_secs(24 * 3600)).await });
    let job = h.job("a");
    let put_in = async {
        // Whoever did not wait yet learns of the next.
        while !waiter.is_finished() {
            h.queue.cancel(&[job.id]).await.expect("the job can be cancelled");
            h.enqueue(std::slice::from_ref(&job)).await;
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, put_in).await.expect("who waits is woken");
}

/// Nobody waits for longer than wished.
pub async fn a_wait_ends(h: QueueHarness) {
    timeout(PATIENCE, h.queue.wait_ready(Duration::ZERO)).await.expect("no time is no wait");
    let queue = Arc::clone(&h.queue);
    let waiter = tokio::spawn(async move { queue.wait_ready(SECOND).await });
    let pass_time = async {
        while !waiter.is_finished() {
            h.clock.advance(SECOND);
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, pass_time).await.expect("the wait ends");
}

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.expect_err("the call is refused").kind()
}

/// Counts the ready, scheduled and running jobs, and the seconds that the oldest has been due.
async fn stats(h: &QueueHarness) -> ((u64, u64, u64), Option<u64>) {
    let stats = h.queue.stats().await.expect("jobs can be counted");
    ((stats.ready, stats.scheduled, stats.running), stats.oldest_ready.map(|age| (age + SECOND / 2).as_secs()))
}
