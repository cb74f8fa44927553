//! Figures, by hand: `cargo test --release -p gitsync-store-sqlite --test measure -- --ignored --nocapture`.
//!
//! `GITSYNC_MEASURE_JOBS` sets how many jobs wait (default 1,000,000).

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gitsync_core::Store;
use gitsync_core::model::{
    Commit, Layout, ObjectId, RepositoryId, Signature, SourceType, TaskId, TaskKind, TaskParameters,
};
use gitsync_core::queue::{ClaimRequest, HostReport, JobEnd, JobOutcome, JobQueue, NewJob};
use gitsync_core::rules::Request;
use gitsync_core::store::{NewRepository, StartedTask};
use gitsync_store_sqlite::SqliteStore;

use support::{job, open, place, slug};

fn request(limit: usize) -> ClaimRequest {
    ClaimRequest { limit, storages: vec!["default".parse().expect("a name")] }
}

async fn enqueue(store: &SqliteStore, jobs: &[NewJob]) {
    for batch in jobs.chunks(256) {
        store.enqueue(batch).await.expect("jobs can be put into the queue");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a minute"]
async fn claims_behind_a_full_host() {
    let count = std::env::var("GITSYNC_MEASURE_JOBS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    let (_directory, path) = place();
    let store = open(path).await;
    let began = Instant::now();
    let jobs: Vec<_> = (0..count).map(|_| job("full.example")).collect();
    enqueue(&store, &jobs).await;
    println!("{:.0} jobs enqueued a second", f64::from(count) / began.elapsed().as_secs_f64());
    assert_eq!(store.claim(&request(256)).await.unwrap().len(), 4);
    for host in 0..20 {
        enqueue(&store, &[job(&format!("h{host}.example"))]).await;
    }
    let began = Instant::now();
    for _ in 0..20 {
        assert_eq!(store.claim(&request(1)).await.unwrap().len(), 1);
    }
    println!("{:?} a claim behind {count} jobs of a full host", began.elapsed() / 20);
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(store.claim(&request(1)).await.unwrap().len(), 0);
    }
    println!("{:?} a claim that finds nothing", began.elapsed() / 100);
    let began = Instant::now();
    println!("{:?} in {:?}", store.stats().await.unwrap(), began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some seconds"]
async fn claim_and_finish_by_four_workers_in_tens() {
    let (_directory, path) = place();
    let store = open(path).await;
    let count = 60_000;
    let jobs: Vec<_> = (0..count).map(|_| job("local")).collect();
    enqueue(&store, &jobs).await;
    let began = Instant::now();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                loop {
                    let claimed = store.claim(&request(10)).await.unwrap();
                    if claimed.is_empty() {
                        break;
                    }
                    let answered =
                        |lease| JobEnd { host: HostReport::Answered, ..JobEnd::new(lease, JobOutcome::Done) };
                    let done: Vec<_> = claimed.iter().map(|job| answered(job.lease)).collect();
                    assert!(store.finish(&done).await.unwrap().iter().all(|good| *good));
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    println!("{:.0} jobs claimed and finished a second", f64::from(count) / began.elapsed().as_secs_f64());
}

async fn repository(store: &SqliteStore, organisation: gitsync_core::model::OrganisationId, name: String) -> TaskId {
    let new = NewRepository {
        organisation,
        name: name.parse().unwrap(),
        description: String::new(),
        owner: String::new(),
        is_public: false,
        layout: Layout::Bare,
        source: None,
        source_type: SourceType::Custom,
        storage: "default".parse().unwrap(),
        exclude_refs: Vec::new(),
        depth: None,
        task: TaskId::generate(),
    };
    store.create_repository(&new).await.unwrap().1.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some seconds"]
async fn requests_for_distinct_repositories() {
    let (_directory, path) = place();
    let store = open(path).await;
    let organisation = store.create_organisation(&slug("o"), "O").await.unwrap().id;
    let count = 10_000;
    let in_parallel = |job: fn(Arc<SqliteStore>, gitsync_core::model::OrganisationId, i32) -> _| {
        let callers = (0..64).map(|caller| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for n in (caller..count).step_by(64) {
                    let done: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> =
                        job(Arc::clone(&store), organisation, n);
                    done.await;
                }
            })
        });
        callers.collect::<Vec<_>>()
    };
    let began = Instant::now();
    for caller in in_parallel(|store, organisation, n| {
        Box::pin(async move {
            repository(&store, organisation, format!("r{n}")).await;
        })
    }) {
        caller.await.unwrap();
    }
    println!("{:.0} repositories created a second", f64::from(count) / began.elapsed().as_secs_f64());
    // Their first task is waiting: a forced migrate would need a source, so the request that writes is the deletion.
    let began = Instant::now();
    for caller in in_parallel(|store, _, n| {
        Box::pin(async move {
            let request =
                Request { kind: TaskKind::Delete, parameters: TaskParameters::default(), id: TaskId::generate() };
            store.request_task(RepositoryId(n + 1), &request).await.unwrap();
        })
    }) {
        caller.await.unwrap();
    }
    println!("{:.0} requests a second", f64::from(count) / began.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some seconds"]
async fn commits_in_batches() {
    let (_directory, path) = place();
    let store = open(path).await;
    let organisation = store.create_organisation(&slug("o"), "O").await.unwrap().id;
    let task = repository(&store, organisation, "r".into()).await;
    let StartedTask::Run(started) = store.start_task(task, 1, 1).await.unwrap() else { panic!("it has not ended") };
    store.begin_recording(started.work).await.unwrap();
    let count = 100_000_u32;
    let commit = |n: u32| {
        // Ids as random as those of commits.
        let mut id = [0; 20];
        for (at, byte) in id.iter_mut().enumerate() {
            *byte = (n.wrapping_mul(2_654_435_761).rotate_left(at as u32 * 5) >> 7) as u8;
        }
        id[16..].copy_from_slice(&n.to_be_bytes());
        let who = Signature {
            name: "A Person".into(),
            email: format!("person{}@example.com", n % 500),
            seconds: 1_700_000_000 - i64::from(n) * 60,
            offset_minutes: 60,
        };
        Commit {
            id: ObjectId::Sha1(id),
            parents: vec![ObjectId::Sha1([1; 20])],
            author: who.clone(),
            committer: who,
            message: "A subject of the usual length\n\nAnd a body that says why.\n".repeat(2),
            message_cut: false,
        }
    };
    let commits: Vec<_> = (0..count).map(commit).collect();
    for what in ["recorded", "seen again"] {
        let began = Instant::now();
        for batch in commits.chunks(5_000) {
            store.record_commits(started.work, batch).await.unwrap();
        }
        println!("{:.0} commits {what} a second", f64::from(count) / began.elapsed().as_secs_f64());
    }
    tokio::time::sleep(Duration::from_millis(10)).await;
}
