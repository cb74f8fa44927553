//! One attempt at a task: what each kind does, step by step.

mod carry;
mod clone;
mod delete;
mod initialize;
mod local;
mod maintain;
mod progress;
mod push;
mod record;
mod sync;
mod upstream;
mod verify;
mod worktree;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

#[cfg(test)]
pub(super) use self::delete::PURGE_CHUNK;
use self::local::remove_temporaries_of;
use self::progress::ProgressReporter;
#[cfg(test)]
pub(super) use self::record::ORPHAN_CHUNK;
pub(super) use self::upstream::is_same_server;
use super::disk::{
    DiskFence, FenceGuard, Storage, git_directory, remove_stale_locks, remove_unfinished_packs, replay_journal,
};
use super::parts::{Parts, blocking};
use super::store_time::StoreTime;
use crate::backend::{CallContext, GitBackend};
use crate::cancel::Cancellation;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Depth, Layout, Progress, TaskKind};
use crate::plan::{MirrorKind, RefMapping};
use crate::rules::Completion;
use crate::store::{Recording, StartedWork};
use crate::transport::{CallLimits, Transport};

/// What a completed attempt has to be finished with.
#[derive(Debug)]
pub(crate) enum Done {
    /// The books of the repository.
    Books(Box<Completion>, Recording),
    /// Nothing: what is recorded of the repository is as true as it was.
    Upkeep,
    /// The repository is gone, and its rows with it.
    Purged,
}

/// One attempt at a task that was started.
pub(crate) struct Attempt {
    parts: Arc<Parts>,
    started: StartedWork,
    time: StoreTime,
    storage: Storage,
    fence: DiskFence,
    published: PathBuf,
    context: CallContext,
    progress: Arc<ProgressReporter>,
}

impl Attempt {
    /// Prepares an attempt.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if this process does not serve the storage.
    pub(crate) fn new(
        parts: Arc<Parts>,
        started: StartedWork,
        transport: Arc<dyn Transport>,
        time: StoreTime,
        cancellation: Cancellation,
    ) -> Result<Self> {
        let storage = parts.storage(&started.repository.storage)?.clone();
        let progress = Arc::new(ProgressReporter::new());
        let limits = CallLimits {
            cancellation,
            deadline: Instant::now() + parts.options.task_time_limit,
            max_response_bytes: parts.options.max_response_bytes,
        };
        Ok(Attempt {
            fence: storage.fence(started.repository.id),
            published: storage.published(&started.repository, &started.organisation),
            context: CallContext { transport, limits, progress: Arc::clone(&progress) as _ },
            parts,
            started,
            time,
            storage,
            progress,
        })
    }

    /// Does what the task says, reporting progress meanwhile. Returns what it is to be finished with, and when push targets
    /// may be tried again that lack something.
    pub(crate) async fn run(&self) -> Result<(Done, Option<Timestamp>)> {
        let work = async {
            self.take_over().await?;
            let done = match self.started.task.kind {
                TaskKind::Initialize => self.initialize().await,
                TaskKind::Migrate => self.migrate().await,
                TaskKind::Sync => self.sync().await,
                TaskKind::Delete => self.delete().await,
                TaskKind::Maintain => self.maintain().await,
            }?;
            let mut push_again_at = None;
            if let Done::Books(books, _) = &done {
                self.verify_after_work().await?;
                push_again_at = self.push(books.source.as_ref()).await?;
                self.request_upkeep(books).await;
            }
            Ok((done, push_again_at))
        };
        tokio::select! {
            done = work => done,
            never = self.progress.report(&self.parts, self.started.work) => never,
        }
    }

    /// Raises the fence on disk, so that nothing an earlier worker still does here is published, and ends what a crash
    /// left half-done.
    async fn take_over(&self) -> Result<()> {
        let (fence, number) = (self.fence.clone(), self.started.work.fence);
        let (storage, repository) = (self.storage.clone(), self.started.repository.id);
        let (published, task) = (self.published.clone(), self.started.task.id);
        let taken = blocking(move || {
            fence.raise(number)?;
            let permit = fence.hold(number)?;
            replay_journal(&permit, &storage, repository)?;
            remove_temporaries_of(&storage, task)?;
            remove_stale_locks(&permit, &published)?;
            remove_unfinished_packs(&permit, &published)
        })
        .await;
        match taken {
            Err(error) if error.kind() == ErrorKind::LeaseLost => Err(self.explain_higher_fence(error).await?),
            taken => taken,
        }?;
        self.step("taken over").await
    }

    /// Tells apart why the fence on disk is higher than ours: if the store still takes what we write, no other worker has
    /// the repository, and the disk is ahead of the database.
    async fn explain_higher_fence(&self, error: Error) -> Result<Error> {
        self.parts.store.report_progress(self.started.work, &Progress::default()).await?;
        Ok(Error::new(
            ErrorKind::Conflict,
            "the storage was used with another database, or with a later state of this one",
        )
        .hint("use a new directory, or remove .gitsync/fence below the storage root while no process uses it")
        .caused_by(error))
    }

    /// Takes the right to publish: local file work only while it is held.
    async fn permit(&self) -> Result<FenceGuard> {
        let (fence, number) = (self.fence.clone(), self.started.work.fence);
        blocking(move || fence.hold(number)).await
    }

    /// Returns where git has the repository.
    fn git_dir(&self) -> PathBuf {
        git_directory(&self.published)
    }

    /// Marks a place where the process may die, and stops if the task is to stop.
    async fn step(&self, name: &'static str) -> Result<()> {
        self.parts.steps.reached(name).await;
        self.context.limits.check()
    }

    /// Returns how much of upstream's history the repository takes.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the git engine cannot do that.
    fn depth(&self) -> Result<Option<Depth>> {
        let depth = self.started.repository.depth;
        check_depth(depth, &*self.parts.backend)?;
        Ok(depth)
    }

    /// Returns which references the repository takes from upstream.
    fn mapping(&self) -> RefMapping {
        let kind = match self.started.repository.layout {
            Layout::Mirror => MirrorKind::Mirror,
            Layout::Bare => MirrorKind::Bare,
            Layout::Regular => MirrorKind::Regular,
        };
        RefMapping { kind, exclude: self.started.repository.exclude_refs.clone() }
    }
}

/// Refuses a depth that the git engine cannot fetch: never is a whole history taken in its place.
pub(super) fn check_depth(depth: Option<Depth>, backend: &dyn GitBackend) -> Result<()> {
    if depth.is_none() || backend.capabilities().shallow {
        return Ok(());
    }
    let error = unsupported("this git engine fetches whole histories only").in_field("depth");
    Err(error.with("engine", backend.name()).hint("leave the depth out, or use another engine"))
}

fn unsupported(message: &str) -> Error {
    Error::new(ErrorKind::Unsupported, message)
}
