//! What archiving a repository and taking it back change.

use super::cancel::cancel;
use super::request::Unfinished;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Repository, StatusBefore, SyncTask};
use crate::state::RepositoryStatus;

/// The rows that archiving changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The repository, set aside.
    pub repository: Repository,
    /// The task that was waiting, cancelled. Its job may be taken out of the queue.
    pub cancelled: Option<SyncTask>,
}

/// Decides what setting a repository aside changes: it is not scheduled and refuses syncs until it is taken back.
///
/// A waiting task is cancelled first, so that what is put aside is what the repository was without it. Archiving twice is
/// archiving once.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the repository is being deleted; [`ErrorKind::Conflict`] while a task runs.
pub fn archive(repository: &Repository, unfinished: Unfinished<'_>, now: Timestamp) -> Result<Archived> {
    check_not_deleted(repository)?;
    if repository.status == RepositoryStatus::Archived {
        return Ok(Archived { repository: repository.clone(), cancelled: None });
    }
    if let Some(running) = unfinished.running {
        return Err(Error::new(ErrorKind::Conflict, "a task of the repository is running")
            .with("task", running.id)
            .hint("wait until it has ended, or cancel it"));
    }
    let (mut repository, cancelled) = match unfinished.pending {
        Some(pending) => {
            let (repository, cancelled) = cancel(repository, pending, now)?;
            (repository, Some(cancelled))
        }
        None => (repository.clone(), None),
    };
    repository.status.check_move(RepositoryStatus::Archived)?;
    repository.before_archive = Some(StatusBefore { status: repository.status, error: repository.error.take() });
    repository.status = RepositoryStatus::Archived;
    repository.updated_at = now;
    Ok(Archived { repository, cancelled })
}

/// Decides what taking an archived repository back changes: it is again what it was. One that is not archived stays as it
/// is.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the repository is being deleted.
pub fn unarchive(repository: &Repository, now: Timestamp) -> Result<Repository> {
    check_not_deleted(repository)?;
    let mut repository = repository.clone();
    if repository.status != RepositoryStatus::Archived {
        return Ok(repository);
    }
    let before = repository.before_archive.take().ok_or_else(|| {
        Error::new(ErrorKind::Internal, "an archived repository does not say what it was")
            .with("repository", repository.id)
    })?;
    repository.status.check_move(before.status)?;
    repository.status = before.status;
    repository.error = before.error;
    repository.updated_at = now;
    Ok(repository)
}

/// Checks that a repository is not being deleted.
pub(super) fn check_not_deleted(repository: &Repository) -> Result<()> {
    if repository.deleted_at.is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFound, "the repository does not exist").with("repository", repository.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{StoredError, TaskKind};
    use crate::rules::fixtures::{NOW, repository, task};
    use crate::state::TaskStatus;

    fn error() -> StoredError {
        StoredError { kind: ErrorKind::Timeout, message: "slow".into() }
    }

    #[test]
    fn archiving_puts_aside_what_was_and_unarchiving_brings_it_back() {
        let failed = Repository { status: RepositoryStatus::Failed, error: Some(error()), ..repository() };
        let archived = archive(&failed, Unfinished::default(), NOW).unwrap().repository;
        assert_eq!((archived.status, &archived.error), (RepositoryStatus::Archived, &None));
        let back = unarchive(&archived, NOW).unwrap();
        assert_eq!(back, failed);
    }

    #[test]
    fn a_waiting_task_is_cancelled_and_what_it_put_aside_is_what_is_kept() {
        let before = StatusBefore { status: RepositoryStatus::Failed, error: Some(error()) };
        let waiting = SyncTask { status_before: Some(before.clone()), ..task(TaskKind::Sync) };
        let mirroring = Repository { status: RepositoryStatus::Mirroring, ..repository() };
        let unfinished = Unfinished { pending: Some(&waiting), running: None };
        let archived = archive(&mirroring, unfinished, NOW).unwrap();
        assert_eq!(archived.repository.before_archive, Some(before));
        assert_eq!(archived.cancelled.unwrap().status, TaskStatus::Cancelled);
    }

    #[test]
    fn it_is_a_conflict_while_a_task_runs() {
        let running = SyncTask { status: TaskStatus::Running, ..task(TaskKind::Sync) };
        let unfinished = Unfinished { pending: None, running: Some(&running) };
        assert_eq!(archive(&repository(), unfinished, NOW).unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn doing_it_twice_is_doing_it_once() {
        let once = archive(&repository(), Unfinished::default(), NOW).unwrap().repository;
        let later = NOW.after(std::time::Duration::from_secs(1));
        assert_eq!(archive(&once, Unfinished::default(), later).unwrap().repository, once);
        let back = unarchive(&once, later).unwrap();
        assert_eq!(unarchive(&back, NOW).unwrap(), back);
    }

    #[test]
    fn one_that_is_being_deleted_is_not_there() {
        let deleted = Repository { deleted_at: Some(NOW), ..repository() };
        assert_eq!(archive(&deleted, Unfinished::default(), NOW).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(unarchive(&deleted, NOW).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
