//! Claims beside other claims: what they lock, what they pass over and what they wait for.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::Timestamp;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimRequest, JobEnd, JobOutcome, JobQueue, NewJob, QueueLimits};
use gitsync_core::testing::ManualClock;
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::{Database, execute, wait_for_a_lock};
use sqlx::Connection;
use tokio::time::timeout;

use support::{job, open};

gitsync_test_postgres::keeper!();

/// The most hosts that a claim looks at in one step.
const HOSTS: usize = 256;

async fn claim(store: &PostgresStore, limit: usize) -> Vec<TaskId> {
    let request = ClaimRequest { limit, storages: vec!["default".parse().unwrap()] };
    store.claim(&request).await.unwrap().iter().map(|job| job.lease.id).collect()
}

async fn enqueue(store: &PostgresStore, jobs: &[NewJob]) {
    for batch in jobs.chunks(256) {
        store.enqueue(batch).await.unwrap();
    }
}

fn ids(jobs: &[NewJob]) -> Vec<TaskId> {
    jobs.iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn a_host_that_another_claim_has_is_passed_over() {
    let database = Database::create().await;
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    let jobs = [job("a.example"), job("b.example"), job("local")];
    enqueue(&store, &jobs).await;
    let mut other = database.connect().await;
    execute(&mut other, "INSERT INTO source_host VALUES ('a.example', 0)").await;
    let mut held = other.begin().await.unwrap();
    execute(&mut held, "SELECT FROM source_host WHERE name = 'a.example' FOR UPDATE").await;
    assert_eq!(claim(&store, 10).await, ids(&jobs[1..]));
    held.rollback().await.unwrap();
    assert_eq!(claim(&store, 10).await, ids(&jobs[..1]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_host_is_waited_for() {
    let database = Database::create().await;
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    let jobs = [0, 1, 2].map(|micros| NewJob { run_at: Timestamp::from_micros(micros), ..job("a.example") });
    enqueue(&store, &jobs).await;
    let (mut other, mut watching) = (database.connect().await, database.connect().await);
    execute(&mut other, "INSERT INTO source_host VALUES ('a.example', 0)").await;
    let mut held = other.begin().await.unwrap();
    execute(&mut held, "SELECT FROM source_host WHERE name = 'a.example' FOR UPDATE").await;
    let claiming = tokio::spawn({
        let store = Arc::clone(&store);
        async move { claim(&store, 1).await }
    });
    timeout(Duration::from_secs(60), wait_for_a_lock(&mut watching)).await.expect("it waits for the host");
    // Somebody who had the host took one job and moved another one to a host that is full.
    execute(&mut held, "INSERT INTO source_host VALUES ('full.example', 1000)").await;
    execute(&mut held, "UPDATE job SET leased_until = 9000000000000000 WHERE run_at = 0").await;
    execute(&mut held, "UPDATE job SET host = 'full.example' WHERE run_at = 1").await;
    held.commit().await.unwrap();
    assert_eq!(claiming.await.unwrap(), ids(&jobs[2..]));
}

#[tokio::test]
async fn a_job_that_somebody_is_at_is_passed_over_for_the_next() {
    let database = Database::create().await;
    let limits = QueueLimits { host_concurrency: 1, ..QueueLimits::default() };
    let store = open(&database, &ManualClock::default(), limits).await;
    let mut other = database.connect().await;
    for host in ["a.example", "local"] {
        let jobs = [0, 1, 2].map(|micros| NewJob { run_at: Timestamp::from_micros(micros), ..job(host) });
        enqueue(&store, &jobs).await;
        let mut held = other.begin().await.unwrap();
        execute(&mut held, "SELECT FROM job WHERE run_at = 0 FOR UPDATE").await;
        assert_eq!(claim(&store, 1).await, ids(&jobs[1..2]), "{host}");
        held.rollback().await.unwrap();
        store.cancel(&ids(&jobs)).await.unwrap();
    }
    let running: i64 = sqlx::query_scalar("SELECT running FROM source_host WHERE name = 'a.example'")
        .fetch_one(&mut other)
        .await
        .unwrap();
    assert_eq!(running, 1, "no more than there is room for");
}

#[tokio::test]
async fn more_hosts_than_a_step_looks_at_are_all_served() {
    let database = Database::create().await;
    let limits = QueueLimits { host_concurrency: 1, ..QueueLimits::default() };
    let store = open(&database, &ManualClock::default(), limits).await;
    let jobs: Vec<_> = (0..2 * HOSTS + 20).map(|n| job(&format!("h{n:04}.example"))).collect();
    enqueue(&store, &jobs).await;
    let mut claimed = BTreeSet::new();
    while claimed.len() < jobs.len() {
        let some = claim(&store, 100).await;
        assert!(!some.is_empty(), "{} of {} were claimed", claimed.len(), jobs.len());
        claimed.extend(some);
    }
    // All of them are full now.
    enqueue(&store, &(0..2 * HOSTS + 20).map(|n| job(&format!("h{n:04}.example"))).collect::<Vec<_>>()).await;
    let last = job("z.example");
    enqueue(&store, std::slice::from_ref(&last)).await;
    assert_eq!(claim(&store, 10).await, [last.id]);
}

#[tokio::test]
async fn a_host_behind_many_that_always_have_work_is_served() {
    let database = Database::create().await;
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    enqueue(&store, &(0..=HOSTS).map(|n| job(&format!("h{n:04}.example"))).collect::<Vec<_>>()).await;
    let urgent = NewJob { priority: -9, ..job("z.example") };
    enqueue(&store, std::slice::from_ref(&urgent)).await;
    for _ in 0..10 {
        let request = ClaimRequest { limit: 1, storages: vec!["default".parse().unwrap()] };
        let claimed = store.claim(&request).await.unwrap().pop().expect("there is always work");
        if claimed.lease.id == urgent.id {
            return;
        }
        store.finish(&[JobEnd::new(claimed.lease, JobOutcome::Done)]).await.unwrap();
        enqueue(&store, &[job(claimed.lane.host.as_str())]).await;
    }
    panic!("ten claims passed the most urgent job over");
}

#[tokio::test]
async fn a_host_gives_no_more_than_it_has_room_for_over_all_its_lanes() {
    let database = Database::create().await;
    let limits = QueueLimits { host_concurrency: 1, ..QueueLimits::default() };
    let store = open(&database, &ManualClock::default(), limits).await;
    let jobs: Vec<_> = (0..3).map(|priority| NewJob { priority, ..job("a.example") }).collect();
    let other = NewJob { priority: 9, ..job("b.example") };
    enqueue(&store, &jobs).await;
    enqueue(&store, std::slice::from_ref(&other)).await;
    assert_eq!(claim(&store, 2).await, [jobs[0].id, other.id]);
}
