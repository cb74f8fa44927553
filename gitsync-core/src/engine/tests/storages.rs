//! Which machine serves a storage, and where new repositories are put.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::hooks::{PauseAt, start};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::cancel::Cancellation;
use crate::clock::Clock;
use crate::engine::{CreateRepository, GitSync};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DiskId, OrganisationId, StorageRecord, StorageReport, TaskId};
use crate::state::TaskStatus;
use crate::store::Store;
use crate::testing::{ManualClock, StoreCall};

/// How often workers report, and a moment more.
const REPORT: Duration = Duration::from_millis(15_001);

/// So many reports after its last one, a machine's storage is another's to take.
const TAKEOVER: usize = 6;

/// How many sleep in a worker that has nothing to do: heartbeats, cancellations, the report and the next claim.
const IDLE: usize = 4;

impl World {
    /// An engine on the storage `default`, as a process of that machine would have it.
    fn on(&self, machine: &str) -> GitSync {
        self.builder().machine(machine).repos_dir(self.storage().root()).build().unwrap()
    }

    async fn storages(&self) -> Vec<StorageRecord> {
        self.store.storages().await.unwrap().storages
    }

    async fn report(&self, name: &str, machine: &str, free_bytes: u64) -> Result<()> {
        self.report_disk(self.storage().disk().unwrap(), name, machine, free_bytes).await
    }

    async fn report_disk(&self, disk: DiskId, name: &str, machine: &str, free_bytes: u64) -> Result<()> {
        let (name, machine, serves_for) = (name.parse().unwrap(), machine.to_owned(), 4 * REPORT);
        let report = StorageReport { name, disk, machine, is_shared: false, free_bytes, serves_for };
        self.store.report_storage(&report).await
    }

    async fn is_done(&self, task: TaskId) -> bool {
        is_done(&self.gitsync.task(task).await.unwrap())
    }
}

/// A worker that runs beside the test.
struct Running(Cancellation, JoinHandle<()>);

impl Running {
    fn start(engine: &GitSync) -> Self {
        let (worker, shutdown) = (engine.worker(), Cancellation::new());
        let ended = shutdown.clone();
        Running(shutdown, tokio::spawn(async move { worker.run(ended).await }))
    }

    async fn end(self) {
        self.0.cancel();
        self.1.await.unwrap();
    }
}

async fn organisation(world: &World) -> OrganisationId {
    world.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap().id
}

/// Creates an empty repository and returns the name of its storage.
async fn place(engine: &GitSync, organisation: OrganisationId, name: &str, storage: Option<&str>) -> Result<String> {
    let storage = storage.map(|name| name.parse().unwrap());
    let wish = CreateRepository { name: name.to_owned(), storage, ..CreateRepository::default() };
    engine.create_repository(organisation, wish).await.map(|(repository, _)| repository.storage.to_string())
}

#[tokio::test]
async fn a_worker_says_what_it_serves_as_long_as_it_runs() {
    let world = World::new();
    let disk = tempfile::tempdir().unwrap();
    let engine = world.builder().machine("here").shared_storage("shared", disk.path());
    let worker = Running::start(&engine.repos_dir(world.storage().root()).build().unwrap());
    for _ in 0..3 {
        // One report more than with one storage.
        world.clock.wait_for_sleepers(IDLE + 1).await;
        let mut found = world.storages().await;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let known = found.iter().map(|storage| (storage.name.as_str(), storage.machine.as_str(), storage.is_shared));
        assert_eq!(known.collect::<Vec<_>>(), [("default", "here", false), ("shared", "here", true)]);
        assert!(found.iter().all(|storage| storage.free_bytes > 0 && storage.seen_at == world.clock.now()));
        world.clock.advance(REPORT);
    }
    worker.end().await;
}

#[tokio::test]
async fn a_storage_of_another_machine_is_left_alone_until_that_is_gone() {
    let world = World::new();
    world.upstream(3);
    world.on("there").worker().run_until_idle().await.unwrap();
    let (repository, task) = world.create("a", true).await;
    let refused = world.on("here").worker().run_until_idle().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);

    let worker = Running::start(&world.on("here"));
    for _ in 0..TAKEOVER {
        world.clock.wait_for_sleepers(IDLE).await;
        assert_eq!(world.gitsync.task(task.id).await.unwrap().status, TaskStatus::Pending);
        world.clock.advance(REPORT);
    }
    while !world.is_done(task.id).await {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.storages().await[0].machine, "here");
    worker.end().await;
    world.check_books(repository.id).await;
}

/// A machine that could not reach the database for long comes back and finds its storage taken.
#[tokio::test]
async fn a_storage_that_was_taken_over_is_let_go() {
    let world = World::new();
    world.upstream(3);
    let worker = Running::start(&world.on("here"));
    world.clock.wait_for_sleepers(IDLE).await;
    for nth in 1..=TAKEOVER {
        world.store.fail(StoreCall::ReportStorage, nth, Error::new(ErrorKind::Unavailable, "it is away"));
    }
    for _ in 0..TAKEOVER {
        world.clock.advance(REPORT);
        world.clock.wait_for_sleepers(IDLE).await;
    }
    // It has not heard of that, but knows how old its own last word is.
    world.report("default", "there", 1).await.unwrap();
    let (_, task) = world.create("a", true).await;
    for _ in 0..4 {
        world.clock.wait_for_sleepers(IDLE).await;
        assert_eq!(world.gitsync.task(task.id).await.unwrap().status, TaskStatus::Pending);
        world.clock.advance(REPORT);
    }
    while !world.is_done(task.id).await {
        tokio::task::yield_now().await;
    }
    worker.end().await;
}

/// It may have been the last job of this storage for long: another machine is free to work on it by then.
async fn what_runs_ends(reports: usize, error: ErrorKind) {
    let world = World::new();
    world.upstream(3);
    let (_, task) = world.create("a", true).await;
    let pause = PauseAt::new("listed");
    let engine = world.engine(Arc::clone(&pause) as _);
    let worker = start(&engine);
    pause.reached.notified().await;
    for nth in 1..=reports {
        world.store.fail(StoreCall::ReportStorage, nth, Error::new(error, "it is not to be"));
    }
    for _ in 0..reports {
        world.clock.wait_for_sleepers(IDLE - 1).await;
        world.clock.advance(REPORT);
    }
    // It is never let go: that would be its time limit, about which something is written.
    worker.await.unwrap();
    let task = world.gitsync.task(task.id).await.unwrap();
    assert_eq!((task.status, task.error), (TaskStatus::Running, None), "nothing may be written any more");
}

#[tokio::test(start_paused = true)]
async fn what_runs_on_a_storage_ends_when_another_machine_has_it() {
    what_runs_ends(1, ErrorKind::Conflict).await;
}

/// The queue is there all the time and extends the lease.
#[tokio::test(start_paused = true)]
async fn what_runs_on_a_storage_ends_when_it_was_not_reported_for_long() {
    what_runs_ends(TAKEOVER, ErrorKind::Unavailable).await;
}

/// Both machines call their own disk `default`, and one of them is away for long.
#[tokio::test]
async fn another_disk_of_that_name_is_left_alone_for_ever() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    let disk = tempfile::tempdir().unwrap();
    let other = world.builder().machine("there").repos_dir(disk.path()).build().unwrap();
    let trash = disk.path().join(".gitsync/trash/old");
    fs::write(&trash, "").unwrap();
    for _ in 0..3 {
        world.clock.advance(LONG_ENOUGH);
        world.gitsync.sync(repository.id).await.unwrap();
        let refused = other.worker().run_until_idle().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(refused.hint_text().unwrap().contains(".gitsync/disk"), "{refused:?}");
        other.janitor().round().await;
        assert!(trash.exists() && !disk.path().join("org").exists());
    }
    // The machine was started anew, and has another name for that.
    assert_eq!(world.on("here after a start").worker().run_until_idle().await.unwrap(), 1);
    world.check_books(repository.id).await;

    // The disk was lost, and the other one is to take its place.
    world.clock.advance(LONG_ENOUGH);
    fs::copy(world.storage().root().join(".gitsync/disk"), disk.path().join(".gitsync/disk")).unwrap();
    other.worker().run_until_idle().await.unwrap();
    assert_eq!(world.storages().await[0].machine, "there");
}

#[tokio::test]
async fn machines_that_share_a_storage_serve_it_together() {
    let world = World::new();
    world.upstream(3);
    let on = |machine: &str| {
        world.builder().machine(machine).shared_storage("default", world.storage().root()).build().unwrap()
    };
    for (machine, name) in [("here", "a"), ("there", "b"), ("here", "c")] {
        let (repository, task) = world.create(name, true).await;
        assert_eq!(on(machine).worker().run_until_idle().await.unwrap(), 1);
        assert!(world.is_done(task.id).await);
        world.check_books(repository.id).await;
    }
    assert_eq!(world.on("here").worker().run_until_idle().await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn the_janitor_leaves_the_files_of_another_machine_alone() {
    let world = World::new();
    let trash = world.storage().root().join(".gitsync/trash/old");
    fs::write(&trash, "").unwrap();
    world.report("default", "there", 1).await.unwrap();
    world.on("here").janitor().round().await;
    assert!(trash.exists());
    world.on("there").janitor().round().await;
    assert!(!trash.exists());
    fs::write(&trash, "").unwrap();
    world.clock.advance(4 * REPORT);
    world.on("here").janitor().round().await;
    assert!(!trash.exists(), "nobody serves it any more");
}

#[tokio::test]
async fn a_process_without_a_disk_places_by_what_workers_report() {
    let world = World::new();
    let org = organisation(&world).await;
    let api = world.builder().build().unwrap();
    assert_eq!(api.worker().run_until_idle().await.unwrap(), 0);
    let nowhere = place(&api, org, "a", None).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::Unavailable);
    assert!(nowhere.hint_text().is_some_and(|hint| hint.contains("worker")), "{nowhere:?}");

    for (name, free_bytes) in [("small", 1), ("large", 9), ("wide", 9)] {
        world.report(name, "there", free_bytes).await.unwrap();
    }
    assert_eq!(place(&api, org, "a", None).await.unwrap(), "large");
    assert_eq!(place(&api, org, "b", Some("small")).await.unwrap(), "small");
    let unknown = place(&api, org, "c", Some("other")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::InvalidInput);
    assert!(unknown.hint_text().is_some_and(|hint| hint.contains("large, small, wide")), "{unknown:?}");

    world.clock.advance(4 * REPORT);
    assert_eq!(place(&api, org, "d", None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(place(&api, org, "d", Some("wide")).await.unwrap(), "wide", "its worker will be back");
}

/// Whether a storage is being served is a matter of the database's clock, whatever the process's own shows.
#[tokio::test]
async fn a_clock_that_is_wrong_finds_the_same_storages() {
    let world = World::new();
    let org = organisation(&world).await;
    world.report("large", "there", 9).await.unwrap();
    let late = ManualClock::new(world.clock.now().after(100 * REPORT));
    let api = world.builder().clock(Arc::new(late)).build().unwrap();
    assert_eq!(place(&api, org, "a", None).await.unwrap(), "large");
    world.clock.advance(4 * REPORT);
    let early = ManualClock::new(world.clock.now().before(100 * REPORT));
    let api = world.builder().clock(Arc::new(early)).build().unwrap();
    assert_eq!(place(&api, org, "b", None).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_process_with_disks_places_before_any_worker_has_run() {
    let world = World::new();
    let org = organisation(&world).await;
    let disks = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let with = |root: &Path| world.builder().storage("other", root).repos_dir(disks[1].path()).build().unwrap();
    let own = with(disks[0].path());
    assert_eq!(place(&own, org, "a", None).await.unwrap(), "default");
    assert_eq!(place(&own, org, "b", Some("other")).await.unwrap(), "other");
    assert_eq!(place(&own, org, "c", Some("none")).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    world.report("there", "there", 0).await.unwrap();
    assert_eq!(place(&own, org, "d", None).await.unwrap(), "there", "that has a worker");
}
