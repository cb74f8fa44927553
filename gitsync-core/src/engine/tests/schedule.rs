//! What the scheduler makes of repositories that are due.

use std::sync::Arc;
use std::time::Duration;

use super::world::World;
use crate::cancel::Cancellation;
use crate::clock::Clock;
use crate::engine::{EngineOptions, NoSteps};
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::model::{PageRequest, TaskKind};
use crate::state::TaskStatus;
use crate::store::{RepositoryPatch, TaskFilter};
use crate::testing::QueueCall;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn repositories_with_unfinished_tasks_keep_no_other_waiting() {
    let world = World::new();
    world.upstream(1);
    let (busy, _) = world.create("busy", true).await;
    let (idle, _) = world.create("idle", true).await;
    world.work().await;
    // The one that is due first waits for a worker already, and fills the only place of a batch.
    let busy = world.repository(busy.id).await;
    let often = RepositoryPatch { sync_interval: Some(Some(Duration::from_secs(60))), ..RepositoryPatch::default() };
    world.gitsync.update_repository(busy.id, busy.version, &often).await.unwrap();
    world.gitsync.sync(busy.id).await.unwrap();
    world.clock.advance(Duration::from_secs(2 * 3600));

    let options = EngineOptions { schedule_batch: 1, ..EngineOptions::default() };
    let scheduler = world.engine_with(Arc::new(NoSteps), options).scheduler();
    let shutdown = Cancellation::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { scheduler.run(shutdown).await }
    });
    world.clock.wait_for_sleepers(1).await;
    let filter = TaskFilter { repository: Some(idle.id), status: Some(TaskStatus::Pending), ..TaskFilter::default() };
    let waiting = world.gitsync.list_tasks(&filter, &PageRequest::new(10, None).unwrap()).await.unwrap().items;
    assert_eq!(waiting.iter().map(|task| task.kind).collect::<Vec<_>>(), [TaskKind::Sync]);
    shutdown.cancel();
    running.await.unwrap();
}

/// The longer an upstream is quiet, the less often it is asked.
#[tokio::test]
async fn a_quiet_upstream_is_asked_less_often() {
    let world = World::new();
    let line = world.upstream(1);
    let id = world.mirror().await.id;
    let check = async |minutes: u32, when: &str| {
        let pause = world.repository(id).await.next_sync_at.unwrap().since(world.clock.now());
        let expected = minutes * MINUTE;
        assert!((expected.mul_f64(0.949)..=expected.mul_f64(1.051)).contains(&pause), "{pause:?} {when}");
    };
    check(5, "after the clone").await;
    for (more, minutes) in [(200, 100), (200, 200), (80 * 60, 24 * 60)] {
        world.clock.advance(more * MINUTE);
        world.sync(id).await;
        check(minutes, "of quiet").await;
    }
    let next = world.backend.commit(&line, "news");
    world.set("refs/heads/main", Some(next));
    world.sync(id).await;
    check(5, "after news").await;

    world.clock.advance(200 * MINUTE);
    world.backend.fail_next(Call::List, Error::new(ErrorKind::SourceNotFound, "it is gone"));
    world.sync(id).await;
    check(200, "after a failure").await;
    world.sync(id).await;
    check(100, "after it is back").await;
    world.check_books(id).await;
}

/// Where several relay at once, one of them leaves what it made to the next look; that need not wait for its turn.
#[tokio::test]
async fn a_scheduler_goes_on_while_there_is_more_to_queue() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.queue.fail(QueueCall::Enqueue, 1, Error::new(ErrorKind::Unavailable, "it is away"));
        world.create(name, false).await;
    }
    assert_eq!(world.gitsync.queue_stats().await.unwrap().ready, 0);
    let options = EngineOptions { schedule_batch: 1, ..EngineOptions::default() };
    let scheduler = world.engine_with(Arc::new(NoSteps), options).scheduler();
    let shutdown = Cancellation::new();
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { scheduler.run(shutdown).await }
    });
    world.clock.wait_for_sleepers(1).await;
    assert_eq!(world.gitsync.queue_stats().await.unwrap().ready, 3);
    shutdown.cancel();
    running.await.unwrap();
}
