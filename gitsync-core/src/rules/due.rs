//! What becomes of a repository that is due.

use std::time::Duration;

use super::request::{Request, Unfinished, new_task};
use crate::clock::Timestamp;
use crate::model::{OrganisationId, Repository, RepositoryId, SyncTask, TaskId, TaskKind, TaskParameters};
use crate::source::{CredentialRevision, SourceUrl};
use crate::state::RepositoryStatus;

/// When a repository without an interval of its own is looked at again, should its task end without saying when.
pub const DUE_AGAIN: Duration = Duration::from_secs(3600);

/// How often it is looked whether a repository has other credentials than those that were refused; one that is synced more often by
/// its own interval is looked at as often, but not more than once a minute. A look costs an update of its row.
pub const CREDENTIALS_LOOK: Duration = Duration::from_secs(5 * 60);

/// The shortest time between two looks.
const SHORTEST_LOOK: Duration = Duration::from_secs(60);

/// How often a repository whose credentials were refused is tried all the same.
pub const TRIED_ANYHOW: Duration = Duration::from_secs(24 * 3600);

/// The rows that the due-scan changes, and what it hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The repository, with a new due time; which credentials were refused is forgotten when it is tried anyhow.
    pub repository: Repository,
    /// Its new task.
    pub task: Option<SyncTask>,
    /// What has to change before it gets one.
    pub paused: Option<Paused>,
}

/// A repository that is not synced on schedule while its source has the credentials that were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// The repository.
    pub repository: RepositoryId,
    /// Its organisation, whose credentials count first.
    pub organisation: OrganisationId,
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
/// unfinished task is left as it is: a schedule does not cut the pause before a retry short.
///
/// One whose credentials were refused gets no task, and is looked at again soon. But it may be the upstream that was wrong, so once
/// a day, each at its moment, it is tried as if nothing had been refused.
pub fn due(repository: &Repository, unfinished: Unfinished<'_>, id: TaskId, now: Timestamp) -> Due {
    let is_idle = unfinished.pending.is_none() && unfinished.running.is_none();
    let paused = paused(repository).filter(|_| !(is_idle && has_its_moment(repository, now)));
    let pause = match repository.sync_interval {
        _ if paused.is_some() => look_after(repository),
        own => own.unwrap_or(DUE_AGAIN).max(Duration::from_secs(1)),
    };
    let request = Request { kind: TaskKind::Sync, parameters: TaskParameters::default(), id };
    Due {
        repository: Repository {
            next_sync_at: Some(now.after(pause)),
            refused_credentials: paused.as_ref().map(|paused| paused.refused),
            ..repository.clone()
        },
        task: (is_idle && paused.is_none()).then(|| new_task(repository, &request, false, now)),
        paused,
    }
}

/// Tells what has to change before a repository is synced on schedule again, if its credentials were refused.
fn paused(repository: &Repository) -> Option<Paused> {
    let (source, refused) = (repository.source.clone()?, repository.refused_credentials?);
    Some(Paused { repository: repository.id, organisation: repository.organisation, source, refused })
}

/// Returns how long after a look the next one is.
pub(super) fn look_after(repository: &Repository) -> Duration {
    repository.sync_interval.unwrap_or(CREDENTIALS_LOOK).clamp(SHORTEST_LOOK, CREDENTIALS_LOOK)
}

/// Tells whether a repository's moment of the day has come since it was looked at before. So nothing has to be noted, and not all
/// that were refused at once are tried at once.
fn has_its_moment(repository: &Repository, now: Timestamp) -> bool {
    let before = repository.next_sync_at.unwrap_or(now).before(look_after(repository));
    // A prime number of seconds, so that those made one after the other are far apart.
    let day = |at: Timestamp| {
        let seconds = at.as_secs() + i64::from(repository.id.0) * 7919;
        seconds.div_euclid(TRIED_ANYHOW.as_secs().cast_signed())
    };
    day(before) < day(now)
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
        let Due { repository, task, paused } = due(&due_repository(), Unfinished::default(), id, NOW);
        assert_eq!(paused, None);
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
        let Repository { id, organisation, .. } = repository;
        let expected = Some(Paused { repository: id, organisation, source, refused });
        for (own, pause) in [(None, 300), (Some(1), 60), (Some(120), 120), (Some(7200), 300)] {
            let repository = Repository { sync_interval: own.map(Duration::from_secs), ..repository.clone() };
            let Due { repository, task, paused } = due(&repository, Unfinished::default(), TaskId::generate(), NOW);
            assert_eq!((&paused, task, repository.refused_credentials), (&expected, None, Some(refused)));
            assert_eq!(repository.next_sync_at, Some(NOW.after(Duration::from_secs(pause))));
        }
    }

    #[test]
    fn one_whose_credentials_were_refused_is_tried_once_a_day_at_its_moment() {
        let refused = Some(CredentialRevision::new(7));
        let tried_at = |number| {
            let mut row = Repository { id: RepositoryId(number), refused_credentials: refused, ..due_repository() };
            let mut tried = Vec::new();
            for _look in 0..3 * TRIED_ANYHOW.as_secs() / CREDENTIALS_LOOK.as_secs() {
                let now = row.next_sync_at.unwrap();
                let Due { repository, task, paused } = due(&row, Unfinished::default(), TaskId::generate(), now);
                assert_eq!(
                    (task.is_none(), paused.is_none()),
                    (paused.is_some(), repository.refused_credentials.is_none())
                );
                tried.extend(task.map(|_| now));
                // It is refused again at once.
                row =
                    Repository { next_sync_at: Some(now.after(CREDENTIALS_LOOK)), refused_credentials: refused, ..row };
            }
            assert_eq!(tried.len(), 3);
            assert!(tried[0] <= NOW.after(TRIED_ANYHOW));
            assert!(tried.is_sorted_by(|one, next| next.since(*one) == TRIED_ANYHOW), "{tried:?}");
            tried[0]
        };
        assert!(tried_at(1) != tried_at(2) && tried_at(2) != tried_at(3));
        // What was not looked at for long is tried at once.
        let late = Repository { refused_credentials: refused, ..due_repository() };
        let found = due(&late, Unfinished::default(), TaskId::generate(), NOW.after(TRIED_ANYHOW));
        assert!(found.task.is_some() && found.paused.is_none());
        // Not while something is unfinished: then it stays noted.
        let waiting = task(TaskKind::Maintain);
        let unfinished = Unfinished { pending: Some(&waiting), running: None };
        let found = due(&late, unfinished, TaskId::generate(), NOW.after(TRIED_ANYHOW));
        assert_eq!((found.task, found.repository.refused_credentials), (None, refused));
    }

    #[test]
    fn an_unfinished_task_is_left_alone() {
        let waiting = task(TaskKind::Maintain);
        for unfinished in [
            Unfinished { pending: Some(&waiting), running: None },
            Unfinished { pending: None, running: Some(&waiting) },
        ] {
            let Due { repository, task, .. } = due(&due_repository(), unfinished, TaskId::generate(), NOW);
            assert_eq!((repository.next_sync_at, task), (Some(NOW.after(DUE_AGAIN)), None));
        }
    }
}
