//! An engine on real files, and an upstream for it.

use std::path::PathBuf;
use std::sync::Arc;

use gitsync_core::engine::{CreateRepository, EngineOptions};
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{Repository, RepositoryId, SyncTask, TaskId};
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::state::TaskStatus;
use gitsync_core::testing::{Git, ManualClock, Upstream};
use gitsync_core::{GitBackend, GitSync};
use gitsync_git2::{Git2Backend, Git2Options};
use gitsync_gix::{GixBackend, GixOptions};
use gitsync_transport::{NetOptions, NetTransport};

/// A git engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Gix,
    Git2,
}

impl Engine {
    pub(crate) const ALL: [Engine; 2] = [Engine::Gix, Engine::Git2];

    fn backend(self, max_listed_refs: usize) -> Arc<dyn GitBackend> {
        match self {
            Engine::Gix => {
                let mut options = GixOptions::default();
                options.max_listed_refs = max_listed_refs;
                Arc::new(GixBackend::new(options))
            }
            Engine::Git2 => {
                let mut options = Git2Options::default();
                options.max_listed_refs = max_listed_refs;
                Arc::new(Git2Backend::new(options))
            }
        }
    }
}

pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) upstream: Upstream,
    /// An upstream that nothing is cloned from yet.
    pub(crate) other: Upstream,
    pub(crate) gitsync: GitSync,
}

impl World {
    pub(crate) fn new(engine: Engine) -> Self {
        World::bounded(engine, EngineOptions::default(), 1_000)
    }

    pub(crate) fn bounded(engine: Engine, options: EngineOptions, max_listed_refs: usize) -> Self {
        let (clock, dir) = (ManualClock::default(), tempfile::tempdir().unwrap());
        let (upstream, other) = (Upstream::new(), Upstream::new());
        let policy = SourcePolicy::builder().schemes([Scheme::File]);
        let policy = policy.file_root(upstream.root()).file_root(other.root()).build().unwrap();
        let gitsync = GitSync::builder()
            .store(Arc::new(MemoryStore::new(Arc::new(clock.clone()))))
            .queue(Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default())))
            .backend(engine.backend(max_listed_refs))
            .transport(Arc::new(NetTransport::new(policy.clone(), NetOptions::default())))
            .policy(policy)
            .clock(Arc::new(clock))
            .options(options)
            .repos_dir(dir.path())
            .build()
            .unwrap();
        World { dir, upstream, other, gitsync }
    }

    /// Creates a mirror of the upstream and works on it; what else is wished for is taken over.
    pub(crate) async fn create(&self, wish: CreateRepository) -> (Repository, SyncTask) {
        let organisation = self.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let wish = CreateRepository { name: "mirror".into(), source: Some(self.upstream.file_source()), ..wish };
        let (repository, task) = self.gitsync.create_repository(organisation.id, wish).await.unwrap();
        self.work(task.id, repository.id).await
    }

    /// Works until a task is done, and returns its repository and the task.
    pub(crate) async fn work(&self, task: TaskId, id: RepositoryId) -> (Repository, SyncTask) {
        self.gitsync.worker().run_until_idle().await.unwrap();
        (self.gitsync.repository(id).await.unwrap(), self.gitsync.task(task).await.unwrap())
    }

    /// Syncs, which goes well, and returns the repository.
    pub(crate) async fn sync(&self, id: RepositoryId) -> Repository {
        let task = self.gitsync.sync(id).await.unwrap();
        let (repository, task) = self.work(task.id, id).await;
        assert_eq!((task.status, task.error), (TaskStatus::Completed, None));
        repository
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("org/mirror")
    }

    /// Git in the mirror.
    pub(crate) fn git(&self) -> Git {
        Git::at(self.dir())
    }

    /// How many directories are left in one of gitsync's own.
    pub(crate) fn remains(&self, directory: &str) -> usize {
        std::fs::read_dir(self.dir.path().join(".gitsync").join(directory)).unwrap().count()
    }
}
