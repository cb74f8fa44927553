//! Scenarios a reviewer found.
#![allow(unused_imports)]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::world::{LONG_ENOUGH, World, is_done};
use crate::backend::{GitBackend, RefEdit, RefTransaction};
use crate::engine::disk::Unpublished;
use crate::engine::{EngineOptions, GitSync, StepHook};
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::model::{ObjectId, RefName, Repository, RepositoryId};
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::testing::DieAt;

/// Stops work once at a step until it is let go: a worker that is only slow.
#[derive(Debug)]
struct PauseAt {
    step: &'static str,
    done: AtomicBool,
    reached: Notify,
    open: Notify,
}

impl PauseAt {
    fn new(step: &'static str) -> Arc<Self> {
        Arc::new(PauseAt { step, done: AtomicBool::new(false), reached: Notify::new(), open: Notify::new() })
    }
}

#[async_trait]
impl StepHook for PauseAt {
    async fn reached(&self, step: &'static str) {
        if step == self.step && !self.done.swap(true, Ordering::SeqCst) {
            self.reached.notify_one();
            self.open.notified().await;
        }
    }
}

/// Never hears of anything by itself, as a process that was stopped.
#[allow(dead_code)]
fn deaf() -> EngineOptions {
    let never = Duration::from_secs(1_000_000);
    EngineOptions { heartbeat_interval: never, cancel_poll_interval: never, ..EngineOptions::default() }
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

fn start(engine: &GitSync) -> tokio::task::JoinHandle<()> {
    let worker = engine.worker();
    tokio::spawn(async move { drop(worker.run_until_idle().await) })
}

#[allow(dead_code)]
async fn push(world: &World, repository: &Repository, name: &str, old: Option<ObjectId>) -> ObjectId {
    let commit = world.backend.commit(&[], &format!("pushed to {name}"));
    let directory = world.published(repository);
    let hex = commit.to_string();
    fs::create_dir_all(directory.join("objects").join(&hex[..2])).unwrap();
    fs::write(directory.join("objects").join(&hex[..2]).join(&hex[2..]), b"").unwrap();
    let edits = vec![RefEdit { name: RefName::new(name).unwrap(), old, new: Some(commit) }];
    world.backend.update_refs(&directory, RefTransaction { edits, head: None }, Box::new(Unpublished)).await.unwrap();
    commit
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
    world.clock.wait_for_sleepers(3).await;
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
