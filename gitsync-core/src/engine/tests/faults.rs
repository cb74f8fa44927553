//! The database may fail at any call, also after it did what it was asked for: what comes of it is whole, and there once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::hooks::{PauseAt, start};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::cancel::Cancellation;
use crate::engine::{CreateRepository, StepHook};
use crate::error::{Error, ErrorKind};
use crate::model::{ObjectId, PageRequest, Repository, SyncTask};
use crate::store::{RepositoryFilter, TaskFilter};
use crate::testing::{FaultyStore, QueueCall, StoreCall};

fn away() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection is gone")
}

/// What a worker is given to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Initialize,
    Migrate,
    Reclone,
    Sync,
    Delete,
}

/// A task that waits, and what is to be found when it has ended.
struct Waiting {
    world: World,
    job: Job,
    repository: Repository,
    task: SyncTask,
    tasks: usize,
    kept: Vec<ObjectId>,
    /// The tip of a branch that upstream has until the first attempt has failed.
    passing: ObjectId,
}

impl Waiting {
    async fn new(job: Job) -> Self {
        let world = World::new();
        let line = world.upstream(6);
        world.set("refs/heads/gone", Some(line[4]));
        let passing = world.backend.commit(&[line[1]], "passing");
        if matches!(job, Job::Initialize | Job::Migrate) {
            world.set("refs/heads/passing", Some(passing));
            let (repository, task) = world.create("a", job == Job::Migrate).await;
            return Waiting { world, job, repository, task, tasks: 1, kept: Vec::new(), passing };
        }
        let repository = world.mirror().await;
        world.set("refs/heads/passing", Some(passing));
        let forced = world.backend.commit(&[line[2]], "forced");
        world.set("refs/heads/main", Some(forced));
        world.set("refs/heads/gone", None);
        world.set("refs/heads/new", Some(line[1]));
        let task = match job {
            Job::Reclone => world.gitsync.migrate(repository.id, None, true).await,
            Job::Delete => world.gitsync.delete_repository(repository.id).await,
            _ => world.gitsync.sync(repository.id).await,
        };
        let mut kept = vec![line[4], line[5]];
        kept.sort();
        Waiting { world, job, repository, task: task.unwrap(), tasks: 2, kept, passing }
    }

    /// Does the work, with attempts that fail at first. Upstream goes on meanwhile.
    async fn work(&self) {
        drop(self.world.gitsync.worker().run_until_idle().await);
        self.upstream_goes_on().await;
        work_for_a_while(&self.world).await;
    }

    /// Removes a branch upstream, unless that comes too late for this task.
    async fn upstream_goes_on(&self) {
        if !self.world.gitsync.task(self.task.id).await.unwrap().status.is_terminal() {
            self.world.set("refs/heads/passing", None);
        }
    }

    /// Checks that the task has done its work, once, and that nothing is left of it elsewhere.
    async fn check(&self, fault: &str) {
        let (world, gitsync) = (&self.world, &self.world.gitsync);
        let ended = gitsync.task(self.task.id).await.unwrap();
        assert!(is_done(&ended), "{:?}, {fault}: {ended:?}", self.job);
        let page = PageRequest::new(100, None).unwrap();
        let repositories = gitsync.list_repositories(&RepositoryFilter::default(), &page).await.unwrap().items;
        let tasks = gitsync.list_tasks(&TaskFilter::default(), &page).await.unwrap().items;
        for directory in ["tmp", "trash", "journal"] {
            assert_eq!(world.remains(directory), 0, "{:?}, {fault}: {directory}", self.job);
        }
        if self.job == Job::Delete {
            assert_eq!((repositories.len(), tasks.len()), (0, 0), "{fault}");
            assert!(!world.published(&self.repository).exists(), "{fault}");
            return;
        }
        assert_eq!((repositories.len(), tasks.len()), (1, self.tasks), "{:?}, {fault}", self.job);
        assert_eq!(repositories[0].error, None, "{:?}, {fault}", self.job);
        if self.job == Job::Initialize {
            assert_eq!(world.refs_on_disk(&self.repository).await, []);
            return;
        }
        world.check_books(self.repository.id).await;
        let mut kept = world.kept_on_disk(&self.repository).await;
        // Kept if it got as far as being published.
        kept.retain(|id| *id != self.passing);
        assert_eq!(kept, self.kept, "{:?}, {fault}", self.job);
    }
}

/// Works for a while, as processes do that are started again when the database ended them.
async fn work_for_a_while(world: &World) {
    for _ in 0..6 {
        drop(world.gitsync.worker().run_until_idle().await);
        world.clock.advance(LONG_ENOUGH);
        world.gitsync.janitor().round().await;
    }
}

const JOBS: [Job; 5] = [Job::Initialize, Job::Migrate, Job::Reclone, Job::Sync, Job::Delete];

#[tokio::test]
async fn any_call_to_the_store_may_fail_before_or_after_it_happened() {
    let mut tried = BTreeSet::new();
    for job in JOBS {
        let calm = Waiting::new(job).await;
        let before = StoreCall::ALL.iter().map(|call| calm.world.store.count(*call)).collect::<Vec<_>>();
        calm.world.work().await;
        for (call, before) in StoreCall::ALL.iter().zip(before) {
            for nth in 1..=calm.world.store.count(*call) - before {
                let waiting = Waiting::new(job).await;
                waiting.world.store.fail(*call, nth, away());
                waiting.work().await;
                waiting.check(&format!("no {call:?} {nth}")).await;

                let waiting = Waiting::new(job).await;
                waiting.world.store.fail_after(*call, nth, away());
                waiting.work().await;
                waiting.check(&format!("no answer to {call:?} {nth}")).await;
                tried.insert(*call);
            }
        }
    }
    let called = [
        StoreCall::StartTask,
        StoreCall::Baseline,
        StoreCall::BeginRecording,
        StoreCall::RecordCommits,
        StoreCall::OrphanCommits,
        StoreCall::OrphanUnrecorded,
        StoreCall::FinishTask,
        StoreCall::PurgeRepository,
        StoreCall::Outbox,
    ];
    assert!(tried.is_superset(&BTreeSet::from(called)), "{tried:?}");
}

#[tokio::test]
async fn any_call_to_the_queue_may_fail_before_or_after_it_happened() {
    for job in JOBS {
        let calm = Waiting::new(job).await;
        let before = QueueCall::ALL.iter().map(|call| calm.world.queue.count(*call)).collect::<Vec<_>>();
        calm.world.work().await;
        for (call, before) in QueueCall::ALL.iter().zip(before) {
            for nth in 1..=calm.world.queue.count(*call) - before {
                let waiting = Waiting::new(job).await;
                waiting.world.queue.fail(*call, nth, away());
                waiting.work().await;
                waiting.check(&format!("no {call:?} {nth}")).await;

                let waiting = Waiting::new(job).await;
                waiting.world.queue.fail_after(*call, nth, away());
                waiting.work().await;
                waiting.check(&format!("no answer to {call:?} {nth}")).await;
            }
        }
    }
}

/// Takes the store away at a step.
#[derive(Debug)]
struct AwayAt {
    steps_left: AtomicUsize,
    store: Arc<FaultyStore>,
}

#[async_trait]
impl StepHook for AwayAt {
    async fn reached(&self, _step: &'static str) {
        if self.steps_left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.store.go_away();
        }
    }
}

/// Also if it is longer than a task has attempts: waiting for the database costs none.
#[tokio::test]
async fn an_outage_is_waited_for_wherever_it_begins() {
    for job in JOBS {
        for step in 0.. {
            let waiting = Waiting::new(job).await;
            let world = &waiting.world;
            let hook = AwayAt { steps_left: AtomicUsize::new(step), store: Arc::clone(&world.store) };
            let hook = Arc::new(hook);
            drop(world.engine(Arc::clone(&hook) as _).worker().run_until_idle().await);
            let was_reached = hook.steps_left.load(Ordering::SeqCst) > step;
            work_for_a_while(world).await;
            world.store.come_back();
            waiting.upstream_goes_on().await;
            work_for_a_while(world).await;
            waiting.check(&format!("away from step {step}")).await;
            if !was_reached {
                assert!(step > 2, "{job:?}: the steps are really there");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_can_be_made_again() {
    let world = World::new();
    world.upstream(3);
    let first = world.mirror().await;
    let page = PageRequest::new(100, None).unwrap();
    for (call, lost) in
        [(StoreCall::RequestTask, false), (StoreCall::RequestTask, true), (StoreCall::MarkEnqueued, false)]
    {
        let before = world.gitsync.list_tasks(&TaskFilter::default(), &page).await.unwrap().items.len();
        if lost {
            world.store.fail_after(call, 1, away());
        } else {
            world.store.fail(call, 1, away());
        }
        // What could not be queued at once is queued later: that is no failure of the request.
        let asked = world.gitsync.sync(first.id).await;
        assert_eq!(asked.is_err(), call == StoreCall::RequestTask, "{asked:?}");
        let again = world.gitsync.sync(first.id).await.unwrap();
        work_for_a_while(&world).await;
        assert!(is_done(&world.gitsync.task(again.id).await.unwrap()));
        let tasks = world.gitsync.list_tasks(&TaskFilter::default(), &page).await.unwrap().items;
        assert_eq!(tasks.len(), before + 1, "both requests are one task: {call:?}");
    }
}

#[tokio::test]
async fn a_repository_whose_creation_was_not_answered_is_whole_or_not_there() {
    let world = World::new();
    world.upstream(3);
    let organisation = world.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap().id;
    let wish = CreateRepository { name: "a".into(), source: Some(world.source.clone()), ..CreateRepository::default() };
    let create = || world.gitsync.create_repository(organisation, wish.clone());

    world.store.fail(StoreCall::CreateRepository, 1, away());
    assert_eq!(create().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.work().await, 0, "there is nothing to do");

    world.store.fail_after(StoreCall::CreateRepository, 1, away());
    assert_eq!(create().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(create().await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    work_for_a_while(&world).await;
    let page = PageRequest::new(100, None).unwrap();
    let made = world.gitsync.list_repositories(&RepositoryFilter::default(), &page).await.unwrap().items;
    assert_eq!(made.len(), 1);
    world.check_books(made[0].id).await;
}

#[tokio::test]
async fn progress_that_cannot_be_written_costs_nothing() {
    let world = World::new();
    world.upstream(3);
    let (repository, task) = world.create("a", true).await;
    world.store.fail(StoreCall::ReportProgress, 1, away());
    let pause = PauseAt::new("fetched");
    let worker = start(&world.engine(Arc::clone(&pause) as _));
    pause.reached.notified().await;
    // Heartbeats, cancellations and progress are asked for on the clock.
    world.clock.wait_for_sleepers(4).await;
    world.clock.advance(Duration::from_millis(500));
    while world.store.count(StoreCall::ReportProgress) == 0 {
        tokio::task::yield_now().await;
    }
    pause.open.notify_one();
    worker.await.unwrap();
    let ended = world.gitsync.task(task.id).await.unwrap();
    assert_eq!((is_done(&ended), ended.attempt), (true, 1));
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_worker_waits_for_a_queue_that_is_away() {
    let world = World::new();
    world.upstream(3);
    let (repository, task) = world.create("a", true).await;
    world.queue.go_away();
    let shutdown = Cancellation::new();
    let worker = tokio::spawn({
        let (worker, shutdown) = (world.gitsync.worker(), shutdown.clone());
        async move { worker.run(shutdown).await }
    });
    for _ in 0..3 {
        let claims = world.queue.count(QueueCall::Claim);
        // Heartbeats, cancellations, and the next claim.
        world.clock.wait_for_sleepers(4).await;
        world.clock.advance(Duration::from_secs(1));
        while world.queue.count(QueueCall::Claim) == claims {
            tokio::task::yield_now().await;
        }
    }
    world.queue.come_back();
    world.clock.wait_for_sleepers(4).await;
    world.clock.advance(Duration::from_secs(1));
    while !is_done(&world.gitsync.task(task.id).await.unwrap()) {
        tokio::task::yield_now().await;
    }
    shutdown.cancel();
    worker.await.unwrap();
    world.check_books(repository.id).await;
}
