//! What removes rows.

use gitsync_core::Result;
use gitsync_core::rules;
use gitsync_core::store::{Chunk, MAX_STORE_BATCH, Retention, Work};

use super::load::save_task;
use super::work::authorize;
use crate::statements::{commits, log, push_targets, refs, repositories, tasks};
use crate::{Connection, Statement};

/// See [`Store::purge_repository`](gitsync_core::Store::purge_repository).
pub async fn purge_repository(connection: &mut dyn Connection, work: Work, limit: usize) -> Result<Chunk> {
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let (repository, task) = authorize(connection, work).await?;
    let tombstone = rules::purge(&task, now)?;
    let left = limit.min(MAX_STORE_BATCH);
    let left = remove(connection, refs::delete_some(dialect, repository.id, left)?, left).await?;
    let left = remove(connection, commits::delete_some(dialect, repository.id, left)?, left).await?;
    let left = remove(connection, log::delete_some(dialect, repository.id, left)?, left).await?;
    let left = remove(connection, tasks::delete_others(dialect, repository.id, task.id, left)?, left).await?;
    if left == 0 {
        return Ok(Chunk::More);
    }
    connection.execute(push_targets::delete_all(dialect, repository.id)?).await?;
    // The repository goes last, because the others refer to it.
    save_task(connection, &task, &tombstone).await?;
    connection.execute(repositories::delete(dialect, repository.id)?).await?;
    Ok(Chunk::Last)
}

/// Removes rows and tells how many are left of a limit.
async fn remove(connection: &mut dyn Connection, deletion: Statement, limit: usize) -> Result<usize> {
    if limit == 0 {
        return Ok(0);
    }
    let removed = connection.execute(deletion).await?;
    Ok(limit.saturating_sub(usize::try_from(removed).unwrap_or(usize::MAX)))
}

/// See [`Store::prune`](gitsync_core::Store::prune).
pub async fn prune(connection: &mut dyn Connection, retention: &Retention) -> Result<u64> {
    let dialect = connection.dialect();
    let limit = retention.limit.min(MAX_STORE_BATCH);
    let left = remove(connection, tasks::prune(dialect, retention.tasks_before, limit)?, limit).await?;
    let left = remove(connection, log::prune(dialect, retention.ref_updates_before, left)?, left).await?;
    Ok((limit - left) as u64)
}
