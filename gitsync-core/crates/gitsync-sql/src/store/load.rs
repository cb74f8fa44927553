//! Single records.

use std::collections::BTreeSet;

use gitsync_core::model::{OrganisationId, RecordedRef, Repository, RepositoryId, RepositoryName, SyncTask, TaskId};
use gitsync_core::rules::Unfinished;
use gitsync_core::state::TaskStatus;
use gitsync_core::{Error, ErrorKind, Result};

use super::{check_batch, fetch_optional, read_all};
use crate::rows::repository::Digests;
use crate::statements::{chunks, refs, repositories, tasks};
use crate::{Connection, rows};

/// See [`Store::repository`](gitsync_core::Store::repository).
pub async fn repository(connection: &mut dyn Connection, id: RepositoryId) -> Result<Repository> {
    let repository = also_deleted(connection, id).await?;
    if repository.deleted_at.is_some() {
        return Err(no_repository(id));
    }
    Ok(repository)
}

/// Returns a repository, also one that is being deleted.
async fn also_deleted(connection: &mut dyn Connection, id: RepositoryId) -> Result<Repository> {
    let statement = repositories::by_id(connection.dialect(), id)?;
    let row = fetch_optional(connection, statement).await?;
    rows::repository::read(&mut row.ok_or_else(|| no_repository(id))?)
}

/// See [`Store::repository_by_name`](gitsync_core::Store::repository_by_name).
pub async fn repository_by_name(
    connection: &mut dyn Connection,
    organisation: OrganisationId,
    name: &RepositoryName,
) -> Result<Repository> {
    let statement = repositories::by_name(connection.dialect(), organisation, name)?;
    let missing = || {
        Error::new(ErrorKind::NotFound, "the repository does not exist")
            .with("organisation", organisation)
            .with("name", name)
    };
    rows::repository::read(&mut fetch_optional(connection, statement).await?.ok_or_else(missing)?)
}

/// See [`Store::task`](gitsync_core::Store::task).
pub async fn task(connection: &mut dyn Connection, id: TaskId) -> Result<SyncTask> {
    find_task(connection, id).await?.ok_or_else(|| no_task(id))
}

/// See [`Store::tasks`](gitsync_core::Store::tasks).
pub async fn tasks(connection: &mut dyn Connection, ids: &[TaskId]) -> Result<Vec<SyncTask>> {
    check_batch(ids.len())?;
    let unique: Vec<_> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let mut found = Vec::with_capacity(unique.len());
    for ids in chunks(connection.dialect(), &unique) {
        let statement = tasks::by_ids(connection.dialect(), ids)?;
        found.extend(read_all(connection.fetch(statement).await?, rows::task::read)?);
    }
    Ok(found)
}

/// See [`Store::baseline`](gitsync_core::Store::baseline).
pub async fn baseline(connection: &mut dyn Connection, id: RepositoryId) -> Result<Vec<RecordedRef>> {
    also_deleted(connection, id).await?;
    let statement = refs::all(connection.dialect(), id)?;
    read_all(connection.fetch(statement).await?, rows::recorded_ref::read)
}

pub(super) async fn find_task(connection: &mut dyn Connection, id: TaskId) -> Result<Option<SyncTask>> {
    let statement = tasks::by_id(connection.dialect(), id)?;
    fetch_optional(connection, statement).await?.map(|mut row| rows::task::read(&mut row)).transpose()
}

/// Returns a repository, also one that is being deleted, and keeps it from others until the transaction ends. It is always
/// the first row that is locked: the tasks of a repository change only under its lock.
pub(super) async fn lock(connection: &mut dyn Connection, id: RepositoryId) -> Result<Option<(Repository, Digests)>> {
    let statement = repositories::lock(connection.dialect(), id)?;
    let Some(mut row) = fetch_optional(connection, statement).await? else { return Ok(None) };
    let digests = rows::repository::read_digests(&mut row)?;
    Ok(Some((rows::repository::read(&mut row)?, digests)))
}

pub(super) async fn lock_existing(connection: &mut dyn Connection, id: RepositoryId) -> Result<Repository> {
    lock(connection, id).await?.map(|(repository, _)| repository).ok_or_else(|| no_repository(id))
}

/// The unfinished tasks of one repository, owned.
#[derive(Debug, Default)]
pub(super) struct UnfinishedTasks {
    pub(super) pending: Option<SyncTask>,
    pub(super) running: Option<SyncTask>,
}

impl UnfinishedTasks {
    pub(super) fn as_ref(&self) -> Unfinished<'_> {
        Unfinished { pending: self.pending.as_ref(), running: self.running.as_ref() }
    }

    pub(super) fn add(&mut self, task: SyncTask) {
        match task.status {
            TaskStatus::Running => self.running = Some(task),
            _ => self.pending = Some(task),
        }
    }
}

pub(super) async fn unfinished(connection: &mut dyn Connection, id: RepositoryId) -> Result<UnfinishedTasks> {
    let statement = tasks::unfinished(connection.dialect(), &[id])?;
    let mut found = UnfinishedTasks::default();
    for task in read_all(connection.fetch(statement).await?, rows::task::read)? {
        found.add(task);
    }
    Ok(found)
}

/// Writes what a rule changed of a repository.
pub(super) async fn save_repository(
    connection: &mut dyn Connection,
    before: &Repository,
    after: &Repository,
) -> Result<()> {
    let Some(update) = repositories::update(connection.dialect(), before, after)? else { return Ok(()) };
    if connection.execute(update).await? == 0 {
        return Err(
            Error::new(ErrorKind::Conflict, "the repository was changed meanwhile").with("repository", before.id)
        );
    }
    Ok(())
}

/// Writes what a rule changed of a task.
pub(super) async fn save_task(connection: &mut dyn Connection, before: &SyncTask, after: &SyncTask) -> Result<()> {
    if let Some(update) = tasks::update(connection.dialect(), before, after)? {
        connection.execute(update).await?;
    }
    Ok(())
}

pub(super) fn no_repository(id: RepositoryId) -> Error {
    Error::new(ErrorKind::NotFound, "the repository does not exist").with("repository", id)
}

pub(super) fn no_task(id: TaskId) -> Error {
    Error::new(ErrorKind::NotFound, "the task does not exist").with("task", id)
}
