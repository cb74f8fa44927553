//! What is to be enqueued stays so until the queue has it as it is.

mod support;

use std::sync::Arc;
use std::time::Duration;

use gitsync_core::Store;
use gitsync_core::queue::QueueLimits;
use gitsync_core::testing::ManualClock;
use gitsync_test_postgres::{Database, execute, wait_for_a_lock};
use sqlx::Connection;
use tokio::time::timeout;

use support::{mirror, open};

gitsync_test_postgres::keeper!();

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_given_other_work_while_it_is_marked_stays_to_be_enqueued() {
    let database = Database::create().await;
    let store = open(&database, &ManualClock::default(), QueueLimits::default()).await;
    let (_, task) = store.create_repository(&mirror(&store).await).await.unwrap();
    let before = store.outbox(10).await.unwrap();
    assert_eq!(before.iter().map(|job| job.id).collect::<Vec<_>>(), [task.id]);

    let (mut other, mut watching) = (database.connect().await, database.connect().await);
    let mut rewriting = other.begin().await.unwrap();
    execute(&mut rewriting, "UPDATE sync_task SET kind = 'delete'").await;
    let marking = tokio::spawn({
        let (store, before) = (Arc::clone(&store), before.clone());
        async move { store.mark_enqueued(&before).await }
    });
    timeout(Duration::from_secs(60), wait_for_a_lock(&mut watching)).await.expect("it meets the other transaction");
    rewriting.commit().await.unwrap();
    marking.await.unwrap().unwrap();
    let after = store.outbox(10).await.unwrap();
    assert_eq!(after.len(), 1, "the queue has the job of another lane");
    assert_ne!(after, before);
}
