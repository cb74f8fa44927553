//! What the scheduler makes of repositories that are due.

use std::sync::Arc;
use std::time::Duration;

use super::world::World;
use crate::cancel::Cancellation;
use crate::engine::{EngineOptions, NoSteps};
use crate::model::{PageRequest, TaskKind};
use crate::state::TaskStatus;
use crate::store::{RepositoryPatch, TaskFilter};

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
