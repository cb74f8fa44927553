//! What those who watch tasks are told, and what it costs.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_core::Stream;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::Handle;

use super::world::{World, is_done};
use crate::engine::{GitSync, MAX_WATCHERS};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::{MemoryQueue, ScriptedBackend};
use crate::model::{Progress, SyncTask, TaskId};
use crate::queue::QueueLimits;
use crate::state::TaskStatus;
use crate::testing::{ManualClock, MockStore};

const TICK: Duration = Duration::from_millis(500);

type Watching = Pin<Box<dyn Stream<Item = Result<SyncTask>> + Send>>;

/// The tasks that a store answers with, as a test writes them.
#[derive(Default)]
struct Tasks {
    rows: HashMap<TaskId, SyncTask>,
    /// Why a task cannot be read.
    unreadable: HashMap<TaskId, ErrorKind>,
    /// How often many were asked for at once.
    reads: usize,
}

impl Tasks {
    fn find(&self, id: TaskId) -> Result<Option<SyncTask>> {
        match self.unreadable.get(&id) {
            Some(kind) => Err(Error::new(*kind, "the task cannot be read")),
            None => Ok(self.rows.get(&id).cloned()),
        }
    }
}

/// An engine on a store that knows nothing but those tasks.
struct Scripted {
    tasks: Arc<Mutex<Tasks>>,
    clock: ManualClock,
    gitsync: GitSync,
    pattern: SyncTask,
    _dir: tempfile::TempDir,
}

impl Scripted {
    async fn new() -> Self {
        let (tasks, clock) = (Arc::new(Mutex::new(Tasks::default())), ManualClock::default());
        let mut store = MockStore::new();
        let rows = Arc::clone(&tasks);
        store.expect_task().returning(move |id| {
            let found = rows.lock().unwrap().find(id)?;
            found.ok_or_else(|| Error::new(ErrorKind::NotFound, "the task does not exist"))
        });
        let rows = Arc::clone(&tasks);
        store.expect_tasks().returning(move |ids| {
            let mut rows = rows.lock().unwrap();
            rows.reads += 1;
            ids.iter().filter_map(|id| rows.find(*id).transpose()).collect()
        });
        let dir = tempfile::tempdir().unwrap();
        let gitsync = GitSync::builder()
            .store(Arc::new(store))
            .queue(Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default())))
            .backend(Arc::new(ScriptedBackend::new()))
            .transport(Arc::new(crate::testing::Offline))
            .clock(Arc::new(clock.clone()))
            .repos_dir(dir.path())
            .build()
            .unwrap();
        let (_, pattern) = World::new().create("a", true).await;
        Scripted { tasks, clock, gitsync, pattern, _dir: dir }
    }

    /// Makes a task that waits.
    fn task(&self) -> SyncTask {
        let task = SyncTask { id: TaskId::generate(), ..self.pattern.clone() };
        self.write(task.clone());
        task
    }

    fn write(&self, task: SyncTask) {
        self.tasks.lock().unwrap().rows.insert(task.id, task);
    }

    fn remove(&self, id: TaskId) {
        self.tasks.lock().unwrap().rows.remove(&id);
    }

    fn reads(&self) -> usize {
        self.tasks.lock().unwrap().reads
    }

    async fn watch(&self, id: TaskId) -> Watching {
        Box::pin(self.gitsync.watch_task(id).await.unwrap())
    }

    /// Lets the poller ask once.
    async fn tick(&self) {
        self.clock.wait_for_sleepers(1).await;
        self.clock.advance(TICK);
        // Without a watcher left it ends instead of going to sleep again.
        until(|| self.clock.sleepers() > 0 || alive() == 0).await;
    }
}

/// How many tasks run beside the test: the pollers.
fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never becomes so");
}

/// What a stream has to tell at this moment; `None` if that is nothing.
fn told(watching: &mut Watching) -> Option<Option<SyncTask>> {
    watching.next().now_or_never().map(|item| item.map(Result::unwrap))
}

fn ended(task: &SyncTask) -> SyncTask {
    SyncTask { status: TaskStatus::Completed, ..task.clone() }
}

#[tokio::test]
async fn a_task_is_watched_to_its_end() {
    let world = World::new();
    world.upstream(2);
    let (repository, task) = world.create("a", true).await;
    let mut watching: Watching = Box::pin(world.gitsync.watch_task(task.id).await.unwrap());
    let first = told(&mut watching).unwrap().unwrap();
    assert_eq!((first.id, first.status), (task.id, TaskStatus::Pending));
    assert_eq!(told(&mut watching), None, "nothing has changed");
    world.work().await;
    world.clock.wait_for_sleepers(1).await;
    world.clock.advance(TICK);
    let last = watching.next().await.unwrap().unwrap();
    assert!(is_done(&last));
    assert_eq!(last, world.gitsync.task(task.id).await.unwrap());
    assert!(watching.next().await.is_none());

    let mut late: Watching = Box::pin(world.gitsync.watch_task(task.id).await.unwrap());
    assert_eq!((told(&mut late), told(&mut late)), (Some(Some(last)), Some(None)), "what has ended is told too");
    let unknown = world.gitsync.watch_task(TaskId::generate()).await;
    assert_eq!(unknown.err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn slow_readers_are_told_the_last_of_many_changes() {
    let world = Scripted::new().await;
    let task = world.task();
    let mut watching = world.watch(task.id).await;
    let at = |commits| {
        let progress = Progress { commits, ..Progress::default() };
        SyncTask { status: TaskStatus::Running, attempt: 1, progress, ..task.clone() }
    };
    assert_eq!(told(&mut watching), Some(Some(task.clone())));
    for commits in 1..=3 {
        world.write(at(commits));
        world.tick().await;
    }
    assert_eq!((told(&mut watching), told(&mut watching)), (Some(Some(at(3))), None));
    world.tick().await;
    assert_eq!(told(&mut watching), None, "what is as it was is not told again");
    let mut other = world.watch(task.id).await;
    assert_eq!((told(&mut other), told(&mut watching)), (Some(Some(at(3))), None), "each is told for itself");

    world.write(at(4));
    world.tick().await;
    world.write(ended(&task));
    world.tick().await;
    for mut watching in [watching, other] {
        assert_eq!((told(&mut watching), told(&mut watching)), (Some(Some(ended(&task))), Some(None)));
    }
}

#[tokio::test]
async fn who_watches_goes_on_with_the_task_that_took_the_place() {
    let world = Scripted::new().await;
    let (held, other) = (world.task(), world.task());
    let mut watching = world.watch(held.id).await;
    assert_eq!(told(&mut watching), Some(Some(held.clone())));
    let superseded =
        SyncTask { status: TaskStatus::Cancelled, superseded_by: Some(other.id), held: false, ..held.clone() };
    world.write(superseded.clone());
    world.tick().await;
    assert_eq!(told(&mut watching), Some(Some(superseded)));
    assert_eq!((told(&mut watching), told(&mut watching)), (Some(Some(other.clone())), None));
    world.write(ended(&other));
    world.tick().await;
    assert_eq!((told(&mut watching), told(&mut watching)), (Some(Some(ended(&other))), Some(None)));
}

#[tokio::test]
async fn a_task_that_is_gone_ends_its_streams() {
    let world = Scripted::new().await;
    let (gone, other) = (world.task(), world.task());
    let (mut watching, mut going_on) = (world.watch(gone.id).await, world.watch(other.id).await);
    told(&mut watching);
    told(&mut going_on);
    world.remove(gone.id);
    world.tick().await;
    assert_eq!((told(&mut watching), told(&mut going_on)), (Some(None), None));
}

#[tokio::test]
async fn a_store_that_is_away_is_waited_for() {
    let world = Scripted::new().await;
    let (task, next) = (world.task(), world.task());
    let mut watching = world.watch(task.id).await;
    told(&mut watching);
    let away = |id| world.tasks.lock().unwrap().unreadable.insert(id, ErrorKind::Unavailable);
    let back = |id| world.tasks.lock().unwrap().unreadable.remove(&id);
    away(task.id);
    world.write(SyncTask { status: TaskStatus::Cancelled, superseded_by: Some(next.id), ..task.clone() });
    let refused = world.gitsync.watch_task(task.id).await;
    assert_eq!(refused.err().map(|error| error.kind()), Some(ErrorKind::Unavailable));
    world.tick().await;
    world.tick().await;
    assert_eq!(told(&mut watching), None);
    back(task.id);
    away(next.id);
    world.tick().await;
    assert_eq!(told(&mut watching).flatten().unwrap().status, TaskStatus::Cancelled);
    assert_eq!(told(&mut watching), None, "the next one cannot be looked for");
    back(next.id);
    world.clock.advance(TICK);
    assert_eq!(told(&mut watching), Some(Some(next)));
}

#[tokio::test]
async fn an_error_that_stays_is_told_to_whom_it_concerns() {
    let world = Scripted::new().await;
    let (broken, fine) = (world.task(), world.task());
    let (mut watching, mut going_on) = (world.watch(broken.id).await, world.watch(fine.id).await);
    told(&mut watching);
    told(&mut going_on);
    world.tasks.lock().unwrap().unreadable.insert(broken.id, ErrorKind::Corrupt);
    world.write(ended(&fine));
    world.tick().await;
    let error = watching.next().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(watching.next().await.is_none());
    assert_eq!(told(&mut going_on), Some(Some(ended(&fine))));
}

#[tokio::test]
async fn a_thousand_watchers_cost_one_read_and_none_costs_nothing() {
    let world = Scripted::new().await;
    let mut watching = Vec::new();
    for _ in 0..500 {
        let task = world.task();
        watching.push(world.watch(task.id).await);
        watching.push(world.watch(task.id).await);
    }
    assert_eq!((alive(), world.reads()), (1, 0));
    for tick in 1..=3 {
        world.tick().await;
        assert_eq!(world.reads(), tick);
    }
    watching.truncate(1);
    world.tick().await;
    assert_eq!((alive(), world.reads()), (1, 4), "one is left");
    watching.clear();
    world.tick().await;
    assert_eq!((alive(), world.clock.sleepers(), world.reads()), (0, 0, 4));

    let task = world.task();
    let mut again = world.watch(task.id).await;
    told(&mut again);
    world.write(ended(&task));
    world.tick().await;
    assert_eq!(told(&mut again), Some(Some(ended(&task))), "the next watcher starts another one");
    world.tick().await;
    assert_eq!((alive(), world.reads()), (0, 5), "nobody waits for what has ended");
}

#[tokio::test]
async fn the_number_of_streams_is_bounded() {
    let world = Scripted::new().await;
    let task = world.task();
    let mut watching = Vec::new();
    for _ in 0..MAX_WATCHERS {
        watching.push(world.watch(task.id).await);
    }
    let refused = async || world.gitsync.watch_task(task.id).await.err().map(|error| error.kind());
    assert_eq!(refused().await, Some(ErrorKind::LimitExceeded));
    watching.pop();
    assert_eq!(refused().await, None, "a stream that was dropped leaves its place");
    let unknown = world.gitsync.watch_task(TaskId::generate()).await;
    assert_eq!(unknown.err().map(|error| error.kind()), Some(ErrorKind::NotFound));
    assert_eq!(refused().await, None, "so does one that was refused");
}
