//! What the end of an attempt changes.

use std::time::Duration;

use super::cancel::restore;
use super::request::{Request, is_covered, rewritten, verifying};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectId, RefName, Repository, StoredError, SyncTask};
use crate::plan::SHRINK_PATIENCE;
use crate::source::{CredentialRevision, SourceUrl};
use crate::state::{RepositoryStatus, TaskStatus};

/// What a completed task knows of its repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// The source it was cloned from, by its present name, if that is now the repository's.
    pub source: Option<SourceUrl>,
    /// The branch `HEAD` points to.
    pub default_branch: Option<RefName>,
    /// The commit `HEAD` leads to.
    pub last_commit: Option<ObjectId>,
    /// How many commits the branches and tags reach.
    pub total_commits: i64,
    /// How many branches and tags are recorded.
    pub recorded_refs: i64,
    /// The size on disk in bytes.
    pub size_bytes: i64,
    /// How many commits are new.
    pub commits_synced: u64,
    /// Whether upstream had moved.
    pub changed: bool,
    /// Whether this was a look at upstream (initialize is not).
    pub synced: bool,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was asked for, and knows this of the repository; `None` for upkeep, which leaves the books alone.
    Completed(Option<Box<Completion>>),
    /// It failed for good.
    Failed(StoredError),
    /// It failed for good because upstream refuses the credentials: the schedule pauses until the source has others.
    Refused {
        /// What upstream said.
        error: StoredError,
        /// What the source had when the attempt began.
        credentials: CredentialRevision,
    },
    /// It was cancelled.
    Cancelled,
    /// It failed and is to be tried again.
    Retry {
        /// Why it failed.
        error: StoredError,
        /// When to try again.
        at: Timestamp,
        /// Whether the attempt counts; one that a host's rate limit ended does not.
        spent: bool,
    },
    /// It was given back unfinished; the attempt does not count.
    Released,
}

/// The rows that the end of an attempt changes. To be written in this order: follow-up, task, repository, so that a
/// repository never has two waiting tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The follow-up that was waiting, if there was one: set free, or replaced.
    pub follow_up: Option<SyncTask>,
    /// The task.
    pub task: SyncTask,
    /// The repository.
    pub repository: Repository,
}

/// Decides what the end of an attempt changes. `next_sync_at` is when the repository is due again, if it is scheduled.
///
/// A task that was asked to stop is not tried again: what would have been another attempt is its cancellation.
///
/// # Errors
/// [`ErrorKind::Conflict`] if the task is not running or its repository is not where the task put it.
pub fn finish(
    repository: &Repository,
    task: &SyncTask,
    follow_up: Option<&SyncTask>,
    outcome: &Outcome,
    next_sync_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Finished> {
    let outcome = match outcome {
        Outcome::Retry { .. } | Outcome::Released if task.cancel_requested_at.is_some() => &Outcome::Cancelled,
        other => other,
    };
    let next_status = match outcome {
        Outcome::Completed(_) => TaskStatus::Completed,
        Outcome::Failed(_) | Outcome::Refused { .. } => TaskStatus::Failed,
        Outcome::Cancelled => TaskStatus::Cancelled,
        Outcome::Retry { .. } | Outcome::Released => TaskStatus::Pending,
    };
    // The table lets a waiting task be cancelled too, but here an attempt ends.
    if task.status != TaskStatus::Running {
        return Err(Error::new(ErrorKind::Conflict, "the task is not running").with("status", task.status));
    }
    task.status.check_move(next_status)?;
    let mut books = Finished { follow_up: follow_up.cloned(), task: task.clone(), repository: repository.clone() };
    books.task.status = next_status;
    match outcome {
        Outcome::Completed(None) => books.task.error = None,
        Outcome::Completed(Some(completion)) => books.complete(completion, next_sync_at, now)?,
        Outcome::Failed(error) if error.kind == ErrorKind::UpstreamShrank => books.shrink(error, now)?,
        Outcome::Failed(error) => books.fail(error, None, next_sync_at)?,
        Outcome::Refused { error, credentials } => books.fail(error, Some(*credentials), next_sync_at)?,
        Outcome::Cancelled => restore(&mut books.repository, task.status_before.as_ref()),
        Outcome::Retry { error, at, spent } => books.retry(Some(error), *at, *spent),
        Outcome::Released => books.retry(None, now, false),
    }
    if next_status.is_terminal() {
        books.task.completed_at = Some(now);
        if let Some(follow_up) = &mut books.follow_up {
            follow_up.held = false;
        }
    } else {
        books.take_over_follow_up(now);
    }
    Ok(books)
}

impl Finished {
    fn complete(&mut self, found: &Completion, next_sync_at: Option<Timestamp>, now: Timestamp) -> Result<()> {
        self.task.error = None;
        self.task.commits_synced = found.commits_synced;
        let repository = &mut self.repository;
        if repository.status.is_busy() {
            repository.status.check_move(RepositoryStatus::Active)?;
            repository.status = RepositoryStatus::Active;
        }
        if found.source.is_some() {
            repository.source.clone_from(&found.source);
        }
        repository.error = None;
        repository.default_branch.clone_from(&found.default_branch);
        repository.last_commit = found.last_commit;
        repository.total_commits = found.total_commits;
        repository.recorded_refs = found.recorded_refs;
        repository.size_bytes = found.size_bytes;
        repository.shrank_at = None;
        repository.recording = None;
        repository.refused_credentials = None;
        repository.failures = 0;
        repository.next_sync_at = next_sync_at;
        if found.synced {
            repository.last_synced_at = Some(now);
        }
        if found.changed {
            repository.last_changed_at = Some(now);
        }
        Ok(())
    }

    fn fail(
        &mut self,
        error: &StoredError,
        refused: Option<CredentialRevision>,
        next_sync_at: Option<Timestamp>,
    ) -> Result<()> {
        self.task.error = Some(error.clone());
        let repository = &mut self.repository;
        if !repository.status.is_busy() && error.kind != ErrorKind::Corrupt {
            // Upkeep that failed says nothing about the repository.
            return Ok(());
        }
        if repository.status != RepositoryStatus::Failed {
            repository.status.check_move(RepositoryStatus::Failed)?;
            repository.status = RepositoryStatus::Failed;
        }
        repository.error = Some(shown(&self.task, error).clone());
        repository.refused_credentials = refused;
        repository.failures = repository.failures.saturating_add(1);
        repository.next_sync_at = next_sync_at;
        Ok(())
    }

    /// A collapsed upstream changes nothing but what is shown, and when to look again.
    fn shrink(&mut self, error: &StoredError, now: Timestamp) -> Result<()> {
        self.task.error = Some(error.clone());
        let repository = &mut self.repository;
        if let Some(before) = &self.task.status_before
            && repository.status != before.status
        {
            repository.status.check_move(before.status)?;
            repository.status = before.status;
        }
        let since = *repository.shrank_at.get_or_insert(now);
        repository.error = Some(shown(&self.task, error).clone());
        repository.refused_credentials = None;
        repository.next_sync_at = Some(since.after(SHRINK_PATIENCE).max(now.after(Duration::from_secs(1))));
        Ok(())
    }

    /// The task waits again. Its repository stays as it is, with the error shown, until no attempt is left.
    fn retry(&mut self, error: Option<&StoredError>, at: Timestamp, spent: bool) {
        self.task.next_attempt_at = Some(at);
        if !spent {
            self.task.attempt = self.task.attempt.saturating_sub(1);
        }
        if let Some(error) = error {
            self.task.error = Some(error.clone());
            // Upkeep and deletion say nothing about the repository, and nothing would clear what they left there.
            if self.repository.status.is_busy() {
                self.repository.error = Some(error.clone());
            }
        }
    }

    /// A task that waits again takes over its follow-up, as if that were asked for now: only one may wait.
    fn take_over_follow_up(&mut self, now: Timestamp) {
        let Some(follow_up) = &mut self.follow_up else { return };
        let asked = Request { kind: follow_up.kind, parameters: follow_up.parameters.clone(), id: follow_up.id };
        self.task = if is_covered(&self.task, &asked, &self.repository) {
            verifying(self.task.clone(), &asked.parameters)
        } else {
            SyncTask { next_attempt_at: Some(now), ..rewritten(&self.task, &asked) }
        };
        follow_up.status = TaskStatus::Cancelled;
        follow_up.superseded_by = Some(self.task.id);
        follow_up.completed_at = Some(now);
        follow_up.held = false;
    }
}

/// Returns the error that a repository shows after its task failed. What was found broken before is so still, and has to be
/// verified before anybody calls it good.
fn shown<'e>(task: &'e SyncTask, error: &'e StoredError) -> &'e StoredError {
    let before = task.status_before.as_ref().and_then(|before| before.error.as_ref());
    match before {
        Some(before) if before.kind == ErrorKind::Corrupt && error.kind != ErrorKind::Corrupt => before,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{StatusBefore, TaskKind};
    use crate::rules::fixtures::{NOW, repository, task};

    const LATER: Timestamp = Timestamp::from_secs(5_000);

    fn at_work(kind: TaskKind) -> (Repository, SyncTask) {
        let before = StatusBefore { status: RepositoryStatus::Active, error: None };
        let running = SyncTask { status: TaskStatus::Running, attempt: 1, status_before: Some(before), ..task(kind) };
        (Repository { status: RepositoryStatus::Mirroring, recording: Some(1), failures: 2, ..repository() }, running)
    }

    fn error(kind: ErrorKind) -> StoredError {
        StoredError { kind, message: "why".into() }
    }

    fn held(kind: TaskKind) -> SyncTask {
        SyncTask { held: true, ..task(kind) }
    }

    fn end(outcome: &Outcome, follow_up: Option<&SyncTask>) -> Finished {
        let (repository, task) = at_work(TaskKind::Sync);
        finish(&repository, &task, follow_up, outcome, Some(LATER), NOW).unwrap()
    }

    #[test]
    fn a_completed_sync_makes_the_repository_active_and_its_books_true() {
        let found = Completion { total_commits: 7, recorded_refs: 2, synced: true, ..Completion::default() };
        let Finished { repository, task, .. } = end(&Outcome::Completed(Some(Box::new(found))), None);
        assert_eq!((repository.status, repository.total_commits), (RepositoryStatus::Active, 7));
        assert_eq!((repository.recording, repository.failures), (None, 0));
        assert_eq!((repository.last_synced_at, repository.last_changed_at), (Some(NOW), None));
        assert_eq!((task.status, task.completed_at), (TaskStatus::Completed, Some(NOW)));
        assert_eq!(repository.next_sync_at, Some(LATER));
    }

    #[test]
    fn a_failure_is_shown_counted_and_leaves_the_recording_mark() {
        let Finished { repository, task, .. } = end(&Outcome::Failed(error(ErrorKind::SourceNotFound)), None);
        assert_eq!((repository.status, repository.failures), (RepositoryStatus::Failed, 3));
        assert_eq!(repository.error, task.error);
        assert_eq!(repository.recording, Some(1), "what was half recorded is walked again");
    }

    #[test]
    fn refused_credentials_are_noted_until_the_next_attempt_ends_otherwise() {
        let credentials = CredentialRevision::new(7);
        let refused = Outcome::Refused { error: error(ErrorKind::Unauthenticated), credentials };
        let Finished { repository, task, .. } = end(&refused, None);
        assert_eq!((repository.status, repository.refused_credentials), (RepositoryStatus::Failed, Some(credentials)));
        assert_eq!((task.status, repository.failures), (TaskStatus::Failed, 3));
        assert_eq!((&repository.error, repository.next_sync_at), (&task.error, Some(LATER)));

        let (at_work, task) = at_work(TaskKind::Sync);
        let paused = Repository { refused_credentials: Some(credentials), ..at_work };
        let after = |outcome| finish(&paused, &task, None, &outcome, None, NOW).unwrap().repository.refused_credentials;
        assert_eq!(after(Outcome::Completed(Some(Box::default()))), None);
        assert_eq!(after(Outcome::Failed(error(ErrorKind::SourceNotFound))), None);
        assert_eq!(after(Outcome::Failed(error(ErrorKind::UpstreamShrank))), None);
        assert_eq!(after(Outcome::Cancelled), Some(credentials));
    }

    #[test]
    fn a_collapse_keeps_the_status_and_is_looked_at_again_in_an_hour() {
        let Finished { repository, .. } = end(&Outcome::Failed(error(ErrorKind::UpstreamShrank)), None);
        assert_eq!((repository.status, repository.shrank_at), (RepositoryStatus::Active, Some(NOW)));
        assert_eq!(repository.next_sync_at, Some(NOW.after(SHRINK_PATIENCE)));
        assert_eq!(repository.failures, 2);
    }

    #[test]
    fn a_repair_that_was_not_made_leaves_what_was_found_corrupt() {
        let (repository, mut task) = at_work(TaskKind::Migrate);
        let corrupt = error(ErrorKind::Corrupt);
        task.status_before = Some(StatusBefore { status: RepositoryStatus::Failed, error: Some(corrupt.clone()) });
        let away = finish(&repository, &task, None, &Outcome::Failed(error(ErrorKind::SourceUnreachable)), None, NOW);
        assert_eq!(away.unwrap().repository.error, Some(corrupt.clone()));
        let shrank = Outcome::Failed(error(ErrorKind::UpstreamShrank));
        let ended = finish(&repository, &task, None, &shrank, None, NOW).unwrap();
        assert_eq!((ended.repository.status, ended.repository.error), (RepositoryStatus::Failed, Some(corrupt)));
        assert_eq!((ended.task.error, ended.repository.shrank_at), (Some(error(ErrorKind::UpstreamShrank)), Some(NOW)));
    }

    #[test]
    fn a_cancelled_sync_restores_what_was() {
        let Finished { repository, task, .. } = end(&Outcome::Cancelled, None);
        assert_eq!((repository.status, task.status), (RepositoryStatus::Active, TaskStatus::Cancelled));
    }

    #[test]
    fn a_retry_waits_while_the_repository_shows_the_error() {
        let outcome = Outcome::Retry { error: error(ErrorKind::Timeout), at: LATER, spent: true };
        let Finished { repository, task, .. } = end(&outcome, None);
        assert_eq!((task.status, task.next_attempt_at, task.completed_at), (TaskStatus::Pending, Some(LATER), None));
        assert_eq!(repository.status, RepositoryStatus::Mirroring);
        assert_eq!(repository.error, Some(error(ErrorKind::Timeout)));
        assert!(task.status_before.is_some(), "a cancel can still restore it");
    }

    #[test]
    fn the_end_of_a_task_sets_its_follow_up_free() {
        let follow_up = end(&Outcome::Cancelled, Some(&held(TaskKind::Sync))).follow_up.unwrap();
        assert_eq!((follow_up.held, follow_up.status, follow_up.enqueued_at), (false, TaskStatus::Pending, None));
    }

    #[test]
    fn a_retry_takes_over_its_follow_up() {
        let outcome = Outcome::Retry { error: error(ErrorKind::Timeout), at: LATER, spent: true };
        let books = end(&outcome, Some(&held(TaskKind::Sync)));
        let weaker = books.follow_up.unwrap();
        assert_eq!((weaker.status, weaker.superseded_by), (TaskStatus::Cancelled, Some(books.task.id)));
        assert_eq!((books.task.kind, books.task.next_attempt_at), (TaskKind::Sync, Some(LATER)));

        let books = end(&outcome, Some(&held(TaskKind::Delete)));
        assert_eq!((books.task.kind, books.task.attempt), (TaskKind::Delete, 0));
        assert_eq!(books.task.next_attempt_at, Some(NOW), "the stronger work is due at once");
    }

    /// By the same rules as a request: see `rules::request`.
    #[test]
    fn a_retry_loses_nothing_that_was_asked_for() {
        let retry = Outcome::Retry { error: error(ErrorKind::Timeout), at: LATER, spent: true };
        let (repository, mut task) = at_work(TaskKind::Sync);
        task.parameters.accept_shrink = true;
        let books = finish(&repository, &task, Some(&held(TaskKind::Sync)), &retry, None, NOW).unwrap();
        assert!(books.task.parameters.accept_shrink, "a plain sync takes nothing away");

        let (repository, task) = at_work(TaskKind::Sync);
        let mut verify = held(TaskKind::Maintain);
        verify.parameters.verify = true;
        let books = finish(&repository, &task, Some(&verify), &retry, None, NOW).unwrap();
        assert_eq!((books.task.kind, books.task.parameters.verify), (TaskKind::Sync, true));

        let (repository, mut task) = at_work(TaskKind::Migrate);
        task.parameters.force = true;
        let mut elsewhere = held(TaskKind::Migrate);
        elsewhere.parameters.source = Some("https://other/a".parse().unwrap());
        let books = finish(&repository, &task, Some(&elsewhere), &retry, None, NOW).unwrap();
        assert_eq!(books.task.parameters.source, elsewhere.parameters.source, "the later wish, with the force kept");
        assert!(books.task.parameters.force);
    }

    #[test]
    fn upkeep_leaves_the_books_alone_unless_it_finds_the_repository_corrupt() {
        let upkeep = SyncTask { status: TaskStatus::Running, ..task(TaskKind::Maintain) };
        let after = |outcome| finish(&repository(), &upkeep, None, &outcome, Some(LATER), NOW).unwrap().repository;
        assert_eq!(after(Outcome::Completed(None)), repository());
        let retry = Outcome::Retry { error: error(ErrorKind::DiskFull), at: LATER, spent: true };
        assert_eq!(after(retry), repository());
        assert_eq!(after(Outcome::Failed(error(ErrorKind::DiskFull))), repository());
        assert_eq!(after(Outcome::Failed(error(ErrorKind::Corrupt))).status, RepositoryStatus::Failed);
    }

    #[test]
    fn only_a_running_task_can_end() {
        let (repository, _) = at_work(TaskKind::Sync);
        let refused = finish(&repository, &task(TaskKind::Sync), None, &Outcome::Cancelled, None, NOW);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn only_a_spent_attempt_counts() {
        let retry = |spent| Outcome::Retry { error: error(ErrorKind::RateLimited), at: LATER, spent };
        assert_eq!(end(&retry(true), None).task.attempt, 1);
        assert_eq!(end(&retry(false), None).task.attempt, 0);
        assert_eq!(end(&Outcome::Released, None).task.attempt, 0);
    }

    #[test]
    fn a_task_that_was_asked_to_stop_is_not_tried_again() {
        let (repository, task) = at_work(TaskKind::Sync);
        let asked = SyncTask { cancel_requested_at: Some(NOW), ..task };
        let retry = Outcome::Retry { error: error(ErrorKind::Timeout), at: LATER, spent: true };
        for outcome in [retry, Outcome::Released] {
            let books = finish(&repository, &asked, Some(&held(TaskKind::Delete)), &outcome, None, NOW).unwrap();
            assert_eq!((books.task.status, books.repository.status), (TaskStatus::Cancelled, RepositoryStatus::Active));
            assert_eq!(books.follow_up.map(|next| (next.status, next.held)), Some((TaskStatus::Pending, false)));
        }
    }
}
