//! How many jobs of one source host run at once.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::timeout;

use super::harness::{LIMITS, PATIENCE, QueueHarness, SECOND, ids, lane};
use crate::clock::Clock;
use crate::model::TaskId;
use crate::queue::{ClaimRequest, ClaimedJob, HeartbeatAnswer, HostReport, JobEnd, JobOutcome, MAX_BATCH, NewJob};
use crate::rules::LESSONS_KEPT;

/// The limit is exact, other hosts are served past a full one, and an ended job makes room.
pub async fn a_host_never_has_more_than_its_limit(h: QueueHarness) {
    let busy: Vec<_> = (0..4).map(|_| h.job("busy.example")).collect();
    h.enqueue(&busy).await;
    h.clock.advance(SECOND);
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

/// The limit is one of the host, on whatever disks its repositories are.
pub async fn a_host_is_limited_across_storages(h: QueueHarness) {
    let on = |storage: &str| NewJob { lane: lane(storage, "busy.example"), ..h.job("busy.example") };
    h.enqueue(&[on("one"), on("one"), on("two")]).await;
    let storages = vec!["two".parse().expect("a name"), "one".parse().expect("a name")];
    let claim = async || {
        let request = ClaimRequest { limit: 10, storages: storages.clone() };
        h.queue.claim(&request).await.expect("jobs can be claimed")
    };
    let claimed = claim().await;
    assert_eq!(claimed.len(), 2);
    assert_eq!(claim().await, []);
    assert!(h.finish(claimed[0].lease, JobOutcome::Done).await);
    assert_eq!(claim().await.len(), 1);
}

/// A long line of jobs behind a full host keeps nobody else waiting, however few jobs a claim asks for.
pub async fn a_full_host_keeps_no_other_waiting(h: QueueHarness) {
    h.clock.advance(10 * SECOND);
    let long_ago = h.clock.now().before(5 * SECOND);
    for _ in 0..4 {
        let line: Vec<_> = (0..MAX_BATCH).map(|_| NewJob { run_at: long_ago, ..h.job("busy.example") }).collect();
        h.enqueue(&line).await;
    }
    assert_eq!(h.claim(2).await.len(), 2);
    let others: Vec<_> = ["a.example", "local-files", "local"].map(|host| h.job(host)).into();
    h.enqueue(&others).await;
    for other in others {
        assert_eq!(h.claim_ids(1).await, [other.id]);
    }
    assert_eq!(h.claim(10).await, []);
}

/// A retry makes room, and files on the local disk are a host like any other.
pub async fn a_retry_makes_room(h: QueueHarness) {
    let jobs: Vec<_> = (0..3).map(|_| h.job("local-files")).collect();
    h.enqueue(&jobs).await;
    let claimed = h.claim(10).await;
    assert_eq!(claimed.len(), 2);
    let retry = JobOutcome::Retry { at: h.in_seconds(60), spent: true };
    assert!(h.finish(claimed[0].lease, retry).await);
    assert_eq!(h.claim_ids(10).await, [jobs[2].id]);
}

/// A host that asked for a pause is left alone until it is over: by waiting and by new jobs. Others are served, and
/// what runs goes on.
pub async fn a_blocked_host_is_left_alone(h: QueueHarness) {
    let jobs: Vec<_> = (0..4).map(|_| h.job("busy.example")).collect();
    h.enqueue(&jobs).await;
    let claimed = h.claim(2).await;
    let outcome = JobOutcome::Retry { at: h.in_seconds(100), spent: false };
    let host = HostReport::Busy { pause: Some(100 * SECOND) };
    assert!(h.end(JobEnd { lease: claimed[0].lease, outcome, host }).await);
    let other = h.job("other.example");
    h.enqueue(&[h.job("busy.example"), other.clone()]).await;
    let beside = h.claim_one().await;
    assert_eq!(beside.lease.id, other.id);
    assert!(h.finish(beside.lease, JobOutcome::Done).await);
    let answers = h.queue.heartbeat(&[claimed[1].lease]).await.expect("leases can be extended");
    assert_eq!(answers, [HeartbeatAnswer::Continue]);
    assert!(h.finish(claimed[1].lease, JobOutcome::Done).await);
    h.clock.advance(99 * SECOND);
    assert_eq!(h.claim_ids(10).await, []);
    h.clock.advance(2 * SECOND);
    assert_eq!(h.claim_ids(10).await, ids(&jobs[2..3]), "what was due before the one that was retried goes first");
}

/// A shorter pause does not end a longer one, a longer one does prolong a shorter.
pub async fn a_block_only_grows(h: QueueHarness) {
    h.enqueue(&[h.job("busy.example"), h.job("busy.example")]).await;
    let claimed = h.claim(2).await;
    let block = |job: &ClaimedJob, seconds| JobEnd {
        host: HostReport::Busy { pause: Some(seconds * SECOND) },
        ..JobEnd::new(job.lease, JobOutcome::Retry { at: h.clock.now(), spent: false })
    };
    let answers = h.queue.finish(&[block(&claimed[0], 100), block(&claimed[1], 10)]).await;
    assert_eq!(answers.expect("work can be ended"), [true, true]);
    h.clock.advance(50 * SECOND);
    assert_eq!(h.claim(10).await, []);
    h.clock.advance(51 * SECOND);
    let trusted = h.claim_one().await;
    assert!(h.end(JobEnd { host: HostReport::Answered, ..JobEnd::new(trusted.lease, JobOutcome::Released) }).await);
    let claimed = h.claim(10).await;
    assert_eq!(claimed.len(), 2);

    assert!(h.end(block(&claimed[0], 10)).await);
    assert!(h.end(block(&claimed[1], 100)).await);
    h.clock.advance(50 * SECOND);
    assert_eq!(h.claim(10).await, []);
    h.clock.advance(51 * SECOND);
    h.claim_one().await;
}

/// Work that needs no upstream is never blocked.
pub async fn local_work_is_not_blocked(h: QueueHarness) {
    h.enqueue(&[h.job("local")]).await;
    let claimed = h.claim_one().await;
    let outcome = JobOutcome::Retry { at: h.clock.now(), spent: true };
    let host = HostReport::Busy { pause: Some(100 * SECOND) };
    assert!(h.end(JobEnd { lease: claimed.lease, outcome, host }).await);
    assert_eq!(h.claim_one().await.lease.id, claimed.lease.id);
}

/// To forget hosts makes no room in a full one, and ends no block.
pub async fn what_counts_or_blocks_is_not_forgotten(h: QueueHarness) {
    let busy: Vec<_> = (0..4).map(|_| h.job("busy.example")).collect();
    let blocked = [h.job("blocked.example"), h.job("blocked.example")];
    h.enqueue(&busy).await;
    h.enqueue(&blocked).await;
    let claimed = h.claim(10).await;
    assert_eq!(claimed.len(), 4);
    for job in claimed.iter().filter(|job| job.lane.host == blocked[0].lane.host) {
        let outcome = JobOutcome::Retry { at: h.clock.now(), spent: false };
        let host = HostReport::Busy { pause: Some(20 * SECOND) };
        assert!(h.end(JobEnd { lease: job.lease, outcome, host }).await);
    }
    h.forget_all_hosts().await;
    assert_eq!(h.claim_ids(10).await, []);
    let running: Vec<_> = claimed.iter().filter(|job| job.lane.host == busy[0].lane.host).collect();
    assert!(h.finish(running[0].lease, JobOutcome::Done).await);
    h.forget_all_hosts().await;
    assert_eq!(h.claim_ids(10).await, [busy[2].id], "there is room for one, not for two");

    h.clock.advance(21 * SECOND);
    h.forget_all_hosts().await;
    assert_eq!(h.claim_ids(10).await, ids(&blocked[..1]), "that they wait is not forgotten, nor that the host is slow");
    h.forget_all_hosts().await;
    assert!(h.finish(running[1].lease, JobOutcome::Done).await);
    assert_eq!(h.claim_ids(10).await, [busy[3].id]);
}

/// A call forgets no more hosts than asked for, however much that is.
pub async fn no_more_hosts_are_forgotten_than_asked_for(h: QueueHarness) {
    let hosts = MAX_BATCH + 10;
    for number in 0..hosts {
        h.enqueue(&[h.job(&format!("h{number}.example"))]).await;
        let job = h.claim_one().await;
        let outcome = JobOutcome::Retry { at: h.in_seconds(2 * LESSONS_KEPT.as_secs()), spent: false };
        let host = HostReport::Busy { pause: Some(20 * SECOND) };
        assert!(h.end(JobEnd { lease: job.lease, outcome, host }).await);
    }
    h.clock.advance(LESSONS_KEPT + 21 * SECOND);
    for (limit, most) in [(0, 0), (1, 1), (3, 3), (usize::MAX, MAX_BATCH)] {
        let forgotten = h.queue.forget_hosts(limit).await.expect("hosts can be forgotten");
        assert!(forgotten <= most as u64, "{forgotten} were forgotten, not {most}");
    }
    h.forget_all_hosts().await;
    assert_eq!(h.queue.forget_hosts(10).await.expect("hosts can be forgotten"), 0);
}

/// Eight workers that claim and finish as fast as they can never have the same job at once, nor more jobs of a host
/// than it allows, and get everything done.
pub async fn many_workers_keep_the_limits(h: QueueHarness) {
    const HOSTS: [&str; 4] = ["a.example", "b.example", "c.example", "local-files"];
    let jobs: Vec<_> = (0..80).map(|number: usize| h.job(HOSTS[number % HOSTS.len()])).collect();
    h.enqueue(&jobs).await;
    let at_work: Arc<Mutex<Vec<ClaimedJob>>> = Arc::default();
    let done: Arc<Mutex<Vec<TaskId>>> = Arc::default();
    let (total, h) = (jobs.len(), Arc::new(h));
    let worker = |number: usize| {
        let (h, at_work, done) = (Arc::clone(&h), Arc::clone(&at_work), Arc::clone(&done));
        tokio::spawn(async move {
            while lock(&done).len() < total {
                let claimed = h.claim(1 + number % 3).await;
                for job in &claimed {
                    let mut at_work = lock(&at_work);
                    let beside = at_work.iter().filter(|other| other.lane.host == job.lane.host).count();
                    let limit = usize::try_from(LIMITS.host_concurrency).expect("a small number");
                    assert!(beside < limit, "{beside} jobs are at work beside {job:?}");
                    assert!(at_work.iter().all(|other| other.lease.id != job.lease.id), "{job:?} was given twice");
                    at_work.push(job.clone());
                }
                tokio::task::yield_now().await;
                for job in claimed {
                    lock(&at_work).retain(|other| other.lease != job.lease);
                    lock(&done).push(job.lease.id);
                    assert!(h.finish(job.lease, JobOutcome::Done).await);
                }
            }
        })
    };
    let workers: Vec<_> = (0..8).map(worker).collect();
    for worker in workers {
        timeout(PATIENCE, worker).await.expect("all is done in time").expect("a worker does not panic");
    }
    let mut done = std::mem::take(&mut *lock(&done));
    done.sort_unstable();
    assert_eq!(done, ids(&jobs));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panicked")
}
