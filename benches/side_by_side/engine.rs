//! The engine as an embedder has it: SQLite, gitoxide, durable in every step.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use gitsync_core::engine::{CreateRepository, EngineOptions};
use gitsync_core::model::PageRequest;
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::state::RepositoryStatus;
use gitsync_core::store::RepositoryFilter;
use gitsync_core::{GitSync, SystemClock};
use gitsync_gix::GixBackend;
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::fresh;

/// A set of mirrors in a directory of its own.
pub(crate) struct Mirrors {
    runtime: Runtime,
    gitsync: GitSync,
}

impl Mirrors {
    /// Sets up an engine that does `concurrency` tasks at once.
    pub(crate) fn new(scratch: &Path, concurrency: usize) -> Result<Self> {
        let dir = fresh(scratch)?;
        let runtime = Runtime::new()?;
        let limits = QueueLimits { host_concurrency: 16, ..QueueLimits::default() };
        let database = dir.join("gitsync.db");
        let database = runtime.block_on(SqliteStore::open(database, Arc::new(SystemClock), limits))?;
        let policy = SourcePolicy::builder().schemes([Scheme::Http]).allow_private_networks(true).build()?;
        let _guard = runtime.enter();
        let gitsync = GitSync::builder()
            .database(Arc::new(database))
            .backend(Arc::new(GixBackend::default()))
            .transport(Arc::new(NetTransport::new(policy.clone(), NetOptions::default())))
            .policy(policy)
            .repos_dir(dir.join("repos"))
            .options(EngineOptions { concurrency, ..EngineOptions::default() })
            .build()?;
        drop(_guard);
        Ok(Mirrors { runtime, gitsync })
    }

    /// Creates a mirror of each source and does all that is to be done.
    pub(crate) fn clone_all(&self, sources: &[SourceUrl]) -> Result<()> {
        self.runtime.block_on(async {
            let organisation = self.gitsync.create_organisation(&"bench".parse()?, "Bench").await?;
            // Callers do not wait for each other.
            let mut calls = JoinSet::new();
            for (number, source) in sources.iter().cloned().enumerate() {
                let gitsync = self.gitsync.clone();
                let wish = CreateRepository {
                    name: format!("r{number}"),
                    source: Some(source),
                    ..CreateRepository::default()
                };
                calls.spawn(async move { gitsync.create_repository(organisation.id, wish).await });
            }
            while let Some(call) = calls.join_next().await {
                call??;
            }
            self.work(sources.len()).await
        })
    }

    /// Syncs every mirror.
    pub(crate) fn sync_all(&self) -> Result<()> {
        self.runtime.block_on(async {
            let page = PageRequest::new(1000, None)?;
            let all = self.gitsync.list_repositories(&RepositoryFilter::default(), &page).await?.items;
            for repository in &all {
                self.gitsync.sync(repository.id).await?;
            }
            self.work(all.len()).await
        })
    }

    async fn work(&self, expected: usize) -> Result<()> {
        let done = self.gitsync.worker().run_until_idle().await?;
        ensure!(done == expected, "{done} of {expected} tasks were done");
        let filter = RepositoryFilter { status: Some(RepositoryStatus::Active), ..RepositoryFilter::default() };
        let active = self.gitsync.list_repositories(&filter, &PageRequest::new(1000, None)?).await?.items.len();
        ensure!(active == expected, "{active} of {expected} mirrors are active");
        Ok(())
    }
}
