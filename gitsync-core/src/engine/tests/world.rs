//! An engine with everything a test can turn.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Head, LocalRefs};
use crate::engine::disk::Storage;
use crate::engine::{CreateRepository, EngineOptions, GitSync, GitSyncBuilder, NoSteps, StepHook};
use crate::memory::{MemoryQueue, MemoryStore, ScriptedBackend};
use crate::model::{Branch, Commit, ObjectId, PageRequest, RefUpdate, Repository, RepositoryId, SyncTask};
use crate::queue::QueueLimits;
use crate::source::{SourcePolicy, SourceUrl};
use crate::state::TaskStatus;
use crate::store::CommitFilter;
use crate::testing::{FaultyQueue, FaultyStore, ManualClock, Offline};

/// Longer than a lease and than every pause between attempts.
pub(super) const LONG_ENOUGH: Duration = Duration::from_secs(600);

pub(super) struct World {
    dir: tempfile::TempDir,
    pub(super) clock: ManualClock,
    pub(super) backend: ScriptedBackend,
    pub(super) store: Arc<FaultyStore>,
    pub(super) queue: Arc<FaultyQueue>,
    pub(super) gitsync: GitSync,
    pub(super) source: SourceUrl,
}

/// An empty database, in which nothing goes wrong until a test wants it.
fn database(clock: &ManualClock) -> (Arc<FaultyStore>, Arc<FaultyQueue>) {
    let store = MemoryStore::new(Arc::new(clock.clone()));
    let queue = MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default());
    (Arc::new(FaultyStore::new(Arc::new(store))), Arc::new(FaultyQueue::new(Arc::new(queue))))
}

impl World {
    pub(super) fn new() -> Self {
        let clock = ManualClock::default();
        let dir = tempfile::tempdir().unwrap();
        let backend = ScriptedBackend::new();
        let (store, queue) = database(&clock);
        let mut world = World {
            gitsync: GitSync::builder()
                .store(Arc::clone(&store) as _)
                .queue(Arc::clone(&queue) as _)
                .backend(Arc::new(backend.clone()))
                .transport(Arc::new(Offline))
                .repos_dir(dir.path())
                .build()
                .unwrap(),
            source: SourceUrl::parse("https://example.com/a.git").unwrap().url,
            dir,
            clock,
            backend,
            store,
            queue,
        };
        world.gitsync = world.engine(Arc::new(NoSteps));
        world
    }

    /// Another engine on the same database and disk, as another process would be.
    pub(super) fn engine(&self, steps: Arc<dyn StepHook>) -> GitSync {
        self.engine_with(steps, EngineOptions::default())
    }

    pub(super) fn engine_with(&self, steps: Arc<dyn StepHook>, options: EngineOptions) -> GitSync {
        let options = EngineOptions { git_program: self.git_program(), ..options };
        self.builder().steps(steps).repos_dir(self.dir.path()).options(options).build().unwrap()
    }

    /// The directory of the storage.
    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Where the git program is, if a test puts one there: to the real one the scripted repositories are none.
    pub(super) fn git_program(&self) -> PathBuf {
        self.dir.path().join("git-program")
    }

    /// The parts of another engine on the same database, without a storage.
    pub(super) fn builder(&self) -> GitSyncBuilder {
        GitSync::builder()
            .store(Arc::clone(&self.store) as _)
            .queue(Arc::clone(&self.queue) as _)
            .backend(Arc::new(self.backend.clone()))
            .transport(Arc::new(Offline))
            .policy(SourcePolicy::builder().push_host("target.example").unwrap().build().unwrap())
            .clock(Arc::new(self.clock.clone()))
    }

    /// Sets a reference of the upstream.
    pub(super) fn set(&self, name: &str, id: Option<ObjectId>) {
        self.backend.set_ref(&self.source, name, id).unwrap();
    }

    /// Makes an upstream with a line of commits on `main` and returns them, oldest first.
    pub(super) fn upstream(&self, commits: usize) -> Vec<ObjectId> {
        let mut line: Vec<ObjectId> = Vec::new();
        for number in 0..commits {
            let parents: Vec<_> = line.last().copied().into_iter().collect();
            line.push(self.backend.commit(&parents, &format!("commit {number}")));
        }
        self.set("refs/heads/main", line.last().copied());
        line
    }

    /// Creates a mirror of the upstream, or an empty repository; nothing has been done for it yet.
    pub(super) async fn create(&self, name: &str, has_source: bool) -> (Repository, SyncTask) {
        let slug = "org".parse().unwrap();
        let organisation = match self.gitsync.organisation_by_slug(&slug).await {
            Ok(found) => found,
            Err(_) => self.gitsync.create_organisation(&slug, "Org").await.unwrap(),
        };
        let source = has_source.then(|| self.source.clone());
        let wish = CreateRepository { name: name.to_owned(), source, ..CreateRepository::default() };
        self.gitsync.create_repository(organisation.id, wish).await.unwrap()
    }

    /// Creates a mirror and clones it.
    pub(super) async fn mirror(&self) -> Repository {
        let (repository, _) = self.create("mirror", true).await;
        self.work().await;
        let repository = self.repository(repository.id).await;
        assert_eq!(repository.error, None);
        repository
    }

    pub(super) async fn work(&self) -> usize {
        self.gitsync.worker().run_until_idle().await.unwrap()
    }

    /// Syncs now and returns the ended task.
    pub(super) async fn sync(&self, id: RepositoryId) -> SyncTask {
        let task = self.gitsync.sync(id).await.unwrap();
        self.work().await;
        self.gitsync.task(task.id).await.unwrap()
    }

    pub(super) async fn repository(&self, id: RepositoryId) -> Repository {
        self.gitsync.repository(id).await.unwrap()
    }

    pub(super) fn published(&self, repository: &Repository) -> PathBuf {
        self.dir.path().join("org").join(repository.name.as_str())
    }

    /// A world with a new database on the same disk.
    pub(super) fn with_new_database(self) -> Self {
        let (store, queue) = database(&self.clock);
        let mut world = World { store, queue, ..self };
        world.gitsync = world.engine(Arc::new(NoSteps));
        world
    }

    /// What is left in a directory of gitsync's own, such as `tmp`.
    pub(super) fn remains(&self, directory: &str) -> usize {
        std::fs::read_dir(self.dir.path().join(".gitsync").join(directory)).unwrap().count()
    }

    pub(super) fn storage(&self) -> Storage {
        Storage::open("default".parse().unwrap(), self.dir.path()).unwrap()
    }

    /// The one temporary directory there is.
    pub(super) fn only_temporary(&self) -> PathBuf {
        self.only_one_in("tmp")
    }

    /// The one directory that was set aside.
    pub(super) fn set_aside(&self) -> PathBuf {
        self.only_one_in("aside")
    }

    fn only_one_in(&self, directory: &str) -> PathBuf {
        let entries = std::fs::read_dir(self.dir.path().join(".gitsync").join(directory)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(paths.len(), 1, "{paths:?}");
        paths.remove(0)
    }

    /// Names and ids of all references on disk, ours too.
    pub(super) async fn refs_on_disk(&self, repository: &Repository) -> Vec<(String, ObjectId)> {
        use crate::backend::GitBackend;
        let local = self.backend.read_refs(&self.published(repository)).await.unwrap();
        local.refs.into_iter().map(|(name, id)| (name.to_string(), id)).collect()
    }

    pub(super) async fn kept_on_disk(&self, repository: &Repository) -> Vec<ObjectId> {
        let refs = self.refs_on_disk(repository).await;
        let kept = refs.into_iter().filter(|(name, _)| name.starts_with("refs/gitsync/kept/"));
        let mut kept: Vec<_> = kept.map(|(_, id)| id).collect();
        kept.sort();
        kept
    }

    pub(super) async fn branches(&self, id: RepositoryId) -> Vec<Branch> {
        self.gitsync.list_branches(id, &PageRequest::new(1000, None).unwrap()).await.unwrap().items
    }

    pub(super) async fn commits(&self, id: RepositoryId, include_orphaned: bool) -> Vec<Commit> {
        let filter = CommitFilter { include_orphaned, ..CommitFilter::default() };
        self.gitsync.list_commits(id, &filter, &PageRequest::new(1000, None).unwrap()).await.unwrap().items
    }

    /// The log, oldest first.
    pub(super) async fn updates(&self, id: RepositoryId) -> Vec<RefUpdate> {
        let page = self.gitsync.list_ref_updates(id, &PageRequest::new(1000, None).unwrap()).await.unwrap();
        page.items.into_iter().rev().collect()
    }

    /// Checks that the records say what is on disk, and that disk says what upstream does.
    pub(super) async fn check_books(&self, id: RepositoryId) {
        let local = self.check_records(id).await;
        let upstream = self.backend.upstream_refs(&self.source);
        let mirrored: Vec<_> = local.refs.into_iter().filter(|(name, _)| !name.is_reserved()).collect();
        assert_eq!(mirrored, upstream, "the mirror");
    }

    /// Checks that the records say what is on disk, and returns that.
    pub(super) async fn check_records(&self, id: RepositoryId) -> LocalRefs {
        use crate::backend::GitBackend;
        let repository = self.repository(id).await;
        let directory = self.published(&repository);
        let local = self.backend.read_refs(&directory).await.unwrap();
        let counted = self.backend.count_commits(&directory).unwrap();
        assert_eq!(usize::try_from(repository.total_commits).unwrap(), counted, "total_commits");
        assert_eq!(self.commits(id, false).await.len(), counted, "commit rows");
        let heads: Vec<_> = local.refs.iter().filter(|(name, _)| name.is_branch()).cloned().collect();
        let recorded: Vec<_> = self.branches(id).await.into_iter().map(|b| (b.name, b.commit)).collect();
        assert_eq!(recorded, heads, "branches");
        let history = local.refs.iter().filter(|(name, _)| name.is_branch() || name.is_tag()).count();
        assert_eq!(usize::try_from(repository.recorded_refs).unwrap(), history, "recorded refs");
        let (branch, commit) = match &local.head {
            Head::Branch(name) => {
                let at = local.refs.iter().find(|(found, _)| found == name).map(|(_, id)| *id);
                (Some(name.clone()), at)
            }
            Head::Detached(id) => (None, Some(*id)),
        };
        assert_eq!((repository.default_branch, repository.last_commit), (branch, commit), "HEAD");
        local
    }
}

pub(super) fn is_done(task: &SyncTask) -> bool {
    task.status == TaskStatus::Completed
}
