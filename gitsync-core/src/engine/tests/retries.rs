//! What errors, cancellations and shutdowns do to tasks.

use std::sync::Arc;
use std::time::Duration;

use super::hooks::{PauseAt, hasty, start};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::cancel::Cancellation;
use crate::clock::Clock;
use crate::engine::{EngineOptions, StepHook};
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::queue::{ClaimRequest, JobQueue};
use crate::state::{RepositoryStatus, TaskStatus};
use crate::store::Store;
use crate::testing::{ManualClock, QueueCall};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn unreachable() -> Error {
    Error::new(ErrorKind::SourceUnreachable, "nobody answers")
}

#[tokio::test]
async fn an_unreachable_upstream_is_tried_again_after_its_pause() {
    let world = World::new();
    world.upstream(1);
    let (repository, task) = world.create("a", true).await;
    world.backend.fail_next(Call::List, unreachable());
    world.work().await;
    let waiting = world.gitsync.task(task.id).await.unwrap();
    assert_eq!((waiting.status, waiting.attempt), (TaskStatus::Pending, 1));
    let pause = waiting.next_attempt_at.unwrap().since(world.clock.now());
    assert!((Duration::from_secs(60)..=Duration::from_secs(72)).contains(&pause), "{pause:?}");
    let mirroring = world.repository(repository.id).await;
    assert_eq!(mirroring.status, RepositoryStatus::Mirroring);
    assert_eq!(mirroring.error.unwrap().kind, ErrorKind::SourceUnreachable);

    assert_eq!(world.work().await, 0, "it is not due yet");
    world.clock.advance(pause);
    assert_eq!(world.work().await, 1);
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
    world.check_books(repository.id).await;
}

/// The store compares the pause with its own clock, so what counts is how late it is there.
#[tokio::test]
async fn a_worker_whose_clock_is_wrong_pauses_as_long_as_any_other() {
    let hour = Duration::from_secs(3600);
    for is_behind in [true, false] {
        let world = World::new();
        world.upstream(1);
        let (repository, task) = world.create("a", true).await;
        let wrong = ManualClock::default();
        if is_behind { &world.clock } else { &wrong }.advance(hour);
        let engine = world.builder().clock(Arc::new(wrong)).repos_dir(world.storage().root()).build().unwrap();
        world.backend.fail_next(Call::List, unreachable());
        assert_eq!(engine.worker().run_until_idle().await.unwrap(), 1);
        let waiting = world.gitsync.task(task.id).await.unwrap();
        let pause = waiting.next_attempt_at.unwrap().since(world.clock.now());
        assert!((Duration::from_secs(60)..=Duration::from_secs(72)).contains(&pause), "{pause:?}");
        assert_eq!(engine.worker().run_until_idle().await.unwrap(), 0, "it is not due yet");

        world.clock.advance(pause);
        assert_eq!(engine.worker().run_until_idle().await.unwrap(), 1);
        let next = world.repository(repository.id).await.next_sync_at.unwrap();
        assert!(next.since(world.clock.now()) > Duration::from_secs(60), "{next:?}");
        assert!(next.since(world.clock.now()) < hour, "{next:?}");
    }
}

#[tokio::test]
async fn the_fourth_failure_is_the_last() {
    let world = World::new();
    world.upstream(1);
    let (repository, task) = world.create("a", true).await;
    for _ in 0..4 {
        world.backend.fail_next(Call::List, unreachable());
    }
    for _ in 0..4 {
        assert_eq!(world.work().await, 1);
        world.clock.advance(LONG_ENOUGH);
    }
    let failed = world.gitsync.task(task.id).await.unwrap();
    assert_eq!((failed.status, failed.attempt), (TaskStatus::Failed, 4));
    let repository = world.repository(repository.id).await;
    assert_eq!(repository.status, RepositoryStatus::Failed);
    assert!(repository.next_sync_at > Some(world.clock.now()), "it is scheduled again");

    world.clock.set(repository.next_sync_at.unwrap());
    world.gitsync.scheduler().scan().await.unwrap();
    world.work().await;
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_missing_upstream_fails_at_once() {
    let world = World::new();
    let (repository, task) = world.create("a", true).await;
    world.work().await;
    let failed = world.gitsync.task(task.id).await.unwrap();
    assert_eq!((failed.status, failed.attempt), (TaskStatus::Failed, 1));
    assert_eq!(failed.error.unwrap().kind, ErrorKind::SourceNotFound);
    assert!(!world.published(&repository).exists());
    assert_eq!(world.remains("tmp"), 0);
}

#[tokio::test]
async fn a_rate_limit_costs_no_attempt_and_leaves_the_host_alone() {
    let world = World::new();
    world.upstream(1);
    let (_, task) = world.create("a", true).await;
    let limited = Error::new(ErrorKind::RateLimited, "slow down").retry_in(Duration::from_secs(300));
    world.backend.fail_next(Call::List, limited);
    world.work().await;
    let waiting = world.gitsync.task(task.id).await.unwrap();
    assert_eq!((waiting.status, waiting.attempt), (TaskStatus::Pending, 0));
    world.create("b", true).await;
    assert_eq!(world.work().await, 0, "the other repository of the host waits too");
    world.clock.advance(Duration::from_secs(300));
    assert_eq!(world.work().await, 2);
}

#[tokio::test]
async fn the_janitor_forgets_hosts_that_are_left_alone_no_longer() {
    let world = World::new();
    world.upstream(1);
    world.create("a", true).await;
    let limited = Error::new(ErrorKind::RateLimited, "slow down").retry_in(Duration::from_secs(300));
    world.backend.fail_next(Call::List, limited);
    world.work().await;
    world.gitsync.janitor().round().await;
    assert_eq!(world.work().await, 0, "it is left alone");
    world.clock.advance(Duration::from_secs(300));
    world.gitsync.janitor().round().await;
    let spared = async || world.gitsync.queue_stats().await.unwrap().hosts;
    assert_eq!(spared().await.len(), 1, "it is known to take less");
    world.clock.advance(DAY);
    world.gitsync.janitor().round().await;
    assert_eq!(spared().await, []);
    assert_eq!(world.queue.forget_hosts(1).await.unwrap(), 0, "there is nothing left to forget");
    assert_eq!(world.work().await, 1);
}

#[tokio::test]
async fn a_host_is_left_alone_for_a_day_at_the_most() {
    let world = World::new();
    world.upstream(1);
    let (_, task) = world.create("a", true).await;
    let limited = Error::new(ErrorKind::RateLimited, "slow down").retry_in(100 * DAY);
    world.backend.fail_next(Call::List, limited);
    world.work().await;
    let waiting = world.gitsync.task(task.id).await.unwrap();
    assert_eq!(waiting.next_attempt_at, Some(world.clock.now().after(DAY)));
    world.clock.advance(DAY);
    assert_eq!(world.work().await, 1);
}

#[tokio::test]
async fn failures_stretch_an_interval_to_a_day_at_the_most() {
    let world = World::new();
    let (repository, _) = world.create("a", true).await;
    world.work().await;
    let mut pauses = Vec::new();
    for _ in 0..40 {
        let due = world.repository(repository.id).await.next_sync_at.unwrap();
        pauses.push(due.since(world.clock.now()));
        world.clock.set(due);
        assert_eq!(world.gitsync.scheduler().scan().await.unwrap(), 1);
        world.work().await;
    }
    let hours = |hours: u32| Duration::from_secs(3600) * hours;
    assert!((hours(9)..hours(11)).contains(&(pauses[0] * 60)), "twice the shortest: {pauses:?}");
    assert!(pauses[5..].iter().all(|pause| (hours(22)..hours(26)).contains(pause)), "{pauses:?}");
}

/// Work that hangs is abandoned some seconds after it was told to stop.
#[tokio::test]
async fn an_attempt_that_hangs_ends_with_a_timeout() {
    let world = World::new();
    world.upstream(1);
    let (_, task) = world.create("a", true).await;
    let hangs = PauseAt::new("listed");
    let worker = start(&world.engine_with(Arc::clone(&hangs) as _, hasty()));
    hangs.reached.notified().await;
    // From here on nobody does anything but wait, and all waiting takes no time.
    tokio::time::pause();
    worker.await.unwrap();
    let ended = world.gitsync.task(task.id).await.unwrap();
    assert_eq!(ended.status, TaskStatus::Pending, "it is tried again");
    assert_eq!(ended.error.map(|error| error.kind), Some(ErrorKind::Timeout));
}

#[tokio::test]
async fn asking_by_hand_does_not_wait_for_a_pause() {
    let world = World::new();
    world.upstream(1);
    let (repository, task) = world.create("a", true).await;
    world.backend.fail_next(Call::List, unreachable());
    world.work().await;
    let again = world.gitsync.sync(repository.id).await.unwrap();
    assert_eq!(again.id, task.id);
    assert_eq!(world.work().await, 1);
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_waiting_task_is_cancelled_at_once() {
    let world = World::new();
    world.upstream(1);
    let (repository, task) = world.create("a", true).await;
    world.gitsync.cancel_task(task.id).await.unwrap();
    assert_eq!(world.work().await, 0);
    assert_eq!(world.gitsync.task(task.id).await.unwrap().status, TaskStatus::Cancelled);
    let failed = world.repository(repository.id).await;
    assert_eq!(failed.error.unwrap().kind, ErrorKind::Cancelled);

    assert_ne!(world.gitsync.retry_task(task.id).await.unwrap().id, task.id);
    world.work().await;
    world.check_books(repository.id).await;
}

/// Stops work at a step until it is let go.
#[derive(Debug, Default)]
struct Gate {
    reached: tokio::sync::Notify,
    open: tokio::sync::Notify,
}

const GATE: &str = "listed";

#[async_trait::async_trait]
impl StepHook for Gate {
    async fn reached(&self, step: &'static str) {
        if step == GATE {
            self.reached.notify_one();
            self.open.notified().await;
        }
    }
}

#[tokio::test]
async fn a_running_task_is_cancelled_and_leaves_nothing() {
    let world = World::new();
    world.upstream(1);
    let (repository, task) = world.create("a", true).await;
    let gate = Arc::new(Gate::default());
    let engine = world.engine(Arc::clone(&gate) as _);
    let shutdown = Cancellation::new();
    let worker = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { engine.worker().run(shutdown).await }
    });
    gate.reached.notified().await;
    world.gitsync.cancel_task(task.id).await.unwrap();
    // Heartbeats, cancellations and progress are asked for on the clock.
    world.clock.wait_for_sleepers(4).await;
    world.clock.advance(Duration::from_secs(2));
    tokio::task::yield_now().await;
    gate.open.notify_one();
    while !world.gitsync.task(task.id).await.unwrap().status.is_terminal() {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.gitsync.task(task.id).await.unwrap().status, TaskStatus::Cancelled);
    assert_eq!(world.remains("tmp"), 0);
    assert!(!world.published(&repository).exists());
    shutdown.cancel();
    worker.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_gives_work_back() {
    let world = World::new();
    world.upstream(1);
    let (repository, task) = world.create("a", true).await;
    let gate = Arc::new(Gate::default());
    let engine = world.engine(Arc::clone(&gate) as _);
    let shutdown = Cancellation::new();
    let worker = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { engine.worker().run(shutdown).await }
    });
    gate.reached.notified().await;
    shutdown.cancel();
    // The worker sees the shutdown before the gate opens, whichever of its parts runs first.
    tokio::task::yield_now().await;
    gate.open.notify_one();
    worker.await.unwrap();
    let waiting = world.gitsync.task(task.id).await.unwrap();
    assert_eq!((waiting.status, waiting.attempt), (TaskStatus::Pending, 0));
    assert_eq!(world.work().await, 1, "another worker goes on at once");
    world.check_books(repository.id).await;
}

/// Lets a task run until its worker shuts down; returns what the task is `wait` later.
async fn shut_down(wait: Duration) -> TaskStatus {
    let world = World::new();
    world.upstream(1);
    let (_, task) = world.create("a", true).await;
    let gate = Arc::new(Gate::default());
    let options = EngineOptions { drain: Duration::from_secs(30), ..EngineOptions::default() };
    let engine = world.engine_with(Arc::clone(&gate) as _, options);
    let shutdown = Cancellation::new();
    let worker = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { engine.worker().run(shutdown).await }
    });
    gate.reached.notified().await;
    let settle = async || {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    };
    shutdown.cancel();
    settle().await;
    world.clock.advance(wait);
    settle().await;
    gate.open.notify_one();
    worker.await.unwrap();
    world.gitsync.task(task.id).await.unwrap().status
}

#[tokio::test]
async fn a_shutdown_waits_for_what_runs_but_not_for_ever() {
    assert_eq!(shut_down(Duration::from_secs(5)).await, TaskStatus::Completed);
    assert_eq!(shut_down(Duration::from_secs(31)).await, TaskStatus::Pending);
}

/// As a client does whose connection breaks.
#[tokio::test]
async fn a_cancellation_reaches_the_worker_though_its_caller_is_gone() {
    let world = World::new();
    world.upstream(1);
    let (_, task) = world.create("a", true).await;
    let limits = ClaimRequest { limit: 1, storages: vec![world.storage().name().clone()] };
    let claimed = world.queue.claim(&limits).await.unwrap().pop().unwrap();
    world.store.start_task(task.id, claimed.lease.epoch, 1).await.unwrap();

    let told = world.queue.delay(QueueCall::Cancel, 1);
    tokio::select! {
        _ = world.gitsync.cancel_task(task.id) => panic!("the queue does not answer"),
        () = told.reached() => {}
    }
    told.release();
    while world.queue.cancel_requested(&[claimed.lease]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}
