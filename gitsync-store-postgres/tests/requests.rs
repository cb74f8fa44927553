//! Calls that share a transaction, or do without one.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use gitsync_core::model::{RepositoryId, TaskId, TaskKind, TaskParameters};
use gitsync_core::queue::QueueLimits;
use gitsync_core::rules::Request;
use gitsync_core::store::NewRepository;
use gitsync_core::testing::ManualClock;
use gitsync_core::{ErrorKind, Store};
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::{Database, execute};
use sqlx::Connection;
use tokio::task::JoinSet;

use support::{mirror, open};

gitsync_test_postgres::keeper!();

fn sync() -> Request {
    Request { kind: TaskKind::Sync, parameters: TaskParameters::default(), id: TaskId::generate() }
}

/// Creates repositories whose first task was cancelled.
async fn repositories(store: &PostgresStore, count: usize) -> Vec<RepositoryId> {
    let (first, mut ids) = (mirror(store).await, Vec::new());
    for number in 0..count {
        let name = format!("r{number}").parse().unwrap();
        let new = NewRepository { name, task: TaskId::generate(), ..first.clone() };
        let (repository, task) = store.create_repository(&new).await.unwrap();
        store.cancel_task(task.id).await.unwrap();
        ids.push(repository.id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_the_same_time_get_an_answer_each() {
    let database = Database::create().await;
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    let ids = repositories(&store, 12).await;
    let (archived, held, free) = (ids[0], ids[1], &ids[1..]);
    store.archive_repository(archived).await.unwrap();
    let mut other = database.connect().await;
    let mut lock = other.begin().await.unwrap();
    execute(&mut lock, &format!("SELECT FROM repository WHERE id = {} FOR UPDATE", held.0)).await;

    let mut calls = JoinSet::new();
    let missing = RepositoryId(1_000_000);
    for id in free.iter().chain(free).chain(free).chain([&archived, &missing]) {
        let (store, id) = (Arc::clone(&store), *id);
        calls.spawn(async move { (id, store.request_task(id, &sync()).await) });
    }
    let (mut refused, mut tasks, mut count) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut lock = Some(lock);
    while let Some(call) = calls.join_next().await {
        count += 1;
        match call.unwrap() {
            (id, Ok(requested)) => {
                assert_eq!(requested.task.repository, id);
                tasks.insert((id, requested.task.id));
            }
            (id, Err(error)) => assert!(refused.insert((id, error.kind()))),
        }
        // All but those for the one that somebody else has locked are answered meanwhile.
        if count == 3 * 10 + 2 {
            assert!(tasks.iter().all(|(id, _)| *id != held));
            lock.take().unwrap().rollback().await.unwrap();
        }
    }
    assert_eq!(refused, BTreeSet::from([(archived, ErrorKind::Conflict), (missing, ErrorKind::NotFound)]));
    assert_eq!(tasks.iter().map(|(id, _)| *id).collect::<Vec<_>>(), free, "one task of each");
    for (id, task) in tasks {
        assert_eq!(store.task(task).await.unwrap().repository, id);
    }
}

#[tokio::test]
async fn a_task_id_that_is_taken_is_refused_alone() {
    let database = Database::create().await;
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    let ids = repositories(&store, 3).await;
    let taken = store.request_task(ids[0], &sync()).await.unwrap().task.id;
    let (own, others) = (sync(), Request { id: taken, ..sync() });
    let (good, bad) = tokio::join!(store.request_task(ids[1], &own), store.request_task(ids[2], &others));
    assert_eq!(good.unwrap().task.id, own.id);
    assert_eq!(bad.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_read_goes_on_with_another_connection_where_the_first_is_lost() {
    let database = Database::create().await;
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    let id = repositories(&store, 1).await[0];
    let mut other = database.connect().await;
    execute(
        &mut other,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'gitsync'",
    )
    .await;
    assert_eq!(store.repository(id).await.unwrap().id, id);
}
