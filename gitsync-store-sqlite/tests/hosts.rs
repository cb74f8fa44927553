//! The rows of source hosts go when they say nothing any more.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use gitsync_core::Clock;
use gitsync_core::queue::{ClaimRequest, HostReport, JobEnd, JobOutcome, JobQueue, NewJob, QueueLimits};
use gitsync_core::rules::LESSONS_KEPT;
use gitsync_core::testing::ManualClock;
use gitsync_store_sqlite::SqliteStore;

use support::{connect, job, place};

async fn hosts(connection: &mut sqlx::SqliteConnection) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM source_host ORDER BY name").fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn only_hosts_that_say_something_are_kept() {
    let (_directory, path) = place();
    let clock = ManualClock::default();
    let store = SqliteStore::open(path.as_path(), Arc::new(clock.clone()), QueueLimits::default()).await.unwrap();
    let mut connection = connect(&path).await;
    let names = ["a.example", "b.example", "blocked.example", "running.example"];
    let jobs: Vec<_> = names.iter().map(|host| NewJob { run_at: clock.now(), ..job(host) }).collect();
    store.enqueue(&jobs).await.unwrap();
    let request = ClaimRequest { limit: 10, storages: vec!["default".parse().unwrap()] };
    let claimed = store.claim(&request).await.unwrap();
    assert_eq!(claimed.len(), 4);
    assert_eq!(hosts(&mut connection).await, names);
    assert_eq!(store.forget_hosts(10).await.unwrap(), 0, "a job of each is running");

    let pause = Duration::from_secs(10);
    let ends = claimed.iter().filter_map(|job| match job.lane.host.as_str() {
        "blocked.example" => Some(JobEnd {
            host: HostReport::Busy { pause: Some(pause) },
            ..JobEnd::new(job.lease, JobOutcome::Retry { at: clock.now(), spent: false })
        }),
        "running.example" => None,
        _ => Some(JobEnd { host: HostReport::Answered, ..JobEnd::new(job.lease, JobOutcome::Done) }),
    });
    store.finish(&ends.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(store.forget_hosts(1).await.unwrap(), 1);
    assert_eq!(hosts(&mut connection).await, names[1..]);
    assert_eq!(store.forget_hosts(10).await.unwrap(), 1);
    assert_eq!(hosts(&mut connection).await, names[2..]);
    clock.advance(pause);
    assert_eq!(store.forget_hosts(10).await.unwrap(), 0, "it is known to be slow");
    clock.advance(LESSONS_KEPT);
    // The lease of the other one has expired, too.
    assert_eq!(store.forget_hosts(1).await.unwrap(), 1);
    assert_eq!(hosts(&mut connection).await, names[3..]);
}
