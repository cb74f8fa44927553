//! One upstream host may be asked only so much at once, by all processes together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::PgPool;

use crate::upstreams::Upstreams;
use crate::{Fleet, audit, until};

const LIMIT: i64 = 4;
const ARGUMENTS: &[&str] = &["--workers", "4", "--host-concurrency", "4"];

#[tokio::test(flavor = "multi_thread")]
async fn one_host_is_never_asked_more_than_it_may_and_others_are_served() {
    let (slow, quick) = (Upstreams::new(12), Upstreams::new(6));
    let names = ["worker-1", "worker-2", "worker-3", "worker-4"];
    let mut fleet = Fleet::start(ARGUMENTS, &names.map(|name| (name, "worker"))).await;
    let ended = Arc::new(AtomicBool::new(false));
    let watch = tokio::spawn(watch(fleet.pool.clone(), Arc::clone(&ended)));

    slow.hold();
    let others = quick.sources().into_iter().map(|source| source.replace("127.0.0.1", "localhost"));
    let ids = fleet.create(slow.sources().into_iter().chain(others).collect()).await;
    let (slow_ids, quick_ids) = ids.split_at(12);
    until("the slow host is busy", async || slow.server.held() as i64 == LIMIT).await;
    const SERVED: &str = "SELECT count(*) FROM repository WHERE status = 'active'";
    until("the other host is served", async || fleet.count(SERVED).await == quick_ids.len() as i64).await;

    let mut most_held = (0, names[0]);
    for name in names {
        most_held = most_held.max((fleet.held_by(name).await.len(), name));
    }
    let (held, killed) = most_held;
    assert!(held > 0, "somebody works for the slow host");
    fleet.kill(killed);
    // Not the same jobs, perhaps: older ones go first.
    until("its leases are over", async || fleet.held_by(killed).await.is_empty()).await;
    until("the slow host is busy again", async || slow.server.held() as i64 == LIMIT).await;

    slow.release();
    fleet.wait_until_idle().await;
    ended.store(true, Ordering::SeqCst);
    let samples = watch.await.unwrap();
    assert!(samples > 10, "it was looked at only {samples} times");
    assert_eq!(slow.server.busiest() as i64, LIMIT, "as upstream saw it");
    const RUNNING: &str = "SELECT coalesce(sum(running), 0)::bigint FROM source_host";
    assert_eq!(fleet.count(RUNNING).await, 0);
    audit::check(&fleet.pool).await;
    slow.check(&fleet, slow_ids).await;
}

/// Looks at the counts until it is told to end, and returns how often it did.
async fn watch(pool: PgPool, ended: Arc<AtomicBool>) -> usize {
    const COUNTS: &str = "SELECT name, running, (
            SELECT count(*) FROM job WHERE job.host = name AND leased_until IS NOT NULL
        ) FROM source_host";
    let mut samples = 0;
    while !ended.load(Ordering::SeqCst) {
        let counts: Vec<(String, i64, i64)> = sqlx::query_as(COUNTS).fetch_all(&pool).await.unwrap();
        for (host, running, leased) in counts {
            assert_eq!(running, leased, "the count of {host}");
            assert!(running <= LIMIT, "{running} jobs of {host} run");
        }
        samples += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    samples
}
