//! What removes rows.

use gitsync_core::Result;
use gitsync_core::rules;
use gitsync_core::store::{MAX_STORE_BATCH, Retention, Work};

use super::execute_all;
use super::load::save_task;
use super::work::authorize;
use crate::Connection;
use crate::statements::{commits, log, refs, repositories, tasks};

/// See [`Store::purge_repository`](gitsync_core::Store::purge_repository).
pub async fn purge_repository(connection: &mut dyn Connection, work: Work) -> Result<()> {
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let (repository, task) = authorize(connection, work).await?;
    let tombstone = rules::purge(&task, now)?;
    save_task(connection, &task, &tombstone).await?;
    // The repository goes last, because the others refer to it.
    let deletions = vec![
        refs::delete_all(dialect, repository.id)?,
        commits::delete_all(dialect, repository.id)?,
        log::delete_all(dialect, repository.id)?,
        tasks::delete_others(dialect, repository.id, task.id)?,
        repositories::delete(dialect, repository.id)?,
    ];
    execute_all(connection, deletions).await?;
    Ok(())
}

/// See [`Store::prune`](gitsync_core::Store::prune).
pub async fn prune(connection: &mut dyn Connection, retention: &Retention) -> Result<u64> {
    let dialect = connection.dialect();
    let limit = retention.limit.min(MAX_STORE_BATCH);
    let tasks = connection.execute(tasks::prune(dialect, retention.tasks_before, limit)?).await?;
    let left = limit.saturating_sub(usize::try_from(tasks).unwrap_or(usize::MAX));
    let entries = connection.execute(log::prune(dialect, retention.ref_updates_before, left)?).await?;
    Ok(tasks + entries)
}
