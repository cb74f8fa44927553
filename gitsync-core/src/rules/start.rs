//! What the start of a task changes.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Repository, StatusBefore, SyncTask, TaskKind};
use crate::state::{RepositoryStatus, TaskStatus};

/// What a worker that claimed a job finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The task is to be worked on; both rows are to be written. The repository's fence is the worker's from now on.
    Run {
        /// The repository, its fence raised and its status flipped.
        repository: Box<Repository>,
        /// The task, running at this epoch.
        task: Box<SyncTask>,
    },
    /// The task has ended already: the job was delivered once more and has only to be finished.
    AlreadyFinished,
}

/// Decides the start of a task at an epoch of its job.
///
/// The fence rises by one, so that everything an earlier worker still does for this repository is refused. What the
/// repository was is put aside with the task once, at its first start: a redelivery or a retry finds it half-way.
///
/// # Errors
/// [`ErrorKind::LeaseLost`] if a higher epoch has been seen; [`ErrorKind::Conflict`] if the task is held behind another or
/// the repository's status does not allow it.
pub fn start(repository: &Repository, task: &SyncTask, epoch: i64, attempt: u32, now: Timestamp) -> Result<Start> {
    if task.status.is_terminal() {
        return Ok(Start::AlreadyFinished);
    }
    if epoch < task.epoch {
        return Err(Error::new(ErrorKind::LeaseLost, "the job was given to another worker")
            .with("task", task.id)
            .with("epoch", epoch)
            .with("seen", task.epoch));
    }
    if task.held {
        return Err(
            Error::new(ErrorKind::Conflict, "the task waits for another one of its repository").with("task", task.id)
        );
    }
    task.status.check_move(TaskStatus::Running)?;

    let mut repository = repository.clone();
    let mut task = task.clone();
    if let Some(status) = status_while_running(task.kind) {
        let before = StatusBefore { status: repository.status, error: repository.error.clone() };
        task.status_before.get_or_insert(before);
        if repository.status != status {
            repository.status.check_move(status)?;
            repository.status = status;
        }
    }
    repository.fence += 1;
    task.status = TaskStatus::Running;
    task.epoch = epoch;
    task.attempt = attempt;
    task.started_at = Some(now);
    task.next_attempt_at = None;
    Ok(Start::Run { repository: Box::new(repository), task: Box::new(task) })
}

/// Returns the status a repository has while a task of this kind works; the others leave it alone.
pub(super) fn status_while_running(kind: TaskKind) -> Option<RepositoryStatus> {
    match kind {
        TaskKind::Initialize => Some(RepositoryStatus::Initializing),
        TaskKind::Migrate | TaskKind::Sync => Some(RepositoryStatus::Mirroring),
        TaskKind::Maintain | TaskKind::Delete => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::{NOW, repository, task};

    fn run(repository: &Repository, task: &SyncTask, epoch: i64) -> (Repository, SyncTask) {
        match start(repository, task, epoch, 1, NOW).unwrap() {
            Start::Run { repository, task } => (*repository, *task),
            Start::AlreadyFinished => panic!("the task has not ended"),
        }
    }

    #[test]
    fn a_start_flips_the_status_raises_the_fence_and_puts_aside_what_was() {
        let (flipped, running) = run(&repository(), &task(TaskKind::Sync), 4);
        assert_eq!((flipped.status, flipped.fence), (RepositoryStatus::Mirroring, 1));
        assert_eq!((running.status, running.epoch, running.started_at), (TaskStatus::Running, 4, Some(NOW)));
        assert_eq!(running.status_before, Some(StatusBefore { status: RepositoryStatus::Active, error: None }));
    }

    #[test]
    fn a_redelivery_keeps_what_was_put_aside_and_raises_the_fence_again() {
        let (first, crashed) = run(&repository(), &task(TaskKind::Sync), 1);
        let (second, running) = run(&first, &crashed, 2);
        assert_eq!(second.fence, 2);
        assert_eq!(running.status_before, crashed.status_before);
        assert_eq!(start(&second, &running, 1, 1, NOW).unwrap_err().kind(), ErrorKind::LeaseLost);
    }

    #[test]
    fn a_task_that_has_ended_is_not_started() {
        for status in [TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Cancelled] {
            let ended = SyncTask { status, ..task(TaskKind::Sync) };
            assert_eq!(start(&repository(), &ended, 9, 1, NOW).unwrap(), Start::AlreadyFinished);
        }
    }

    #[test]
    fn a_held_task_is_not_started() {
        let held = SyncTask { held: true, ..task(TaskKind::Sync) };
        assert_eq!(start(&repository(), &held, 1, 1, NOW).unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn upkeep_and_deletion_leave_the_status_alone() {
        for kind in [TaskKind::Maintain, TaskKind::Delete] {
            let (same, running) = run(&repository(), &task(kind), 1);
            assert_eq!((same.status, running.status_before), (RepositoryStatus::Active, None));
            assert_eq!(same.fence, 1, "but they fence like all others");
        }
    }

    #[test]
    fn an_archived_repository_is_not_synced() {
        let archived = Repository { status: RepositoryStatus::Archived, ..repository() };
        assert_eq!(start(&archived, &task(TaskKind::Sync), 1, 1, NOW).unwrap_err().kind(), ErrorKind::Conflict);
    }
}
