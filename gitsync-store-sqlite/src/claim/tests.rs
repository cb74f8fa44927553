//! What a claim finds, and what it costs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gitsync_core::queue::{JobEnd, JobOutcome, JobQueue, Lane, NewJob};
use gitsync_core::testing::ManualClock;
use gitsync_core::{Clock, Error};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};

use super::*;
use crate::SqliteStore;
use crate::connection::Attached;

async fn open(clock: &ManualClock) -> (SqliteStore, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gitsync.db");
    let limits = QueueLimits { host_concurrency: 1, ..QueueLimits::default() };
    (SqliteStore::open(path, Arc::new(clock.clone()), limits).await.unwrap(), directory)
}

fn job(clock: &ManualClock, host: &str) -> NewJob {
    NewJob {
        id: TaskId::generate(),
        lane: Lane { storage: "default".parse().unwrap(), host: host.parse().unwrap() },
        priority: 0,
        run_at: clock.now(),
        attempt: 0,
        epoch: 0,
    }
}

async fn claim_some(store: &SqliteStore, limit: usize) -> Result<Vec<ClaimedJob>, Error> {
    store.claim(&ClaimRequest { limit, storages: vec!["default".parse().unwrap()] }).await
}

#[tokio::test]
async fn lanes_and_their_jobs_are_found_by_one_index() {
    let (_store, directory) = open(&ManualClock::default()).await;
    let path = directory.path().join("gitsync.db");
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let query = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {CANDIDATES}"));
    let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    let uses = |step: &str| plan.iter().filter(|detail| detail.contains(step)).count();
    let index = "SEARCH waiting USING COVERING INDEX job_waiting";
    assert_eq!(uses(&format!("{index} (storage=? AND host=? AND priority>?)")), 2, "{plan:#?}");
    assert_eq!(uses(&format!("{index} (storage=? AND host>?)")), 2, "{plan:#?}");
    assert_eq!(uses(&format!("{index} (storage=? AND host=? AND priority=? AND run_at<?)")), 1, "{plan:#?}");
    assert_eq!(uses("SEARCH job USING INTEGER PRIMARY KEY"), 3, "{plan:#?}");
    assert_eq!(uses("SCAN job") + uses("SCAN waiting") + uses("SCAN source_host"), 0, "{plan:#?}");
    // For places and for the best, of the lanes of a step and of the candidates: they sort these alone.
    assert_eq!(uses("USE TEMP B-TREE"), 4, "{plan:#?}");
}

#[tokio::test]
async fn the_most_urgent_jobs_are_found_by_one_index() {
    let (_store, directory) = open(&ManualClock::default()).await;
    let path = directory.path().join("gitsync.db");
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let query = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", urgent::URGENT));
    let rows = sqlx::query(query).fetch_all(&mut connection).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    let uses = |step: &str| plan.iter().filter(|detail| detail.contains(step)).count();
    assert_eq!(uses("SCAN job USING COVERING INDEX job_urgent"), 1, "the first of all: {plan:#?}");
    assert_eq!(uses("SEARCH job USING COVERING INDEX job_urgent (priority>?)"), 1, "{plan:#?}");
    assert_eq!(uses("SEARCH waiting USING COVERING INDEX job_urgent (priority=? AND run_at<?)"), 1, "{plan:#?}");
    assert_eq!(uses("SEARCH job USING INTEGER PRIMARY KEY"), 1, "{plan:#?}");
    assert_eq!(
        uses("SCAN job") + uses("SCAN source_host"),
        1 + uses("SCAN job USING COVERING INDEX job_leased"),
        "{plan:#?}"
    );
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
enum Look {
    Urgent,
    Lanes,
}

/// Returns how many instructions of SQLite's machine a search takes while `count` jobs wait for a host that is full.
async fn instructions(look: Look, count: usize) -> u64 {
    let clock = ManualClock::default();
    let (store, directory) = open(&clock).await;
    let jobs: Vec<_> = (0..count).map(|_| job(&clock, "full.example")).collect();
    for batch in jobs.chunks(256) {
        store.enqueue(batch).await.unwrap();
    }
    assert_eq!(claim_some(&store, 9).await.unwrap().len(), 1);
    store.enqueue(&[job(&clock, "a.example"), job(&clock, "z.example")]).await.unwrap();

    let path = directory.path().join("gitsync.db");
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let counted = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&counted);
    let count_one = move || counter.fetch_add(1, Ordering::Relaxed) < u64::MAX;
    connection.lock_handle().await.unwrap().set_progress_handler(1, count_one);
    let storages = ["default".parse().unwrap()];
    let mut attached = Attached::new(&mut connection, &clock);
    let step = Search::new(&storages, Position::default()).step().unwrap();
    match look {
        Look::Lanes => {
            let found = candidates(&mut attached, &step, 10, &store.limits).await.unwrap();
            assert_eq!((found.best.len(), found.end), (2, None));
        }
        Look::Urgent => {
            let found = urgent(&mut attached, &step.storages, 10, &store.limits).await.unwrap();
            assert!(found.best.is_empty() && !found.suffices, "they are behind the others: {found:?}");
        }
    }
    counted.load(Ordering::Relaxed)
}

#[tokio::test]
async fn the_cost_of_a_search_does_not_depend_on_how_many_jobs_wait() {
    for look in [Look::Lanes, Look::Urgent] {
        let (few, many) = (instructions(look, 100).await, instructions(look, 5_000).await);
        assert!(many < few + 100, "{look:?}: {few} instructions with 100 jobs, {many} with 5,000");
    }
}

#[tokio::test]
async fn more_lanes_than_a_step_looks_at_are_all_served() {
    let clock = ManualClock::default();
    let (store, _directory) = open(&clock).await;
    let jobs: Vec<_> = (0..2 * LANES + 20).map(|n| job(&clock, &format!("h{n:04}.example"))).collect();
    for batch in jobs.chunks(256) {
        store.enqueue(batch).await.unwrap();
    }
    let mut claimed = BTreeSet::new();
    while claimed.len() < jobs.len() {
        let step = claim_some(&store, 100).await.unwrap();
        assert!(!step.is_empty(), "{} of {} were claimed", claimed.len(), jobs.len());
        claimed.extend(step.into_iter().map(|job| job.lease.id));
    }
}

#[tokio::test]
async fn a_free_host_behind_many_full_ones_is_found() {
    let clock = ManualClock::default();
    let (store, _directory) = open(&clock).await;
    for _ in 0..2 {
        let jobs: Vec<_> = (0..LANES + 20).map(|n| job(&clock, &format!("h{n:04}.example"))).collect();
        for batch in jobs.chunks(256) {
            store.enqueue(batch).await.unwrap();
        }
    }
    while !claim_some(&store, 256).await.unwrap().is_empty() {}
    let last = job(&clock, "z.example");
    store.enqueue(std::slice::from_ref(&last)).await.unwrap();
    let claimed = claim_some(&store, 10).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.lease.id).collect::<Vec<_>>(), [last.id]);
}

#[tokio::test]
async fn a_step_that_ends_between_two_storages_skips_none() {
    let clock = ManualClock::default();
    let (store, _directory) = open(&clock).await;
    let of = |storage: &str, host: &str| NewJob {
        lane: Lane { storage: storage.parse().unwrap(), host: host.parse().unwrap() },
        ..job(&clock, host)
    };
    // The last lane of the first step is one of two that differ in their storage only.
    let mut jobs = vec![of("a", "h0000.example")];
    for number in 1..LANES {
        jobs.extend(["a", "b"].map(|storage| of(storage, &format!("h{number:04}.example"))));
    }
    for batch in jobs.chunks(256) {
        store.enqueue(batch).await.unwrap();
    }
    let storages: Vec<StorageName> = vec!["a".parse().unwrap(), "b".parse().unwrap()];
    let mut search = Search::new(&storages, Position::default());
    let mut seen = BTreeSet::new();
    let path = _directory.path().join("gitsync.db");
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let limits = QueueLimits::default();
    while let Some(step) = search.step() {
        let mut attached = Attached::new(&mut connection, &clock);
        let found = candidates(&mut attached, &step, 10_000, &limits).await.unwrap();
        seen.extend(found.best);
        search.end_step(found.end);
    }
    let skipped: Vec<_> =
        jobs.iter().filter(|job| !seen.contains(&job.id)).map(|job| format!("{:?}", job.lane)).collect();
    assert!(skipped.is_empty(), "no step looked at {skipped:?}");
}

#[tokio::test]
async fn a_lane_behind_many_that_always_have_work_is_served() {
    let clock = ManualClock::default();
    let (store, _directory) = open(&clock).await;
    let jobs: Vec<_> = (0..=LANES).map(|n| job(&clock, &format!("h{n:04}.example"))).collect();
    for batch in jobs.chunks(256) {
        store.enqueue(batch).await.unwrap();
    }
    // The most urgent job of all, and the oldest.
    let urgent = NewJob { priority: -9, run_at: gitsync_core::Timestamp::from_micros(0), ..job(&clock, "z.example") };
    store.enqueue(std::slice::from_ref(&urgent)).await.unwrap();
    for _ in 0..2 * LANES {
        let claimed = claim_some(&store, 1).await.unwrap().pop().expect("there is always work");
        if claimed.lease.id == urgent.id {
            return;
        }
        // Its host has more to do at once.
        store.finish(&[JobEnd::new(claimed.lease, JobOutcome::Done)]).await.unwrap();
        store.enqueue(&[job(&clock, claimed.lane.host.as_str())]).await.unwrap();
    }
    panic!("{} claims passed the most urgent job over", 2 * LANES);
}

#[tokio::test]
async fn a_host_gives_no_more_than_it_has_room_for_over_all_its_lanes() {
    let clock = ManualClock::default();
    let (store, _directory) = open(&clock).await;
    let jobs: Vec<_> = (0..3).map(|priority| NewJob { priority, ..job(&clock, "a.example") }).collect();
    let other = NewJob { priority: 9, ..job(&clock, "b.example") };
    store.enqueue(&jobs).await.unwrap();
    store.enqueue(std::slice::from_ref(&other)).await.unwrap();
    let claimed = claim_some(&store, 2).await.unwrap();
    assert_eq!(claimed.iter().map(|job| job.lease.id).collect::<Vec<_>>(), [jobs[0].id, other.id]);
}

#[test]
fn storages_are_written_as_json() {
    assert_eq!(json(&[]), "[]");
    assert_eq!(json(&["a".parse().unwrap(), "b-1".parse().unwrap()]), r#"["a","b-1"]"#);
}
