//! What a claim costs, however many jobs wait.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::time::Duration;

use gitsync_core::Clock;
use gitsync_core::queue::{ClaimRequest, ClaimedJob, HostReport, JobEnd, JobOutcome, JobQueue, NewJob, QueueLimits};
use gitsync_core::testing::ManualClock;
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::{Database, execute};

use support::{job, leave_alone, pages_of_the_queue, until_counted};

gitsync_test_postgres::keeper!();

/// So many that the database makes its general plans of the statements, too.
const CLAIMS: i64 = 10;

async fn enqueue(store: &PostgresStore, jobs: &[NewJob]) {
    for batch in jobs.chunks(256) {
        store.enqueue(batch).await.unwrap();
    }
}

/// Opens the store, and closes it: only then the server has counted all that was done.
async fn with_store<T>(database: &Database, clock: &ManualClock, work: impl AsyncFnOnce(&PostgresStore) -> T) -> T {
    let limits = QueueLimits { host_concurrency: 1, ..QueueLimits::default() };
    let store = support::open(database, clock, limits).await;
    let result = work(&store).await;
    std::sync::Arc::into_inner(store).unwrap().close().await;
    result
}

/// Returns the pages that a claim of two jobs and their end look at, while `count` jobs wait for a host that is full and as
/// many, more urgent, are not due.
async fn pages(count: i64, knows_the_tables: bool) -> i64 {
    let (database, clock) = (Database::create().await, ManualClock::default());
    let later = clock.now().after(Duration::from_secs(3600));
    let mut connection = database.connect().await;
    leave_alone(&mut connection, &["job", "source_host"]).await;
    with_store(&database, &clock, async |store| {
        enqueue(store, &(0..count).map(|_| job("full.example")).collect::<Vec<_>>()).await;
        assert_eq!(claim(store).await, 1);
        let not_due = |_| NewJob { priority: -5, run_at: later, ..job("a.example") };
        enqueue(store, &(0..count).map(not_due).collect::<Vec<_>>()).await;
        for _ in 0..CLAIMS {
            enqueue(store, &[job("a.example"), job("z.example")]).await;
        }
    })
    .await;
    until_counted(&mut connection).await;
    if knows_the_tables {
        execute(&mut connection, "VACUUM ANALYZE").await;
    }
    execute(&mut connection, "SELECT pg_stat_reset()").await;
    with_store(&database, &clock, async |store| {
        for _ in 0..CLAIMS {
            assert_eq!(claim(store).await, 2);
        }
    })
    .await;
    until_counted(&mut connection).await;
    pages_of_the_queue(&mut connection).await / CLAIMS
}

/// Claims what there is, ends it but at the host that is to be full, and tells how many that was.
async fn claim(store: &PostgresStore) -> usize {
    let request = ClaimRequest { limit: 10, storages: vec!["default".parse().unwrap()] };
    let claimed = store.claim(&request).await.unwrap();
    let ended = claimed.iter().filter(|job| job.lane.host.as_str() != "full.example");
    let answered = |job: &ClaimedJob| JobEnd { host: HostReport::Answered, ..JobEnd::new(job.lease, JobOutcome::Done) };
    let ended: Vec<_> = ended.map(answered).collect();
    store.finish(&ended).await.unwrap();
    claimed.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cost_of_a_claim_does_not_depend_on_how_many_jobs_wait() {
    for knows_the_tables in [false, true] {
        let (few, many) = (pages(500, knows_the_tables).await, pages(10_000, knows_the_tables).await);
        // The indexes of twenty times as many are higher by a page.
        assert!(many < 3 * few && many < 400, "{few} pages with 1,000 jobs, {many} with 20,000");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_of_which_nothing_is_known_is_written_twice_for_a_job() {
    let (database, clock) = (Database::create().await, ManualClock::default());
    let mut connection = database.connect().await;
    with_store(&database, &clock, async |store| {
        enqueue(store, &(0..CLAIMS).map(|_| job("a.example")).collect::<Vec<_>>()).await;
        for _ in 0..CLAIMS {
            assert_eq!(claim(store).await, 1);
        }
    })
    .await;
    until_counted(&mut connection).await;
    let writes: i64 =
        sqlx::query_scalar("SELECT n_tup_upd::bigint FROM pg_stat_user_tables WHERE relname = 'source_host'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(writes, 2 * CLAIMS, "once when it begins and once when it ends");
}
