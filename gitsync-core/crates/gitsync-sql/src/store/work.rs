//! The start of a task, and the right to write on its behalf.

use gitsync_core::Result;
use gitsync_core::model::{Repository, SyncTask, TaskId};
use gitsync_core::rules::{self, Start};
use gitsync_core::store::{StartedTask, StartedWork, Work};

use super::load::{find_task, lock, no_repository, no_task, save_repository, save_task};
use super::organisations::organisation;
use crate::Connection;

/// See [`Store::start_task`](gitsync_core::Store::start_task).
pub async fn start_task(connection: &mut dyn Connection, id: TaskId, epoch: i64, attempt: u32) -> Result<StartedTask> {
    let now = connection.now().await?;
    let Some(seen) = find_task(connection, id).await? else { return Ok(StartedTask::AlreadyFinished) };
    let Some((before, digests)) = lock(connection, seen.repository).await? else {
        return Ok(StartedTask::AlreadyFinished);
    };
    // It may have changed before the lock was taken.
    let Some(waiting) = find_task(connection, id).await? else { return Ok(StartedTask::AlreadyFinished) };
    let Start::Run { repository, task } = rules::start(&before, &waiting, epoch, attempt, now)? else {
        return Ok(StartedTask::AlreadyFinished);
    };
    save_task(connection, &waiting, &task).await?;
    save_repository(connection, &before, &repository).await?;
    let organisation = organisation(connection, repository.organisation).await?;
    Ok(StartedTask::Run(Box::new(StartedWork {
        work: Work { task: id, repository: repository.id, fence: repository.fence },
        task: *task,
        was_recording: before.recording.is_some(),
        repository: *repository,
        organisation: organisation.slug,
        baseline_digest: digests.0,
        policy_digest: digests.1,
        started_at: now,
    })))
}

/// Returns the rows that a worker may write, or refuses it. The repository is locked.
pub(super) async fn authorize(connection: &mut dyn Connection, work: Work) -> Result<(Repository, SyncTask)> {
    let Some((repository, _)) = lock(connection, work.repository).await? else {
        return Err(no_repository(work.repository));
    };
    let Some(task) = find_task(connection, work.task).await? else { return Err(no_task(work.task)) };
    rules::may_write(&repository, &task, work.fence)?;
    Ok((repository, task))
}
