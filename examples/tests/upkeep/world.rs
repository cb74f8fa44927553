//! An engine with a mirror, a real upstream and a clock that stands still.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::engine::{CreateRepository, EngineOptions, NoSteps, StepHook};
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{ObjectId, Page, PageRequest, Repository, RepositoryId, SyncTask, TaskKind};
use gitsync_core::queue::{JobQueue, QueueLimits};
use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::store::{Store, TaskFilter};
use gitsync_core::testing::{Git, ManualClock, Upstream};
use gitsync_core::{GitBackend, GitSync};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};

/// Longer than a lease and than every pause between attempts.
const LONG_ENOUGH: Duration = Duration::from_secs(600);

pub(crate) struct World {
    dir: tempfile::TempDir,
    clock: ManualClock,
    store: Arc<dyn Store>,
    queue: Arc<dyn JobQueue>,
    backend: Arc<dyn GitBackend>,
    pub(crate) upstream: Upstream,
    pub(crate) options: EngineOptions,
}

impl World {
    /// Everything on gix and in memory.
    pub(crate) fn on_gix() -> Self {
        World::in_memory(Arc::new(GixBackend::default()))
    }

    /// Everything on libgit2 and in memory.
    pub(crate) fn on_git2() -> Self {
        World::in_memory(Arc::new(Git2Backend::default()))
    }

    /// Everything on gix and SQLite.
    pub(crate) async fn on_sqlite() -> Self {
        let world = World::on_gix();
        let path = world.dir.path().join("gitsync.db");
        let database = SqliteStore::open(path, Arc::new(world.clock.clone()), QueueLimits::default()).await.unwrap();
        let database = Arc::new(database);
        World { store: Arc::clone(&database) as _, queue: database, ..world }
    }

    fn in_memory(backend: Arc<dyn GitBackend>) -> Self {
        let clock = ManualClock::default();
        World {
            dir: tempfile::tempdir().unwrap(),
            store: Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
            queue: Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default())),
            clock,
            backend,
            upstream: Upstream::new(),
            options: EngineOptions::default(),
        }
    }

    pub(crate) fn engine(&self, steps: Arc<dyn StepHook>) -> GitSync {
        let root = self.upstream.root();
        let policy = SourcePolicy::builder().schemes([Scheme::File]).file_root(root).build().unwrap();
        GitSync::builder()
            .store(Arc::clone(&self.store))
            .queue(Arc::clone(&self.queue))
            .backend(Arc::clone(&self.backend))
            .transport(Arc::new(NetTransport::new(policy.clone(), NetOptions::default())))
            .policy(policy)
            .clock(Arc::new(self.clock.clone()))
            .steps(steps)
            .options(self.options.clone())
            .repos_dir(self.dir.path().join("repos"))
            .build()
            .unwrap()
    }

    pub(crate) fn gitsync(&self) -> GitSync {
        self.engine(Arc::new(NoSteps))
    }

    /// Makes a repository: a mirror of the upstream, or an empty one.
    pub(crate) async fn create(&self, is_mirror: bool) -> RepositoryId {
        let gitsync = self.gitsync();
        let organisation = gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let source = is_mirror.then(|| self.upstream.file_source());
        let wish = CreateRepository { name: "it".into(), source, ..CreateRepository::default() };
        let (repository, _) = gitsync.create_repository(organisation.id, wish).await.unwrap();
        self.work().await;
        repository.id
    }

    /// Does what is due.
    pub(crate) async fn work(&self) {
        self.gitsync().worker().run_until_idle().await.unwrap();
    }

    /// Does what is due once the leases of who died are over.
    pub(crate) async fn recover(&self) {
        self.clock.advance(LONG_ENOUGH);
        self.work().await;
    }

    /// Does what was requested, and returns the task as it ended.
    pub(crate) async fn done(&self, requested: gitsync_core::Result<SyncTask>) -> SyncTask {
        let task = requested.unwrap();
        self.work().await;
        self.gitsync().task(task.id).await.unwrap()
    }

    pub(crate) async fn sync(&self, id: RepositoryId) -> SyncTask {
        self.done(self.gitsync().sync(id).await).await
    }

    pub(crate) async fn verify(&self, id: RepositoryId) -> SyncTask {
        self.done(self.gitsync().verify_repository(id).await).await
    }

    pub(crate) async fn repository(&self, id: RepositoryId) -> Repository {
        self.gitsync().repository(id).await.unwrap()
    }

    /// Returns the tasks of a kind, newest first.
    pub(crate) async fn tasks(&self, kind: TaskKind) -> Vec<SyncTask> {
        let filter = TaskFilter { kind: Some(kind), ..TaskFilter::default() };
        let page = PageRequest::new(1000, None).unwrap();
        let Page { items, .. } = self.gitsync().list_tasks(&filter, &page).await.unwrap();
        items
    }

    /// Where the repository is published.
    pub(crate) fn published(&self) -> PathBuf {
        self.dir.path().join("repos/org/it")
    }

    pub(crate) fn git(&self) -> Git {
        Git::at(self.published())
    }

    /// How many directories were set aside.
    pub(crate) fn set_aside(&self) -> usize {
        fs::read_dir(self.dir.path().join("repos/.gitsync/aside")).unwrap().count()
    }

    /// Returns the packs, oldest first.
    pub(crate) fn packs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.published().join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        let mut packs: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "pack")).collect();
        packs.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        packs
    }

    /// Returns the ids that kept references hold.
    pub(crate) fn kept(&self) -> Vec<ObjectId> {
        let mut kept = self.git().ids(&["for-each-ref", "--format=%(objectname)", "refs/gitsync/kept"]);
        kept.sort();
        kept
    }
}
