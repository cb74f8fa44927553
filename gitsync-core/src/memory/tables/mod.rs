//! The tables of the store in memory, and what a transaction does to them.

mod catalogue;
mod credentials;
mod lists;
mod outbox;
mod prune;
mod push;
mod record;
mod requests;
mod storages;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Commit, CredentialName, ObjectId, Organisation, OrganisationId, PushTarget, RecordedRef, RefName, RefUpdate,
    Repository, RepositoryId, SealedCredential, StorageName, StorageRecord, SyncTask, TaskId,
};
use crate::rules::Unfinished;
use crate::state::TaskStatus;
use crate::store::MAX_STORE_BATCH;

/// All that the store holds.
#[derive(Debug, Default)]
pub(super) struct Tables {
    organisations: BTreeMap<OrganisationId, Organisation>,
    credentials: BTreeMap<(OrganisationId, CredentialName), SealedCredential>,
    repositories: BTreeMap<RepositoryId, RepositoryRow>,
    tasks: BTreeMap<TaskId, SyncTask>,
    /// The deletions of repositories that are gone.
    tombstones: BTreeMap<TaskId, SyncTask>,
    ref_updates: BTreeMap<i64, RefUpdate>,
    storages: BTreeMap<StorageName, StorageRecord>,
    /// The highest ids given away. They are not given again when their rows are gone.
    last_organisation: i32,
    last_repository: i32,
    last_ref_update: i64,
}

/// A repository and what was recorded of it.
#[derive(Debug)]
pub(super) struct RepositoryRow {
    pub(super) repository: Repository,
    pub(super) refs: BTreeMap<RefName, RecordedRef>,
    commits: BTreeMap<ObjectId, CommitRow>,
    baseline_digest: Option<[u8; 32]>,
    policy_digest: Option<[u8; 32]>,
    /// By their addresses as text, which is how they are sorted.
    targets: BTreeMap<String, PushTarget>,
}

impl RepositoryRow {
    pub(super) fn push_targets(&self) -> Vec<PushTarget> {
        self.targets.values().cloned().collect()
    }
}

#[derive(Debug)]
struct CommitRow {
    commit: Commit,
    /// The fence of the start that last recorded it.
    recorded_by: i64,
    /// When the last branch or tag that reached it was gone.
    orphaned_at: Option<Timestamp>,
}

impl Tables {
    /// Returns a repository, also one that is being deleted.
    pub(super) fn row(&self, id: RepositoryId) -> Result<&RepositoryRow> {
        self.repositories.get(&id).ok_or_else(|| no_repository(id))
    }

    fn row_mut(&mut self, id: RepositoryId) -> Result<&mut RepositoryRow> {
        self.repositories.get_mut(&id).ok_or_else(|| no_repository(id))
    }

    /// Returns a repository that is not being deleted.
    pub(super) fn visible(&self, id: RepositoryId) -> Result<&RepositoryRow> {
        let row = self.row(id)?;
        if row.repository.deleted_at.is_some() { Err(no_repository(id)) } else { Ok(row) }
    }

    fn task(&self, id: TaskId) -> Result<&SyncTask> {
        self.tasks.get(&id).ok_or_else(|| no_task(id))
    }

    pub(super) fn task_or_tombstone(&self, id: TaskId) -> Result<&SyncTask> {
        self.tasks.get(&id).or_else(|| self.tombstones.get(&id)).ok_or_else(|| no_task(id))
    }

    pub(super) fn tasks(&self, ids: &[TaskId]) -> Result<Vec<SyncTask>> {
        check_batch(ids.len())?;
        let unique: BTreeSet<_> = ids.iter().collect();
        Ok(unique.into_iter().filter_map(|id| self.task_or_tombstone(*id).ok().cloned()).collect())
    }

    fn has_task(&self, id: TaskId) -> bool {
        self.task_or_tombstone(id).is_ok()
    }

    fn unfinished(&self, repository: RepositoryId) -> Unfinished<'_> {
        let find = |status| self.tasks.values().find(|task| task.repository == repository && task.status == status);
        Unfinished { pending: find(TaskStatus::Pending), running: find(TaskStatus::Running) }
    }

    /// Writes rows that a rule returned; what is not given stays.
    fn write<'a>(&mut self, repository: Repository, tasks: impl IntoIterator<Item = &'a SyncTask>) -> Result<()> {
        let id = repository.id;
        self.row_mut(id)?.repository = repository;
        self.tasks.extend(tasks.into_iter().map(|task| (task.id, task.clone())));
        Ok(())
    }
}

fn no_repository(id: RepositoryId) -> Error {
    Error::new(ErrorKind::NotFound, "the repository does not exist").with("repository", id)
}

fn no_task(id: TaskId) -> Error {
    Error::new(ErrorKind::NotFound, "the task does not exist").with("task", id)
}

fn check_batch(len: usize) -> Result<()> {
    if len <= MAX_STORE_BATCH {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("a call takes at most {MAX_STORE_BATCH} rows")).with("given", len))
}
