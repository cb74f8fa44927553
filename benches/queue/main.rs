//! How many jobs a second are claimed and ended through the whole queue, by workers that claim some at once:
//! `cargo bench --bench queue`. All by one queue, as in one process, and each by a queue of its own, as processes have.
//!
//! Beside it, on the same Postgres, a plain table that knows no hosts, priorities, storages and leases: what `SKIP LOCKED` alone
//! can do. Both databases wait for the disk as they do where they are left as they were installed.
#![allow(clippy::print_stdout, reason = "the figures are for people to read")]

mod plain;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimRequest, HostReport, JobEnd, JobOutcome, Lane, MAX_BATCH, NewJob, QueueLimits};
use gitsync_core::{JobQueue, SystemClock, Timestamp};
use gitsync_store_postgres::{PostgresOptions, PostgresStore};
use gitsync_store_sqlite::SqliteStore;
use gitsync_test_postgres::OwnServer;
use tokio::task::JoinSet;

use plain::Plain;

const JOBS: usize = 20_000;
/// How many hosts they are for.
const HOSTS: usize = 100;
const WORKERS: usize = 4;
/// How many each claims at once.
const AT_ONCE: usize = 10;
/// How often each is measured; the best counts.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let server = OwnServer::start_durable();
    let options: PostgresOptions = server.url().parse()?;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("db");
    let plain = Plain::create(&server.url()).await?;
    let (mut postgres, mut sqlite) = (Vec::new(), Vec::new());
    for _ in 0..WORKERS {
        postgres
            .push(Arc::new(PostgresStore::open(options.clone(), QueueLimits::default()).await?) as Arc<dyn JobQueue>);
        let opened = SqliteStore::open(path.clone(), Arc::new(SystemClock), QueueLimits::default()).await?;
        sqlite.push(Arc::new(opened) as Arc<dyn JobQueue>);
    }
    let queues = [
        ("the queue on Postgres", &postgres[..1]),
        ("the same, each worker by itself", &postgres[..]),
        ("the queue on SQLite", &sqlite[..1]),
        ("the same, each worker by itself", &sqlite[..]),
    ];
    let (mut by_plain, mut by_queue) = (Duration::MAX, [Duration::MAX; 4]);
    for _ in 0..ROUNDS {
        by_plain = by_plain.min(plain.measure().await?);
        for (best, (_, queues)) in by_queue.iter_mut().zip(queues) {
            *best = measure(queues).await?.min(*best);
        }
    }
    println!("{:38} {:>10} {:>7}", format!("{WORKERS} workers, {AT_ONCE} jobs at once"), "a second", "ratio");
    let names = queues.map(|(name, _)| name);
    for (name, time) in std::iter::once(("a plain table, SKIP LOCKED", by_plain)).chain(names.into_iter().zip(by_queue))
    {
        let ratio = by_plain.as_secs_f64() / time.as_secs_f64();
        println!("{name:38} {:10.0} {ratio:7.2}", JOBS as f64 / time.as_secs_f64());
    }
    Ok(())
}

/// Enqueues the jobs and tells how long it takes until all have been claimed and ended. The workers take turns with the queues.
async fn measure(queues: &[Arc<dyn JobQueue>]) -> Result<Duration> {
    let jobs = (0..JOBS).map(job).collect::<Result<Vec<_>>>()?;
    for jobs in jobs.chunks(MAX_BATCH) {
        queues[0].enqueue(jobs).await?;
    }
    let begin = Instant::now();
    let mut workers = JoinSet::new();
    for number in 0..WORKERS {
        workers.spawn(work(Arc::clone(&queues[number % queues.len()])));
    }
    let mut ended = 0;
    while let Some(worker) = workers.join_next().await {
        ended += worker??;
    }
    let elapsed = begin.elapsed();
    ensure!(ended == JOBS, "{ended} of {JOBS} jobs were ended");
    Ok(elapsed)
}

async fn work(queue: Arc<dyn JobQueue>) -> Result<usize> {
    let request = ClaimRequest { limit: AT_ONCE, storages: vec!["default".parse()?] };
    let mut ended = 0;
    loop {
        let claimed = queue.claim(&request).await?;
        if claimed.is_empty() {
            return Ok(ended);
        }
        let answered = |lease| JobEnd { host: HostReport::Answered, ..JobEnd::new(lease, JobOutcome::Done) };
        let ends: Vec<_> = claimed.into_iter().map(|job| answered(job.lease)).collect();
        ended += queue.finish(&ends).await?.into_iter().filter(|ended| *ended).count();
    }
}

fn job(number: usize) -> Result<NewJob> {
    let host = format!("h{}.example", number % HOSTS);
    let lane = Lane { storage: "default".parse()?, host: host.parse()? };
    let run_at = Timestamp::from_secs(number as i64);
    Ok(NewJob { id: TaskId::generate(), lane, priority: 0, run_at, attempt: 0, epoch: 0 })
}
