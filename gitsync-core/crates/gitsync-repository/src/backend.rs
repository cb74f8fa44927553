//! An engine as the core sees it.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use gitsync_core::backend::{
    Advertisement, CallContext, Capabilities, Checkout, CommitStream, CommitWalk, FetchRequest, Fetched, InitOptions,
    LocalRefs, PublishPermit, PushPermit, PushRequest, Pushed, RefTransaction, Resolved,
};
use gitsync_core::blocking::{BlockingPool, CommitSink};
use gitsync_core::model::ObjectId;
use gitsync_core::source::SourceUrl;
use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, GitBackend, Result};

use crate::engine::Engine;
use crate::graph::Graph;
use crate::init::init;
use crate::peel::resolve;
use crate::push::push;
use crate::refs::{self, Applied};
use crate::repository::require_sha1;
use crate::upstream::{Call, Remembered};
use crate::walk::walk;
use crate::worktree;

/// The [`GitBackend`] on an [`Engine`]. Clones share their threads.
#[derive(Debug)]
pub struct Backend<E> {
    engine: Arc<E>,
    pool: BlockingPool,
    remembered: Arc<Remembered>,
}

impl<E: Engine> Backend<E> {
    /// Creates a backend. It starts its threads as they are needed, on the runtime that calls it.
    pub fn new(options: E::Options) -> Self {
        let engine = E::new(options);
        let pool = BlockingPool::new(engine.blocking_threads());
        Backend { engine: Arc::new(engine), pool, remembered: Arc::default() }
    }

    /// Returns how many threads are still at work on calls that nobody waits for any more.
    pub fn abandoned_threads(&self) -> usize {
        self.pool.abandoned()
    }
}

impl<E: Engine> Default for Backend<E> {
    fn default() -> Self {
        Backend::new(E::Options::default())
    }
}

impl<E> Clone for Backend<E> {
    fn clone(&self) -> Self {
        Backend { engine: Arc::clone(&self.engine), pool: self.pool.clone(), remembered: Arc::clone(&self.remembered) }
    }
}

#[async_trait]
impl<E: Engine> GitBackend for Backend<E> {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    async fn init(&self, dir: &Path, options: &InitOptions) -> Result<()> {
        if !self.capabilities().sha256 {
            require_sha1(options.format)?;
        }
        let (dir, options) = (dir.to_owned(), options.clone());
        self.pool.run(move || init(&dir, &options)).await
    }

    async fn list_remote(&self, source: &SourceUrl, context: &CallContext) -> Result<Advertisement> {
        let (source, context, this) = (source.clone(), context.clone(), self.clone());
        let limits = context.limits.clone();
        let list = move |limits: &CallLimits| {
            let call = Call::new(&source, &context, limits);
            this.engine.list(&call, &this.remembered).map_err(|error| without_secrets(error, &call))
        };
        self.pool.run_within(&limits, list).await
    }

    async fn fetch(&self, dir: &Path, request: &FetchRequest, context: &CallContext) -> Result<Fetched> {
        let (dir, request, context, this) = (dir.to_owned(), request.clone(), context.clone(), self.clone());
        let limits = context.limits.clone();
        let fetch = move |limits: &CallLimits| {
            let repository = this.engine.open(&dir)?;
            let call = Call::new(&request.source, &context, limits);
            let fetched = this.engine.fetch(&repository, &request, &call, &*context.progress, &this.remembered);
            let mut fetched = fetched.map_err(|error| without_secrets(error, &call))?;
            if fetched.shallow.is_some() {
                // What lies behind commits that were there may have come now.
                fetched.packs.clear();
            }
            Ok(fetched)
        };
        self.pool.run_within(&limits, fetch).await
    }

    async fn read_refs(&self, dir: &Path) -> Result<LocalRefs> {
        let (dir, engine) = (dir.to_owned(), Arc::clone(&self.engine));
        self.pool.run(move || refs::read(&engine.open(&dir)?)).await
    }

    async fn update_refs(&self, dir: &Path, change: RefTransaction, permit: Box<dyn PublishPermit>) -> Result<()> {
        let (dir, engine) = (dir.to_owned(), Arc::clone(&self.engine));
        let apply = move || {
            // Held until the work has really ended, whoever may still wait for it.
            let permit = permit;
            let applied = refs::apply(&engine.open(&dir)?, &change, permit.durability())?;
            tell_of_raced(&applied, &dir);
            Ok(())
        };
        self.pool.run(apply).await
    }

    async fn check_out(
        &self,
        dir: &Path,
        checkout: Checkout,
        permit: Box<dyn PublishPermit>,
        context: &CallContext,
    ) -> Result<()> {
        let (dir, engine) = (dir.to_owned(), Arc::clone(&self.engine));
        let check_out = move |limits: &CallLimits| {
            let permit = permit;
            let applied = worktree::check_out(&*engine, &engine.open(&dir)?, &checkout, limits, permit.durability())?;
            tell_of_raced(&applied, &dir);
            Ok(())
        };
        self.pool.run_within(&context.limits, check_out).await
    }

    async fn recover_checkout(&self, dir: &Path, permit: Box<dyn PublishPermit>, context: &CallContext) -> Result<()> {
        let (dir, engine) = (dir.to_owned(), Arc::clone(&self.engine));
        let recover = move |limits: &CallLimits| {
            let permit = permit;
            worktree::recover(&*engine, &engine.open(&dir)?, limits, permit.durability())
        };
        self.pool.run_within(&context.limits, recover).await
    }

    async fn resolve(&self, dir: &Path, ids: &[ObjectId]) -> Result<Vec<Resolved>> {
        let (dir, ids, engine) = (dir.to_owned(), ids.to_vec(), Arc::clone(&self.engine));
        let resolve_all = move || {
            let repository = engine.open(&dir)?;
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
        let (dir, pairs, engine) = (dir.to_owned(), pairs.to_vec(), Arc::clone(&self.engine));
        let answer = move |limits: &CallLimits| {
            let repository = engine.open(&dir)?;
            let mut graph = Graph::beyond_boundary(&repository, limits);
            pairs.iter().map(|(old, new)| graph.is_ancestor(old, new)).collect()
        };
        self.pool.run_within(&context.limits, answer).await
    }

    async fn walk_commits(&self, dir: &Path, request: CommitWalk, context: &CallContext) -> Result<CommitStream> {
        let (dir, engine) = (dir.to_owned(), Arc::clone(&self.engine));
        let walk = move |limits: &CallLimits, sink: &mut CommitSink| {
            let repository = engine.open(&dir)?;
            walk(&repository, &request, limits, &mut |commit| Ok(sink.push(commit)))
        };
        self.pool.walk(&context.limits, self.engine.batch(), walk).await
    }

    async fn push_mirror(
        &self,
        dir: &Path,
        request: &PushRequest,
        permit: Box<dyn PushPermit>,
        context: &CallContext,
    ) -> Result<Pushed> {
        let (dir, request, context, engine) =
            (dir.to_owned(), request.clone(), context.clone(), Arc::clone(&self.engine));
        let limits = context.limits.clone();
        let push = move |limits: &CallLimits| {
            let call = Call::new(&request.target, &context, limits);
            let pushed = push(&*engine, &engine.open(&dir)?, &request, &*permit, &call);
            pushed.map_err(|error| without_secrets(error, &call))
        };
        self.pool.run_within(&limits, push).await
    }
}

/// What an upstream says may be anywhere in an error, such as in the name of a reference.
fn without_secrets(error: Error, call: &Call) -> Error {
    error.hiding(|text| call.transport.hide_secrets(&call.source, text))
}

/// What is there is not what was planned, and is recorded as if it were until the next sync sees it.
fn tell_of_raced(applied: &Applied, dir: &Path) {
    if !applied.raced.is_empty() {
        let count = applied.raced.len();
        tracing::warn!(count, directory = %dir.display(), "somebody created references while they were changed");
    }
}
