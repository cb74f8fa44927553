//! The writer: calls that are committed together, and callers that go away.

mod support;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::model::PageRequest;
use gitsync_core::queue::{ClaimRequest, JobQueue};
use gitsync_core::{ErrorKind, Store};
use gitsync_store_sqlite::{SqliteOptions, SqliteStore};

use support::{connect, job, open, place, slug};

/// Keeps all who want to write at the gate, as another process does.
fn close_gate(path: &Path) -> File {
    let mut gate = path.as_os_str().to_owned();
    gate.push("-gate");
    let gate = File::options().write(true).open(gate).expect("the gate is there");
    gate.lock().expect("the gate can be locked");
    gate
}

async fn version(connection: &mut sqlx::SqliteConnection) -> i64 {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await.expect("a version")
}

#[tokio::test]
async fn one_conflict_does_not_undo_its_neighbours() {
    let (_directory, path) = place();
    let store = open(path.as_path()).await;
    let mut watch = connect(&path).await;
    let before = version(&mut watch).await;

    let gate = close_gate(&path);
    // Each slug twice: of each two, one is refused.
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.create_organisation(&slug(&format!("o{}", n / 2)), "O").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(gate);
    let (mut made, mut refused) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => made += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::AlreadyExists);
                refused += 1;
            }
        }
    }
    assert_eq!((made, refused), (30, 30));
    let page = store.list_organisations(&PageRequest::new(100, None).unwrap()).await.unwrap();
    assert_eq!(page.items.len(), 30);
    // The version counts commits of others: far fewer than there were calls.
    let commits = version(&mut watch).await - before;
    assert!(commits <= 10, "{commits} commits for 60 calls that waited together");
}

#[tokio::test]
async fn a_caller_that_went_away_before_its_turn_changes_nothing() {
    let (_directory, path) = place();
    let store = open(path.as_path()).await;
    let gate = close_gate(&path);
    let call = |name: &'static str| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.create_organisation(&slug(name), "O").await })
    };
    // The first has its place in the transaction already.
    let first = call("first");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (gone, last) = (call("gone"), call("last"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(gate);
    first.await.unwrap().unwrap();
    last.await.unwrap().unwrap();
    assert_eq!(store.organisation_by_slug(&slug("gone")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_caller_that_went_away_while_the_turn_was_waited_for_changes_nothing() {
    let (_directory, path) = place();
    let store = open(path.as_path()).await;
    let gate = close_gate(&path);
    let gone = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.create_organisation(&slug("gone"), "O").await }
    });
    // The writer has it, and waits at the gate: its transaction has not begun.
    tokio::time::sleep(Duration::from_millis(50)).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(gate);
    store.create_organisation(&slug("last"), "O").await.unwrap();
    assert_eq!(store.organisation_by_slug(&slug("gone")).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_database_that_stays_busy_is_unavailable_and_then_works_again() {
    let (_directory, path) = place();
    let store = open(SqliteOptions::new(&path).patience(Duration::from_millis(100))).await;
    let gate = close_gate(&path);
    let error = store.create_organisation(&slug("a"), "A").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    drop(gate);
    // A foreign program holds the lock of SQLite itself.
    let mut foreign = connect(&path).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut foreign).await.unwrap();
    let error = store.create_organisation(&slug("a"), "A").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(store.list_organisations(&PageRequest::new(1, None).unwrap()).await.is_ok(), "reads do not wait");
    sqlx::query("ROLLBACK").execute(&mut foreign).await.unwrap();
    store.create_organisation(&slug("a"), "A").await.unwrap();
}

#[tokio::test]
async fn two_that_write_without_pause_both_get_their_turns() {
    let (_directory, path) = place();
    let (one, other) = (open(path.as_path()).await, open(path.as_path()).await);
    let write = |store: Arc<SqliteStore>, name: &'static str| async move {
        for n in 0..40 {
            store.create_organisation(&slug(&format!("{name}-{n}")), "O").await.unwrap();
        }
    };
    tokio::join!(write(Arc::clone(&one), "one"), write(other, "other"));
    let page = one.list_organisations(&PageRequest::new(100, None).unwrap()).await.unwrap();
    let names: Vec<_> = page.items.iter().map(|organisation| organisation.slug.as_str()).collect();
    let turns = names.windows(2).filter(|pair| pair[0].split('-').next() != pair[1].split('-').next()).count();
    assert!(turns >= 20, "they took turns {turns} times: {names:?}");
}

#[tokio::test]
async fn closing_waits_for_the_calls_that_wait() {
    let (_directory, path) = place();
    let store = open(path.as_path()).await;
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.create_organisation(&slug(&format!("o{n}")), "O").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    Arc::try_unwrap(store).unwrap().close().await;
    assert!(!path.with_extension("db-wal").exists(), "the log was written back");
}

#[tokio::test]
async fn who_waits_for_jobs_is_woken_by_another_process() {
    let (_directory, path) = place();
    let (worker, other) = (open(path.as_path()).await, open(path.as_path()).await);
    let request = ClaimRequest { limit: 1, storages: vec!["default".parse().unwrap()] };
    assert_eq!(worker.claim(&request).await.unwrap(), []);
    let waiting = {
        let worker = Arc::clone(&worker);
        tokio::spawn(async move { worker.wait_ready(Duration::from_secs(20)).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    other.create_organisation(&slug("a"), "A").await.unwrap();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(!waiting.is_finished(), "a change that brings no job wakes nobody");
    let began = std::time::Instant::now();
    other.enqueue(&[job("a.example")]).await.unwrap();
    waiting.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(worker.claim(&request).await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_waits_for_jobs_is_woken_when_one_is_due() {
    let (_directory, path) = place();
    let store = open(path.as_path()).await;
    let mut later = job("a.example");
    later.run_at = gitsync_core::Clock::now(&gitsync_core::SystemClock).after(Duration::from_millis(300));
    store.enqueue(&[later]).await.unwrap();
    let request = ClaimRequest { limit: 1, storages: vec!["default".parse().unwrap()] };
    let began = std::time::Instant::now();
    while store.claim(&request).await.unwrap().is_empty() {
        store.wait_ready(Duration::from_secs(20)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}
