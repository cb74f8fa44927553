//! What a worker does by the answers to its heartbeats, and without any.

use std::sync::Arc;
use std::time::Duration;

use super::hooks::PauseAt;
use super::world::World;
use crate::engine::EngineOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::model::SyncTask;
use crate::queue::{ClaimRequest, HeartbeatAnswer, JobQueue};
use crate::state::TaskStatus;
use crate::testing::MockJobQueue;

/// Works on a clone with a lease of the given length. It is under way when the queue answers a heartbeat.
async fn clone_with(lease: Duration, answer: fn() -> Result<HeartbeatAnswer>) -> SyncTask {
    let world = World::new();
    world.upstream(2);
    let (_, task) = world.create("a", true).await;
    let all = ClaimRequest { limit: 1, storages: vec![world.storage().name().clone()] };
    let mut claims = vec![world.queue.claim(&all).await.unwrap()];
    let mut queue = MockJobQueue::new();
    queue.expect_claim().returning(move |_| Ok(claims.pop().unwrap_or_default()));
    queue.expect_heartbeat().returning(move |_| answer().map(|answer| vec![answer]));
    queue.expect_cancel_requested().returning(|leases| Ok(vec![false; leases.len()]));
    queue.expect_finish().returning(|outcomes| Ok(vec![true; outcomes.len()]));
    queue.expect_enqueue().returning(|_| Ok(()));

    let pause = PauseAt::new("listed");
    let options = EngineOptions { lease, ..EngineOptions::default() };
    let beat = options.heartbeat_interval;
    let engine = world.builder().queue(Arc::new(queue)).steps(Arc::clone(&pause) as _).options(options);
    let worker = engine.repos_dir(world.storage().root()).build().unwrap().worker();
    let work = tokio::spawn(async move { worker.run_until_idle().await });
    pause.reached.notified().await;
    world.clock.wait_for_sleepers(4).await;
    world.clock.advance(beat);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    pause.open.notify_one();
    work.await.unwrap().unwrap();
    world.gitsync.task(task.id).await.unwrap()
}

/// By its own clock, since the queue cannot be asked whether somebody else has the job by now.
#[tokio::test]
async fn a_worker_that_cannot_extend_its_lease_gives_up_when_that_is_over() {
    let away = || Err(Error::new(ErrorKind::Unavailable, "the queue is away"));
    let task = clone_with(Duration::from_nanos(1), away).await;
    assert_eq!((task.status, task.error), (TaskStatus::Running, None), "nothing may be written any more");
    let task = clone_with(Duration::from_secs(3600), away).await;
    assert_eq!(task.status, TaskStatus::Completed, "there is time left");
}

#[tokio::test]
async fn a_job_past_its_deadline_ends_with_a_timeout() {
    let task = clone_with(Duration::from_secs(3600), || Ok(HeartbeatAnswer::DeadlineReached)).await;
    assert_eq!(task.status, TaskStatus::Pending, "it is tried again");
    assert_eq!(task.error.map(|error| error.kind), Some(ErrorKind::Timeout));
}
