//! What a worker writes on behalf of its task.

use gitsync_core::model::{Commit, ObjectId, Progress, RefChange, Repository, SyncTask};
use gitsync_core::rules::{self, Outcome};
use gitsync_core::store::{Chunk, MAX_STORE_BATCH, Recording, Work};
use gitsync_core::{Error, ErrorKind, Result, Timestamp};

use super::load::{save_repository, save_task, unfinished};
use super::work::authorize;
use super::{check_batch, execute_all};
use crate::statements::{chunks, commits, log, refs, repositories, tasks};
use crate::{Connection, Dialect, Statement};

/// See [`Store::report_progress`](gitsync_core::Store::report_progress).
pub async fn report_progress(connection: &mut dyn Connection, work: Work, progress: &Progress) -> Result<()> {
    authorize(connection, work).await?;
    let update = tasks::set_progress(connection.dialect(), work.task, progress)?;
    connection.execute(update).await?;
    Ok(())
}

/// See [`Store::begin_recording`](gitsync_core::Store::begin_recording).
pub async fn begin_recording(connection: &mut dyn Connection, work: Work) -> Result<()> {
    let (before, _) = authorize(connection, work).await?;
    let after = Repository { recording: Some(work.fence), ..before.clone() };
    save_repository(connection, &before, &after).await
}

/// Commits ready to be written. To make the statements takes a while, and needs no connection that others wait for.
#[derive(Debug)]
pub struct PreparedCommits(Vec<Statement>);

impl PreparedCommits {
    /// Prepares commits that a worker found.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there are too many for one call.
    pub fn new(dialect: Dialect, work: Work, found: &[Commit]) -> Result<Self> {
        check_batch(found.len())?;
        commits::upsert(dialect, work.repository, work.fence, found).map(PreparedCommits)
    }
}

/// See [`Store::record_commits`](gitsync_core::Store::record_commits).
pub async fn record_commits(connection: &mut dyn Connection, work: Work, prepared: PreparedCommits) -> Result<()> {
    authorize(connection, work).await?;
    execute_all(connection, prepared.0).await?;
    Ok(())
}

/// See [`Store::orphan_commits`](gitsync_core::Store::orphan_commits).
pub async fn orphan_commits(connection: &mut dyn Connection, work: Work, ids: &[ObjectId]) -> Result<()> {
    check_batch(ids.len())?;
    let now = connection.now().await?;
    authorize(connection, work).await?;
    for ids in chunks(connection.dialect(), ids) {
        let update = commits::orphan(connection.dialect(), work.repository, ids, now)?;
        connection.execute(update).await?;
    }
    Ok(())
}

/// See [`Store::orphan_unrecorded`](gitsync_core::Store::orphan_unrecorded).
pub async fn orphan_unrecorded(connection: &mut dyn Connection, work: Work, limit: usize) -> Result<Chunk> {
    let limit = limit.min(MAX_STORE_BATCH);
    let now = connection.now().await?;
    authorize(connection, work).await?;
    let update = commits::orphan_unrecorded(connection.dialect(), work.repository, work.fence, now, limit)?;
    let orphaned = connection.execute(update).await?;
    Ok(if orphaned < limit as u64 { Chunk::Last } else { Chunk::More })
}

/// See [`Store::finish_task`](gitsync_core::Store::finish_task).
pub async fn finish_task(
    connection: &mut dyn Connection,
    work: Work,
    outcome: &Outcome,
    recording: Option<&Recording>,
    next_sync_at: Option<Timestamp>,
) -> Result<SyncTask> {
    let now = connection.now().await?;
    let (repository, task) = authorize(connection, work).await?;
    if recording.is_some() && !matches!(outcome, Outcome::Completed(Some(_))) {
        let message = "a recording comes with a completion that knows its repository";
        return Err(Error::new(ErrorKind::InvalidInput, message).with("task", work.task));
    }
    let follow_up = unfinished(connection, work.repository).await?.pending;
    let books = rules::finish(&repository, &task, follow_up.as_ref(), outcome, next_sync_at, now)?;
    if let Some(recording) = recording {
        write(connection, work, recording, now).await?;
    }
    // In this order, so that there are never two waiting tasks.
    if let (Some(before), Some(after)) = (&follow_up, &books.follow_up) {
        save_task(connection, before, after).await?;
    }
    save_task(connection, &task, &books.task).await?;
    save_repository(connection, &repository, &books.repository).await?;
    Ok(books.task)
}

async fn write(connection: &mut dyn Connection, work: Work, recording: &Recording, now: Timestamp) -> Result<()> {
    let (dialect, repository) = (connection.dialect(), work.repository);
    let mut statements = Vec::new();
    if recording.full {
        statements.push(refs::delete_all(dialect, repository)?);
    } else {
        for name in &recording.removed {
            statements.push(refs::delete(dialect, repository, name)?);
        }
    }
    statements.extend(refs::upsert(dialect, repository, &recording.changed)?);
    let summary = recording.cloned_refs.map(|refs| vec![RefChange::Cloned { refs }]);
    let entries = summary.unwrap_or_else(|| recording.movements.iter().cloned().map(RefChange::Moved).collect());
    statements.extend(log::insert(dialect, repository, work.task, now, entries)?);
    let digests = (recording.baseline_digest, recording.policy_digest);
    statements.push(repositories::set_digests(dialect, repository, digests)?);
    execute_all(connection, statements).await?;
    Ok(())
}
