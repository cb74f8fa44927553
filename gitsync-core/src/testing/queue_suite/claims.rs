//! Which jobs a claim hands out, and in what order.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::harness::{QueueHarness, SECOND, ids, lane};
use crate::clock::Clock;
use crate::model::TaskId;
use crate::queue::{ClaimRequest, NewJob};

/// Lower priority values go first, among equals what was due earlier, however they were put in.
pub async fn better_priority_goes_first_then_earlier_time(h: QueueHarness) {
    h.clock.advance(10 * SECOND);
    let job = |host: &str, priority, seconds: u32| NewJob {
        priority,
        run_at: h.clock.now().before(seconds * SECOND),
        ..h.job(host)
    };
    let in_order = [job("d", -1, 1), job("b", 0, 9), job("a", 0, 5), job("c", 0, 2), job("a", 7, 9)];
    let shuffled = [3, 0, 4, 2, 1].map(|at: usize| in_order[at].clone());
    h.enqueue(&shuffled).await;
    assert_eq!(h.claim_ids(2).await, ids(&in_order[..2]));
    assert_eq!(h.claim_ids(10).await, ids(&in_order[2..]));
}

/// A job waits for its time, and is taken once that has come.
pub async fn a_job_is_not_claimed_before_it_is_due(h: QueueHarness) {
    let job = NewJob { run_at: h.in_seconds(60), ..h.job("a") };
    h.enqueue(std::slice::from_ref(&job)).await;
    h.clock.advance(59 * SECOND);
    assert_eq!(h.claim_ids(1).await, []);
    h.clock.advance(2 * SECOND);
    assert_eq!(h.claim_ids(1).await, [job.id]);
}

/// The limit is kept, and a job that was claimed is not there for the next.
pub async fn a_claim_takes_what_it_asks_for_and_no_more(h: QueueHarness) {
    let jobs: Vec<_> = ["a", "b", "c"].map(|host| h.job(host)).into();
    h.enqueue(&jobs).await;
    assert_eq!(h.claim(0).await, []);
    let first = h.claim(2).await;
    assert_eq!(first.len(), 2);
    let second = h.claim(2).await;
    assert_eq!(second.len(), 1);
    let claimed: BTreeSet<TaskId> = first.iter().chain(&second).map(|job| job.lease.id).collect();
    assert_eq!(claimed, ids(&jobs).into_iter().collect());
    assert_eq!(h.claim(2).await, []);
}

/// A worker gets jobs of the disks it serves, each with its lane, and none without a disk.
pub async fn only_the_storages_asked_for_are_served(h: QueueHarness) {
    let on = |storage: &str| NewJob { lane: lane(storage, "local"), ..h.job("local") };
    let jobs = ["one", "two", "three"].map(on);
    h.enqueue(&jobs).await;
    let claim = async |storages: &[&str]| {
        let storages = storages.iter().map(|name| name.parse().expect("a storage name")).collect();
        h.queue.claim(&ClaimRequest { limit: 10, storages }).await.expect("jobs can be claimed")
    };
    assert_eq!(claim(&[]).await, []);
    assert_eq!(claim(&["four"]).await, []);
    let claimed = claim(&["two"]).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].lease.id, &claimed[0].lane), (jobs[1].id, &jobs[1].lane));
    let rest: BTreeSet<_> = claim(&["three", "one"]).await.iter().map(|job| job.lease.id).collect();
    assert_eq!(rest, BTreeSet::from([jobs[0].id, jobs[2].id]));
}

/// Many workers that claim at once share the jobs: each is handed out exactly once.
pub async fn claims_at_once_never_get_the_same_job(h: QueueHarness) {
    let jobs: Vec<_> = (0..60).map(|_| h.job("local")).collect();
    h.enqueue(&jobs).await;
    let h = Arc::new(h);
    let workers: Vec<_> = (0..6)
        .map(|_| {
            let h = Arc::clone(&h);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let claimed = h.claim_ids(3).await;
                    if claimed.is_empty() {
                        return mine;
                    }
                    mine.extend(claimed);
                    assert!(mine.len() <= 60, "there are no more jobs than that");
                }
            })
        })
        .collect();
    let mut claimed = Vec::new();
    for worker in workers {
        claimed.extend(worker.await.expect("a worker does not panic"));
    }
    claimed.sort_unstable();
    assert_eq!(claimed, ids(&jobs));
}
