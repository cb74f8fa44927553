//! What a cancellation changes.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Repository, StatusBefore, StoredError, SyncTask, TaskKind};
use crate::state::{RepositoryStatus, TaskStatus};

/// Decides what asking for the end of a task changes; both rows are to be written.
///
/// A waiting task ends at once and its repository goes back to what it was. A running one is asked to stop: its worker ends
/// it. A task that has ended stays as it is.
///
/// # Errors
/// [`ErrorKind::Conflict`] for a deletion, which cannot be taken back.
pub fn cancel(repository: &Repository, task: &SyncTask, now: Timestamp) -> Result<(Repository, SyncTask)> {
    let (mut repository, mut task) = (repository.clone(), task.clone());
    match task.status {
        status if status.is_terminal() => {}
        _ if task.kind == TaskKind::Delete => {
            return Err(Error::new(ErrorKind::Conflict, "a deletion cannot be cancelled").with("task", task.id));
        }
        TaskStatus::Running => task.cancel_requested_at = task.cancel_requested_at.or(Some(now)),
        _ => {
            task.status = TaskStatus::Cancelled;
            task.completed_at = Some(now);
            task.held = false;
            restore(&mut repository, task.status_before.as_ref());
        }
    }
    Ok((repository, task))
}

/// Puts a repository back to what it was before a task that was cancelled had begun.
///
/// One that was never more than pending has failed: nothing would take it up again.
pub(crate) fn restore(repository: &mut Repository, before: Option<&StatusBefore>) {
    let cancelled = || StoredError {
        kind: ErrorKind::Cancelled,
        message: "the first task of the repository was cancelled; request another to set it up".into(),
    };
    let status = before.map_or(repository.status, |before| before.status);
    if status == RepositoryStatus::Pending {
        repository.status = RepositoryStatus::Failed;
        repository.error = Some(cancelled());
    } else if let Some(before) = before {
        repository.status = before.status;
        repository.error.clone_from(&before.error);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::{NOW, repository, task};

    #[test]
    fn a_waiting_task_ends_and_leaves_the_repository_as_it_was() {
        let (same, ended) = cancel(&repository(), &task(TaskKind::Sync), NOW).unwrap();
        assert_eq!((ended.status, ended.completed_at), (TaskStatus::Cancelled, Some(NOW)));
        assert_eq!(same, repository());
    }

    #[test]
    fn a_task_that_waits_for_a_retry_gives_back_status_and_error() {
        let error = StoredError { kind: ErrorKind::Timeout, message: "slow".into() };
        let before = StatusBefore { status: RepositoryStatus::Failed, error: Some(error.clone()) };
        let waiting = SyncTask { status_before: Some(before), ..task(TaskKind::Sync) };
        let mirroring = Repository { status: RepositoryStatus::Mirroring, ..repository() };
        let (restored, _) = cancel(&mirroring, &waiting, NOW).unwrap();
        assert_eq!((restored.status, restored.error), (RepositoryStatus::Failed, Some(error)));
    }

    #[test]
    fn cancelling_the_first_task_fails_the_repository() {
        let pending = Repository { status: RepositoryStatus::Pending, ..repository() };
        let (failed, _) = cancel(&pending, &task(TaskKind::Migrate), NOW).unwrap();
        assert_eq!(failed.status, RepositoryStatus::Failed);
        assert_eq!(failed.error.map(|error| error.kind), Some(ErrorKind::Cancelled));
    }

    #[test]
    fn a_running_task_is_asked_once() {
        let running = SyncTask { status: TaskStatus::Running, ..task(TaskKind::Sync) };
        let (_, asked) = cancel(&repository(), &running, NOW).unwrap();
        assert_eq!((asked.status, asked.cancel_requested_at), (TaskStatus::Running, Some(NOW)));
        let (_, again) = cancel(&repository(), &asked, NOW.after(std::time::Duration::from_secs(1))).unwrap();
        assert_eq!(again, asked);
    }

    #[test]
    fn what_has_ended_stays_and_a_deletion_cannot_be_taken_back() {
        let ended = SyncTask { status: TaskStatus::Completed, ..task(TaskKind::Sync) };
        assert_eq!(cancel(&repository(), &ended, NOW).unwrap(), (repository(), ended));
        assert_eq!(cancel(&repository(), &task(TaskKind::Delete), NOW).unwrap_err().kind(), ErrorKind::Conflict);
    }
}
