//! How many commits a second the stores record, in the batches that the engine makes: `cargo bench --bench commits`.
//!
//! Beside them, in the same table of Postgres, rows that come as values of one statement, which is what one would write first.
//! Both databases wait for the disk as they do where they are left as they were installed.
#![allow(clippy::print_stdout, reason = "the figures are for people to read")]

mod values;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use gitsync_core::model::{Commit, Layout, ObjectId, Signature, SourceType, TaskId};
use gitsync_core::queue::QueueLimits;
use gitsync_core::store::{NewRepository, StartedTask, Work};
use gitsync_core::{Store, SystemClock};
use gitsync_store_postgres::{PostgresOptions, PostgresStore};
use gitsync_store_sqlite::SqliteStore;
use gitsync_test_postgres::OwnServer;

use values::Values;

const COMMITS: usize = 100_000;
/// As many as the store takes at once.
const BATCH: usize = 5_000;
/// How often each is measured; the best counts, for nothing makes it faster than it is.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    let server = OwnServer::start_durable();
    let options: PostgresOptions = server.url().parse()?;
    let postgres = PostgresStore::open(options, QueueLimits::default()).await?;
    let mut values = Values::connect(&server.url()).await?;
    let directory = tempfile::tempdir()?;
    let sqlite = SqliteStore::open(directory.path().join("db"), Arc::new(SystemClock), QueueLimits::default()).await?;
    let commits: Vec<_> = (0..COMMITS).map(commit).collect();
    let [mut by_values, mut by_postgres, mut by_sqlite] = [Duration::MAX; 3];
    for round in 0..ROUNDS {
        by_values = by_values.min(values.record(&commits).await?);
        by_postgres = by_postgres.min(record(&postgres, round, &commits).await?);
        by_sqlite = by_sqlite.min(record(&sqlite, round, &commits).await?);
    }
    println!("{:38} {:>10} {:>7}", "commits", "a second", "ratio");
    for (name, time) in [
        ("rows as values, 500 in a statement", by_values),
        ("the store on Postgres", by_postgres),
        ("the store on SQLite", by_sqlite),
    ] {
        let ratio = by_values.as_secs_f64() / time.as_secs_f64();
        println!("{name:38} {:10.0} {ratio:7.2}", COMMITS as f64 / time.as_secs_f64());
    }
    Ok(())
}

/// Records the commits of a repository that is new, on behalf of its task.
async fn record(store: &dyn Store, round: usize, commits: &[Commit]) -> Result<Duration> {
    let work = work(store, round).await?;
    let begin = Instant::now();
    for batch in commits.chunks(BATCH) {
        store.record_commits(work, batch).await?;
    }
    Ok(begin.elapsed())
}

async fn work(store: &dyn Store, round: usize) -> Result<Work> {
    let organisation = store.create_organisation(&format!("o{round}").parse()?, "Bench").await?;
    let new = NewRepository {
        organisation: organisation.id,
        name: "mirror".parse()?,
        description: String::new(),
        owner: String::new(),
        is_public: true,
        layout: Layout::Mirror,
        source: Some("https://host.example/mirror".parse()?),
        source_type: SourceType::Custom,
        storage: "default".parse()?,
        exclude_refs: Vec::new(),
        depth: None,
        task: TaskId::generate(),
    };
    let (_, task) = store.create_repository(&new).await?;
    match store.start_task(task.id, 1, 1).await? {
        StartedTask::Run(started) => Ok(started.work),
        StartedTask::AlreadyFinished => bail!("a new task waits"),
    }
}

fn id(number: usize) -> ObjectId {
    // As far from its neighbours as a digest is.
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    ObjectId::Sha1(bytes)
}

fn commit(number: usize) -> Commit {
    let seconds = 1_700_000_000 + number as i64;
    let somebody =
        Signature { name: "Some Body".into(), email: "somebody@host.example".into(), seconds, offset_minutes: 60 };
    Commit {
        id: id(number),
        parents: number.checked_sub(1).map(id).into_iter().collect(),
        author: somebody.clone(),
        committer: somebody,
        message: format!("topic: change number {number}\n\nThe reason is given here, in a line or two.\n"),
        message_cut: false,
    }
}
