//! What becomes of a repository that is due.

use std::time::Duration;

use super::request::{Request, Unfinished, new_task};
use crate::clock::Timestamp;
use crate::model::{Repository, RepositoryId, SyncTask, TaskId, TaskKind, TaskParameters};
use crate::source::{CredentialRevision, SourceUrl};
use crate::state::RepositoryStatus;

/// When a repository without an interval of its own is looked at again, should its task end without saying when.
pub const DUE_AGAIN: Duration = Duration::from_secs(3600);

/// How often it is looked whether a repository has other credentials than those that were refused.
pub const CREDENTIALS_LOOK: Duration = Duration::from_secs(60);

/// The rows that the due-scan changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The repository, with a new due time.
    pub repository: Repository,
    /// Its new task.
    pub task: Option<SyncTask>,
}

/// A repository that is not synced on schedule while its source has the credentials that were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// The repository.
    pub repository: RepositoryId,
    /// Its source.
    pub source: SourceUrl,
    /// The credentials that were refused.
    pub refused: CredentialRevision,
}

/// What a look for due repositories found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueScan {
    /// The new tasks.
    pub tasks: Vec<SyncTask>,
    /// Those that are due, but got no task because their credentials were refused. Whoever scans asks whether they have others
    /// by now, and then requests a sync.
    pub paused: Vec<Paused>,
    /// How many repositories were due, also those that are paused or have an unfinished task. Fewer than asked for: there are no more.
    pub looked_at: usize,
}

/// Tells whether a repository is to be synced on schedule.
pub fn is_due(repository: &Repository, now: Timestamp) -> bool {
    repository.deleted_at.is_none()
        && repository.status != RepositoryStatus::Archived
        && repository.next_sync_at.is_some_and(|at| at <= now)
}

/// Decides what becomes of a repository that is due; `id` is for the task.
///
/// The due time moves on at once, so that no other scan finds the repository; the end of the task sets the true one. An
/// unfinished task is left as it is: a schedule does not cut the pause before a retry short. One that is [`paused`] is looked
/// at again soon.
pub fn due(repository: &Repository, unfinished: Unfinished<'_>, id: TaskId, now: Timestamp) -> Due {
    let is_paused = paused(repository).is_some();
    let pause = match repository.sync_interval {
        _ if is_paused => CREDENTIALS_LOOK,
        own => own.unwrap_or(DUE_AGAIN).max(Duration::from_secs(1)),
    };
    let is_idle = unfinished.pending.is_none() && unfinished.running.is_none();
    let request = Request { kind: TaskKind::Sync, parameters: TaskParameters::default(), id };
    Due {
        repository: Repository { next_sync_at: Some(now.after(pause)), ..repository.clone() },
        task: (is_idle && !is_paused).then(|| new_task(repository, &request, false, now)),
    }
}

/// Tells what has to change before a repository is synced on schedule again, if its credentials were refused.
pub fn paused(repository: &Repository) -> Option<Paused> {
    let (source, refused) = (repository.source.clone()?, repository.refused_credentials?);
    Some(Paused { repository: repository.id, source, refused })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::{NOW, repository, task};

    fn due_repository() -> Repository {
        Repository { next_sync_at: Some(NOW), ..repository() }
    }

    #[test]
    fn only_what_is_alive_and_has_reached_its_time_is_due() {
        let later = NOW.after(Duration::from_secs(1));
        assert!(is_due(&due_repository(), NOW));
        assert!(is_due(&Repository { status: RepositoryStatus::Failed, ..due_repository() }, NOW));
        assert!(!is_due(&repository(), NOW), "it is not scheduled");
        assert!(!is_due(&Repository { next_sync_at: Some(later), ..repository() }, NOW));
        assert!(!is_due(&Repository { deleted_at: Some(NOW), ..due_repository() }, NOW));
        assert!(!is_due(&Repository { status: RepositoryStatus::Archived, ..due_repository() }, NOW));
    }

    #[test]
    fn an_idle_repository_gets_a_sync_and_a_new_due_time() {
        let id = TaskId::generate();
        let Due { repository, task } = due(&due_repository(), Unfinished::default(), id, NOW);
        assert_eq!(repository.next_sync_at, Some(NOW.after(DUE_AGAIN)));
        let task = task.unwrap();
        assert_eq!((task.id, task.kind, task.held, task.created_at), (id, TaskKind::Sync, false, NOW));
    }

    #[test]
    fn an_interval_of_its_own_comes_first() {
        let minute = Duration::from_secs(60);
        let often = Repository { sync_interval: Some(minute), ..due_repository() };
        let Due { repository, .. } = due(&often, Unfinished::default(), TaskId::generate(), NOW);
        assert_eq!(repository.next_sync_at, Some(NOW.after(minute)));
    }

    #[test]
    fn one_whose_credentials_were_refused_is_looked_at_and_not_synced() {
        let refused = CredentialRevision::new(7);
        let repository = Repository { refused_credentials: Some(refused), ..due_repository() };
        let source = repository.source.clone().unwrap();
        assert_eq!(paused(&repository), Some(Paused { repository: repository.id, source, refused }));
        let Due { repository, task } = due(&repository, Unfinished::default(), TaskId::generate(), NOW);
        assert_eq!((repository.next_sync_at, task), (Some(NOW.after(CREDENTIALS_LOOK)), None));
        assert_eq!(paused(&due_repository()), None);
    }

    #[test]
    fn an_unfinished_task_is_left_alone() {
        let waiting = task(TaskKind::Maintain);
        for unfinished in [
            Unfinished { pending: Some(&waiting), running: None },
            Unfinished { pending: None, running: Some(&waiting) },
        ] {
            let Due { repository, task } = due(&due_repository(), unfinished, TaskId::generate(), NOW);
            assert_eq!((repository.next_sync_at, task), (Some(NOW.after(DUE_AGAIN)), None));
        }
    }
}
