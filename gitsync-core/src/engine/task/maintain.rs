//! Upkeep: few packs, an index over all of them, and a graph of the commits, by the git program.
//!
//! Packs are put together so that each is at least twice as large as the next smaller one, which costs little each time: the
//! large ones are hardly ever written again. All objects stay, also those that nothing leads to.

use super::{Attempt, Done};
use crate::engine::disk::{Occupant, count_packs};
use crate::engine::git_program::{Ended, GitCall, Version};
use crate::engine::parts::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{TaskId, TaskKind, TaskParameters};
use crate::rules::{Completion, Request, needs_upkeep};

impl Attempt {
    /// Does the upkeep, after a check if one was asked for: what is broken is left as it is.
    pub(super) async fn maintain(&self) -> Result<Done> {
        if !self.has_files().await? {
            return Ok(Done::Upkeep);
        }
        let version = self.parts.git.version(&self.context.limits).await?;
        if self.started.task.parameters.verify {
            self.verify().await?;
        }
        self.repack(version).await?;
        self.step("repacked").await?;
        self.write_commit_graph().await?;
        self.step("commit-graph written").await?;
        Ok(Done::Upkeep)
    }

    /// Requests upkeep if a task that moved something leaves too many packs. The request waits until this task has ended.
    ///
    /// Nothing that goes wrong here is worth the task; the next one that moves something asks again.
    pub(super) async fn request_upkeep(&self, books: &Completion) {
        if let Err(error) = self.request_upkeep_if_needed(books).await {
            tracing::warn!(%error, "cannot request upkeep");
        }
    }

    async fn request_upkeep_if_needed(&self, books: &Completion) -> Result<()> {
        let published = self.published.clone();
        let packs = blocking(move || count_packs(&published)).await?;
        if !needs_upkeep(books, packs, self.parts.options.max_packs) || !self.can_do_upkeep().await? {
            return Ok(());
        }
        let request =
            Request { kind: TaskKind::Maintain, parameters: TaskParameters::default(), id: TaskId::generate() };
        self.parts.store.request_task(self.started.repository.id, &request).await?;
        self.step("upkeep requested").await
    }

    /// Tells whether there is a program that does upkeep. That there is none is told once, not for each repository.
    async fn can_do_upkeep(&self) -> Result<bool> {
        match self.parts.git.version(&self.context.limits).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                self.parts.git.tell_once(&error);
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells whether there is something to look after.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if files are gone that there were.
    async fn has_files(&self) -> Result<bool> {
        match self.occupant().await? {
            Occupant::Own(_) => Ok(true),
            Occupant::Nobody if self.started.repository.recorded_refs == 0 => Ok(false),
            Occupant::Nobody | Occupant::Unmarked => {
                Err(Error::new(ErrorKind::Corrupt, "the repository's files, or its gitsync.json, are gone")
                    .hint("migrate with force to clone the repository anew"))
            }
            other => Err(other.in_the_way(&self.published)),
        }
    }

    async fn repack(&self, version: Version) -> Result<()> {
        self.progress.phase("repacking");
        let mut arguments = vec!["repack", "--geometric=2", "-d", "-q", "-n", "--no-write-bitmap-index"];
        if version >= Version::WRITES_INDEX_OF_PACKS {
            arguments.push("--write-midx");
        }
        self.change(&arguments).await
    }

    async fn write_commit_graph(&self) -> Result<()> {
        self.progress.phase("writing the commit-graph");
        self.change(&["commit-graph", "write", "--reachable", "--split", "--no-progress"]).await
    }

    /// Lets git change what is published. It holds the lock of the fence meanwhile, so that it has ended when somebody else
    /// publishes, whatever becomes of this process.
    ///
    /// Readers that were outrun may still be at work. Packs go only when all that is in them is in another one, and whoever
    /// misses an object looks for new packs before it gives up.
    async fn change(&self, arguments: &[&str]) -> Result<()> {
        let permit = self.permit().await?;
        let ended = self.git(GitCall::new(&self.git_dir(), arguments).holding(permit)).await?;
        if ended.code == 0 {
            return Ok(());
        }
        // It may be the repository's fault.
        self.verify().await?;
        Err(failed(arguments, &ended))
    }

    pub(super) async fn git(&self, call: GitCall) -> Result<Ended> {
        self.parts.git.run(call, &self.context.limits).await
    }
}

fn failed(arguments: &[&str], ended: &Ended) -> Error {
    let command = arguments.first().copied().unwrap_or_default();
    Error::new(ErrorKind::Internal, "the git program failed")
        .with("command", command)
        .with("code", ended.code)
        .with("reason", ended.complaint.trim())
}
