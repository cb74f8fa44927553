//! Workers that stop where a test wants them to, and what somebody else does meanwhile.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::world::World;
use crate::backend::{GitBackend, PublishPermit, RefEdit, RefTransaction};
use crate::engine::{EngineOptions, GitSync, StepHook};
use crate::model::{ObjectId, RefName, Repository, TaskId};

/// Stops work once at a step until it is let go: a worker that is only slow.
#[derive(Debug)]
pub(super) struct PauseAt {
    step: &'static str,
    done: AtomicBool,
    pub(super) reached: Notify,
    pub(super) open: Notify,
}

impl PauseAt {
    pub(super) fn new(step: &'static str) -> Arc<Self> {
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
pub(super) fn deaf() -> EngineOptions {
    let never = Duration::from_secs(1_000_000);
    EngineOptions { heartbeat_interval: never, cancel_poll_interval: never, ..EngineOptions::default() }
}

/// Ends what hangs before its storage counts as given up, since the clock of a test that says so stands still meanwhile.
pub(super) fn hasty() -> EngineOptions {
    EngineOptions { task_time_limit: Duration::from_secs(10), ..EngineOptions::default() }
}

/// Lets a worker work beside the test until nothing is due.
pub(super) fn start(engine: &GitSync) -> JoinHandle<()> {
    let worker = engine.worker();
    tokio::spawn(async move { drop(worker.run_until_idle().await) })
}

/// Works until the step of that name, and dies there.
pub(super) async fn die_at(world: &World, step: &'static str) {
    let hook = PauseAt::new(step);
    let engine = world.engine(Arc::clone(&hook) as _);
    let worker = engine.worker();
    tokio::select! {
        result = worker.run_until_idle() => panic!("{result:?}: there is no step {step}"),
        () = hook.reached.notified() => {}
    }
}

/// Lets a running task report its progress, after which it has nothing to report until it goes on. Else a report would stop
/// a worker that was outrun, before the fence does.
pub(super) async fn let_report(world: &World, task: TaskId, phase: &str) {
    world.clock.advance(Duration::from_secs(1));
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.gitsync.task(task).await.unwrap().progress.phase, phase);
}

/// A push takes no fence.
struct Pushing;

impl PublishPermit for Pushing {}

/// Pushes a commit, as a user of the repository does: objects, then a reference.
pub(super) async fn push(world: &World, repository: &Repository, name: &str, old: Option<ObjectId>) -> ObjectId {
    let commit = world.backend.commit(&[], &format!("pushed to {name}"));
    let directory = world.published(repository);
    let hex = commit.to_string();
    fs::create_dir_all(directory.join("objects").join(&hex[..2])).unwrap();
    fs::write(directory.join("objects").join(&hex[..2]).join(&hex[2..]), b"").unwrap();
    let edits = vec![RefEdit { name: RefName::new(name).unwrap(), old, new: Some(commit) }];
    world
        .backend
        .update_refs(&directory, RefTransaction { edits, ..RefTransaction::default() }, Box::new(Pushing))
        .await
        .unwrap();
    commit
}

/// Waits until something is as it should be.
pub(super) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not after 10 s: {what}");
}
