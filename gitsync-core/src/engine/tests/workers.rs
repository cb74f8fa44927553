//! What workers do when others get in their way.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::hooks::{PauseAt, push, start};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::engine::{EngineOptions, GitSync, StepHook};
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::model::RepositoryId;
use crate::queue::{JobQueue, Lane, NewJob};
use crate::rules::job;
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::testing::DieAt;

/// Notes all steps.
#[derive(Debug, Default)]
struct Steps(Mutex<Vec<&'static str>>);

#[async_trait]
impl StepHook for Steps {
    async fn reached(&self, step: &'static str) {
        self.0.lock().unwrap().push(step);
    }
}

async fn die_at(world: &World, step: usize) {
    let hook = DieAt::new(step);
    let engine = world.engine(Arc::clone(&hook) as _);
    let worker = engine.worker();
    tokio::select! {
        result = worker.run_until_idle() => panic!("{result:?}: it dies before"),
        () = hook.died() => {}
    }
}

/// A database that was away for more than a lease, or a machine that slept: nobody cancelled anything.
#[tokio::test]
async fn a_lease_that_ran_out_is_no_cancellation() {
    let world = World::new();
    world.upstream(3);
    let (repository, task) = world.create("a", true).await;
    let pause = PauseAt::new("listed");
    // The next heartbeat is still some time off when the next question for cancellations is due.
    let options = EngineOptions { heartbeat_interval: Duration::from_secs(100_000), ..EngineOptions::default() };
    let engine = world.engine_with(Arc::clone(&pause) as _, options);
    let worker = start(&engine);
    pause.reached.notified().await;
    world.clock.wait_for_sleepers(4).await;
    world.clock.advance(Duration::from_secs(90));
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    pause.open.notify_one();
    tokio::time::timeout(Duration::from_secs(10), worker).await.ok();
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    let ended = world.gitsync.task(task.id).await.unwrap();
    assert_eq!(ended.status, TaskStatus::Completed, "{:?}", world.repository(repository.id).await.error);
    world.check_books(repository.id).await;
}

/// A waiting task was given another source just when its job was claimed: its host counts one job too few, another too many.
#[tokio::test]
async fn a_job_is_not_done_in_a_lane_that_its_task_has_left() {
    let world = World::new();
    world.upstream(3);
    let (repository, task) = world.create("a", true).await;
    let right = job(&repository, &task);
    let left = SourceUrl::parse("https://elsewhere.example.com/a.git").unwrap().url.host_key();
    let wrong = NewJob { lane: Lane { host: left, ..right.lane.clone() }, ..right };
    world.queue.enqueue(&[wrong]).await.unwrap();
    let steps = Arc::new(Steps::default());
    let engine = world.engine(Arc::clone(&steps) as _);
    engine.worker().run_until_idle().await.unwrap();
    assert_eq!(steps.0.lock().unwrap()[..3], ["started", "started", "taken over"], "given back, then done");
    let ended = world.gitsync.task(task.id).await.unwrap();
    assert_eq!((ended.status, ended.attempt), (TaskStatus::Completed, 1), "giving it back costs no attempt");
}

#[tokio::test]
async fn a_worker_leaves_the_jobs_of_other_storages_alone() {
    let world = World::new();
    world.upstream(3);
    let (repository, _) = world.create("a", true).await;
    let disk = tempfile::tempdir().unwrap();
    let other = world.builder().storage("other", disk.path()).build().unwrap();
    assert_eq!(other.worker().run_until_idle().await.unwrap(), 0);
    assert_eq!(world.work().await, 1);
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_deletion_whose_workers_keep_dying_is_done_in_the_end() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    let task = world.gitsync.delete_repository(repository.id).await.unwrap();
    for _ in 0..4 {
        die_at(&world, 1).await;
        world.clock.advance(LONG_ENOUGH);
    }
    for _ in 0..5 {
        world.work().await;
        world.clock.advance(LONG_ENOUGH);
    }
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
}

/// The last error that was written down was one that costs no attempt; the failure is written all the same.
#[tokio::test]
async fn an_exhausted_job_fails_whatever_its_last_error_was() {
    for kind in [ErrorKind::RateLimited, ErrorKind::Unavailable] {
        let world = World::new();
        world.upstream(3);
        let (_, task) = world.create("a", true).await;
        world.backend.fail_next(Call::List, Error::new(kind, "not now"));
        world.work().await;
        world.clock.advance(LONG_ENOUGH);
        for _ in 0..4 {
            die_at(&world, 1).await;
            world.clock.advance(LONG_ENOUGH);
        }
        for _ in 0..5 {
            world.work().await;
            world.clock.advance(LONG_ENOUGH);
        }
        assert_eq!(world.gitsync.task(task.id).await.unwrap().status, TaskStatus::Failed, "{kind}");
    }
}

/// The disk was full when an empty repository was made; before the next attempt somebody asks for a clone instead.
#[tokio::test]
async fn a_migrate_may_take_over_an_initialize_that_waits_for_its_next_attempt() {
    let world = World::new();
    world.upstream(3);
    let (repository, _) = world.create("a", false).await;
    // A file where the organisation's directory is to be.
    let organisation = world.published(&repository).parent().unwrap().to_owned();
    fs::write(&organisation, "").unwrap();
    world.work().await;
    fs::remove_file(&organisation).unwrap();
    assert_eq!(world.repository(repository.id).await.status, RepositoryStatus::Initializing);
    let task = world.gitsync.migrate(repository.id, Some(world.source.clone()), false).await.unwrap();
    for _ in 0..5 {
        world.work().await;
        world.gitsync.janitor().round().await;
        world.clock.advance(LONG_ENOUGH);
    }
    let task = world.gitsync.task(task.id).await.unwrap();
    assert!(task.status.is_terminal(), "it waits for ever: {task:?}");
}

/// An initialize that was requested again while the first clone ran.
#[tokio::test]
async fn an_initialize_behind_a_migrate_does_not_wait_for_ever() {
    let world = World::new();
    world.upstream(3);
    let (repository, first) = world.create("a", false).await;
    fs::create_dir_all(world.published(&repository)).unwrap();
    world.work().await;
    fs::remove_dir(world.published(&repository)).unwrap();
    world.gitsync.migrate(repository.id, Some(world.source.clone()), false).await.unwrap();
    let pause = PauseAt::new("listed");
    let engine = world.engine(Arc::clone(&pause) as _);
    let worker = start(&engine);
    pause.reached.notified().await;
    let again = world.gitsync.retry_task(first.id).await;
    pause.open.notify_one();
    worker.await.unwrap();
    for _ in 0..5 {
        world.work().await;
        world.gitsync.janitor().round().await;
        world.clock.advance(LONG_ENOUGH);
    }
    if let Ok(again) = again {
        let again = world.gitsync.task(again.id).await.unwrap();
        assert!(again.status.is_terminal(), "it waits for ever, and every sync with it: {again:?}");
    }
    assert!(is_done(&world.sync(repository.id).await));
}

/// A clone broke off while it was recorded, its directory was removed by hand, and its upstream is gone.
#[tokio::test]
async fn an_empty_repository_shows_nothing_of_a_clone_that_broke_off() {
    let world = World::new();
    world.upstream(3);
    let (repository, first) = world.create("a", false).await;
    fs::create_dir_all(world.published(&repository)).unwrap();
    world.work().await;
    fs::remove_dir(world.published(&repository)).unwrap();
    let clone = world.gitsync.migrate(repository.id, Some(world.source.clone()), false).await.unwrap();
    let pause = PauseAt::new("batch recorded");
    let engine = world.engine(Arc::clone(&pause) as _);
    let worker = start(&engine);
    pause.reached.notified().await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    fs::remove_dir_all(world.published(&repository)).unwrap();
    world.backend.fail_next(Call::List, Error::new(ErrorKind::SourceNotFound, "it is gone"));
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    assert_eq!(world.gitsync.task(clone.id).await.unwrap().status, TaskStatus::Failed);
    assert_eq!(world.commits(repository.id, false).await.len(), 3);
    let again = world.gitsync.retry_task(first.id).await.unwrap();
    world.work().await;
    assert!(is_done(&world.gitsync.task(again.id).await.unwrap()));
    assert_eq!(world.commits(repository.id, false).await, []);
}

#[tokio::test]
async fn a_migrate_that_was_refused_does_not_come_true_by_the_schedule() {
    let world = World::new();
    world.upstream(3);
    let (repository, _) = world.create("own", false).await;
    world.work().await;
    let pushed = push(&world, &repository, "refs/heads/mine", None).await;
    let task = world.gitsync.migrate(repository.id, Some(world.source.clone()), false).await.unwrap();
    world.work().await;
    assert_eq!(world.gitsync.task(task.id).await.unwrap().error.map(|error| error.kind), Some(ErrorKind::Conflict));
    for _ in 0..30 {
        world.clock.advance(Duration::from_secs(3600));
        world.gitsync.scheduler().scan().await.unwrap();
        world.work().await;
    }
    let there = world.refs_on_disk(&repository).await;
    assert!(there.contains(&("refs/heads/mine".to_owned(), pushed)), "{there:?}");
}

/// What is pushed into a mirror is overwritten by the next sync; a push while the sync runs is no failure.
#[tokio::test]
async fn a_push_while_a_sync_runs_does_not_fail_the_repository() {
    let world = World::new();
    let line = world.upstream(3);
    let repository = world.mirror().await;
    let next = world.backend.commit(&[line[2]], "next");
    world.set("refs/heads/main", Some(next));
    let task = world.gitsync.sync(repository.id).await.unwrap();
    let pause = PauseAt::new("fetched");
    let engine = world.engine(Arc::clone(&pause) as _);
    let worker = start(&engine);
    pause.reached.notified().await;
    let pushed = push(&world, &repository, "refs/heads/main", Some(line[2])).await;
    pause.open.notify_one();
    worker.await.unwrap();
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    let ended = world.gitsync.task(task.id).await.unwrap();
    assert_eq!(ended.status, TaskStatus::Completed, "{:?}", ended.error);
    assert_eq!(world.kept_on_disk(&repository).await, [pushed]);
    world.check_books(repository.id).await;
}

/// Another process hands tasks to the queue between the two writes that end an attempt.
#[tokio::test]
async fn work_that_takes_over_does_not_inherit_the_pause_of_what_it_replaces() {
    let world = World::new();
    world.upstream(1);
    let repository = world.mirror().await;
    world.gitsync.sync(repository.id).await.unwrap();
    let limited = Error::new(ErrorKind::RateLimited, "slow down").retry_in(Duration::from_secs(20 * 3600));
    world.backend.fail_next(Call::List, limited);
    /// Pauses where the attempt has begun, and relays where its end is in the store only.
    #[derive(Debug)]
    struct Hook(GitSync, RepositoryId);
    #[async_trait]
    impl StepHook for Hook {
        async fn reached(&self, step: &'static str) {
            match step {
                // Migrate, so that the runner is not asked to stop; stronger, so that it takes over.
                "taken over" => drop(self.0.migrate(self.1, None, true).await.unwrap()),
                "finished" => self.0.janitor().round().await,
                _ => {}
            }
        }
    }
    let engine = world.engine(Arc::new(Hook(world.gitsync.clone(), repository.id)));
    let worker = engine.worker();
    let mut work = Box::pin(worker.run_until_idle());
    tokio::select! { _ = &mut work => {}, () = tokio::time::sleep(Duration::from_secs(2)) => {} }
    let stats = world.gitsync.queue_stats().await.unwrap();
    let page = crate::model::PageRequest::new(10, None).unwrap();
    let tasks = world.gitsync.list_tasks(&crate::store::TaskFilter::default(), &page).await.unwrap().items;
    let waiting: Vec<_> = tasks.iter().filter(|task| task.status == TaskStatus::Pending).collect();
    assert!(
        waiting.iter().all(|task| task.next_attempt_at.is_none_or(|at| at > crate::Clock::now(&world.clock))
            || stats.ready + stats.running > 0),
        "due by the store, but not by the queue: {waiting:?} {stats:?}"
    );
}

/// Somebody removed the database and kept the repositories: ids begin anew, fences on disk are higher.
#[tokio::test]
async fn a_new_database_on_an_old_disk_is_no_dead_worker() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    for _ in 0..10 {
        world.sync(repository.id).await;
    }
    let world = world.with_new_database();
    let (_, task) = world.create("other", true).await;
    for _ in 0..8 {
        world.work().await;
        world.clock.advance(LONG_ENOUGH);
    }
    let ended = world.gitsync.task(task.id).await.unwrap();
    let said = ended.error.map(|error| error.message).unwrap_or_default();
    assert!(ended.status == TaskStatus::Completed || said.contains("database"), "{said}");
}
