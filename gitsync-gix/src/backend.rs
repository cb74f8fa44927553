//! The engine as the core sees it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use gitsync_core::backend::{
    Advertisement, CallContext, Capabilities, CommitStream, CommitWalk, FetchRequest, Fetched, InitOptions, LocalRefs,
    PublishPermit, RefTransaction, Resolved,
};
use gitsync_core::blocking::BlockingPool;
use gitsync_core::model::ObjectId;
use gitsync_core::source::SourceUrl;
use gitsync_core::{GitBackend, Result};
use gitsync_repository::upstream::{Call, Remembered};
use gitsync_repository::{Graph, init, refs, resolve, walk};

use crate::fetch::fetch;
use crate::fresh::FreshPacks;
use crate::open::open;
use crate::options::GixOptions;
use crate::remote;

/// The [`GitBackend`] on gitoxide. Clones share their threads.
#[derive(Clone, Debug)]
pub struct GixBackend {
    options: Arc<GixOptions>,
    pool: BlockingPool,
    remembered: Arc<Remembered>,
}

impl GixBackend {
    /// Creates an engine. It starts its threads as they are needed, on the runtime that calls it.
    pub fn new(options: GixOptions) -> Self {
        let pool = BlockingPool::new(options.blocking_threads);
        GixBackend { options: Arc::new(options), pool, remembered: Arc::default() }
    }

    /// Returns how many threads are still at work on calls that nobody waits for any more.
    pub fn abandoned_threads(&self) -> usize {
        self.pool.abandoned()
    }
}

impl Default for GixBackend {
    fn default() -> Self {
        GixBackend::new(GixOptions::default())
    }
}

#[async_trait]
impl GitBackend for GixBackend {
    fn name(&self) -> &'static str {
        "gix"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.sha256 = true;
        capabilities.unborn_head = true;
        capabilities
    }

    async fn init(&self, dir: &Path, options: &InitOptions) -> Result<()> {
        let (dir, options) = (dir.to_owned(), options.clone());
        self.pool.run(move || init(&dir, &options)).await
    }

    async fn list_remote(&self, source: &SourceUrl, context: &CallContext) -> Result<Advertisement> {
        let (source, context, engine) = (source.clone(), context.clone(), self.clone());
        let limits = context.limits.clone();
        let list = move |limits: &_| {
            let call = Call::new(&source, &context, limits);
            remote::list(&call, engine.options.list_limits(), &engine.remembered)
        };
        self.pool.run_within(&limits, list).await
    }

    async fn fetch(&self, dir: &Path, request: &FetchRequest, context: &CallContext) -> Result<Fetched> {
        let (dir, request, context, engine) = (dir.to_owned(), request.clone(), context.clone(), self.clone());
        let limits = context.limits.clone();
        let fetch = move |limits: &_| {
            let repository = open(&dir)?;
            let call = Call::new(&request.source, &context, limits);
            fetch(&repository, &request, &call, &*context.progress, &engine.options, &engine.remembered)
        };
        self.pool.run_within(&limits, fetch).await
    }

    async fn read_refs(&self, dir: &Path) -> Result<LocalRefs> {
        let dir = dir.to_owned();
        self.pool.run(move || refs::read(&open(&dir)?)).await
    }

    async fn update_refs(&self, dir: &Path, change: RefTransaction, permit: Box<dyn PublishPermit>) -> Result<()> {
        let dir = dir.to_owned();
        let apply = move || {
            // Held until the work has really ended, whoever may still wait for it.
            let permit = permit;
            let applied = refs::apply(&open(&dir)?, &change, permit.durability())?;
            if !applied.raced.is_empty() {
                // What is there is not what was planned, and is recorded as if it were until the next sync sees it.
                let count = applied.raced.len();
                tracing::warn!(count, directory = %dir.display(), "somebody created references while they were changed");
            }
            Ok(())
        };
        self.pool.run(apply).await
    }

    async fn resolve(&self, dir: &Path, ids: &[ObjectId]) -> Result<Vec<Resolved>> {
        let (dir, ids) = (dir.to_owned(), ids.to_vec());
        let resolve_all = move || {
            let repository = open(&dir)?;
            ids.iter().map(|id| resolve(&repository, id)).collect()
        };
        self.pool.run(resolve_all).await
    }

    async fn is_ancestor(
        &self,
        dir: &Path,
        pairs: &[(ObjectId, ObjectId)],
        context: &CallContext,
    ) -> Result<Vec<bool>> {
        let (dir, pairs) = (dir.to_owned(), pairs.to_vec());
        let answer = move |limits: &_| {
            let repository = open(&dir)?;
            let mut graph = Graph::new(&repository, limits);
            pairs.iter().map(|(old, new)| graph.is_ancestor(old, new)).collect()
        };
        self.pool.run_within(&context.limits, answer).await
    }

    async fn walk_commits(&self, dir: &Path, request: CommitWalk, context: &CallContext) -> Result<CommitStream> {
        let dir = dir.to_owned();
        let walk = move |limits: &_, sink: &mut gitsync_core::blocking::CommitSink| {
            let repository = open(&dir)?;
            let fresh = FreshPacks::open(&repository, &request.fresh_packs)?;
            walk(&repository, &request, &|id| fresh.contains(id), limits, &mut |commit| Ok(sink.push(commit)))
        };
        self.pool.walk(&context.limits, self.options.batch, walk).await
    }
}
