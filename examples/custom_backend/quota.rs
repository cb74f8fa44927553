//! A git engine that lets no repository grow beyond a size.
//!
//! It wraps another engine and looks at one call, the only one that brings anything in; `backend_suite!` tells whether
//! what comes out is still an engine.

use std::path::Path;

use async_trait::async_trait;
use gitsync_core::backend::{
    Advertisement, CallContext, Capabilities, Checkout, CommitStream, CommitWalk, FetchRequest, Fetched, GitBackend,
    InitOptions, LocalRefs, PublishPermit, PushPermit, PushRequest, Pushed, RefTransaction, Resolved,
};
use gitsync_core::blocking::BlockingPool;
use gitsync_core::model::ObjectId;
use gitsync_core::source::SourceUrl;
use gitsync_core::{Error, ErrorKind, Result};

/// An engine with a quota for each repository.
#[derive(Debug)]
pub(crate) struct Quota<E> {
    engine: E,
    bytes: u64,
    /// Directories are read on threads that may block, a few at a time.
    threads: BlockingPool,
}

impl<E> Quota<E> {
    /// Wraps an engine; a repository may have this many bytes on disk.
    pub(crate) fn new(engine: E, bytes: u64) -> Self {
        Quota { engine, bytes, threads: BlockingPool::new(2) }
    }
}

#[async_trait]
impl<E: GitBackend> GitBackend for Quota<E> {
    async fn fetch(&self, dir: &Path, request: &FetchRequest, context: &CallContext) -> Result<Fetched> {
        let repository = dir.to_owned();
        let used = self.threads.run(move || Ok(size_of(&repository)?)).await?;
        let left = self.bytes.saturating_sub(used);
        let bounded = FetchRequest { max_pack_bytes: request.max_pack_bytes.min(left), ..request.clone() };
        match self.engine.fetch(dir, &bounded, context).await {
            // A failed fetch leaves nothing behind: that is part of the contract, so nothing is to be tidied up here.
            Err(error) if error.kind() == ErrorKind::LimitExceeded && left < request.max_pack_bytes => {
                Err(Error::new(ErrorKind::LimitExceeded, "the repository would outgrow its quota")
                    .with("quota", self.bytes)
                    .with("used", used)
                    .hint("raise the quota")
                    .caused_by(error))
            }
            fetched => fetched,
        }
    }

    // All else is the engine's.

    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    async fn init(&self, dir: &Path, options: &InitOptions) -> Result<()> {
        self.engine.init(dir, options).await
    }

    async fn list_remote(&self, source: &SourceUrl, context: &CallContext) -> Result<Advertisement> {
        self.engine.list_remote(source, context).await
    }

    async fn read_refs(&self, dir: &Path) -> Result<LocalRefs> {
        self.engine.read_refs(dir).await
    }

    async fn update_refs(&self, dir: &Path, change: RefTransaction, permit: Box<dyn PublishPermit>) -> Result<()> {
        self.engine.update_refs(dir, change, permit).await
    }

    async fn check_out(
        &self,
        dir: &Path,
        checkout: Checkout,
        permit: Box<dyn PublishPermit>,
        context: &CallContext,
    ) -> Result<()> {
        self.engine.check_out(dir, checkout, permit, context).await
    }

    async fn recover_checkout(&self, dir: &Path, permit: Box<dyn PublishPermit>, context: &CallContext) -> Result<()> {
        self.engine.recover_checkout(dir, permit, context).await
    }

    async fn resolve(&self, dir: &Path, ids: &[ObjectId]) -> Result<Vec<Resolved>> {
        self.engine.resolve(dir, ids).await
    }

    async fn is_ancestor(
        &self,
        dir: &Path,
        pairs: &[(ObjectId, ObjectId)],
        context: &CallContext,
    ) -> Result<Vec<bool>> {
        self.engine.is_ancestor(dir, pairs, context).await
    }

    async fn walk_commits(&self, dir: &Path, walk: CommitWalk, context: &CallContext) -> Result<CommitStream> {
        self.engine.walk_commits(dir, walk, context).await
    }

    async fn push_mirror(
        &self,
        dir: &Path,
        request: &PushRequest,
        permit: Box<dyn PushPermit>,
        context: &CallContext,
    ) -> Result<Pushed> {
        self.engine.push_mirror(dir, request, permit, context).await
    }
}

/// Adds up the files of a repository. One that is not there has none: the engine says so better.
fn size_of(dir: &Path) -> std::io::Result<u64> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut bytes = 0;
    for entry in entries {
        let entry = entry?;
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&entry.path())?,
            Ok(metadata) => metadata.len(),
            // Somebody removed it meanwhile.
            Err(_) => 0,
        };
    }
    Ok(bytes)
}
