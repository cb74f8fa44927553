//! Who may write on behalf of a task.

use crate::error::{Error, ErrorKind, Result};
use crate::model::{Repository, SyncTask};
use crate::state::TaskStatus;

/// Checks that the worker that started a task at `fence` may still write on its behalf.
///
/// # Errors
/// [`ErrorKind::LeaseLost`] if a task of the repository was started since; [`ErrorKind::Conflict`] if the task has ended.
pub fn may_write(repository: &Repository, task: &SyncTask, fence: i64) -> Result<()> {
    if task.repository != repository.id || repository.fence != fence {
        return Err(Error::new(ErrorKind::LeaseLost, "another worker has taken over the repository")
            .with("repository", repository.id)
            .with("fence", fence)
            .with("seen", repository.fence));
    }
    if task.status != TaskStatus::Running {
        return Err(Error::new(ErrorKind::Conflict, "the task is not running")
            .with("task", task.id)
            .with("status", task.status));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RepositoryId, TaskKind};
    use crate::rules::fixtures::{repository, task};

    #[test]
    fn only_the_last_start_of_a_running_task_may_write() {
        let repository = Repository { fence: 3, ..repository() };
        let running = SyncTask { status: TaskStatus::Running, ..task(TaskKind::Sync) };
        let verdict = |task: &SyncTask, fence| may_write(&repository, task, fence).map_err(|error| error.kind());
        assert_eq!(verdict(&running, 3), Ok(()));
        assert_eq!(verdict(&running, 2), Err(ErrorKind::LeaseLost));
        let ended = SyncTask { status: TaskStatus::Completed, ..running.clone() };
        assert_eq!(verdict(&ended, 3), Err(ErrorKind::Conflict));
        let foreign = SyncTask { repository: RepositoryId(9), ..running };
        assert_eq!(verdict(&foreign, 3), Err(ErrorKind::LeaseLost));
    }
}
