//! Tasks: what is to be done to a repository, and how far it is.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::ErrorKind;
use crate::model::{OrganisationId, RepositoryId, StatusBefore, TaskId};
use crate::source::SourceUrl;
use crate::state::TaskStatus;

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskKind {
    /// Makes an empty repository.
    Initialize,
    /// Clones upstream for the first time, or anew.
    Migrate,
    /// Brings the repository in step with upstream.
    Sync,
    /// Makes packs fewer, and verifies the repository if that is asked for.
    Maintain,
    /// Removes the repository, its records and its files.
    Delete,
}

impl TaskKind {
    /// Every kind, in declaration order.
    pub const ALL: &[TaskKind] =
        &[TaskKind::Initialize, TaskKind::Migrate, TaskKind::Sync, TaskKind::Maintain, TaskKind::Delete];

    /// Returns the stable lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            TaskKind::Initialize => "initialize",
            TaskKind::Migrate => "migrate",
            TaskKind::Sync => "sync",
            TaskKind::Maintain => "maintain",
            TaskKind::Delete => "delete",
        }
    }

    /// Returns the kind that has this stable name, if there is one.
    pub fn from_name(name: &str) -> Option<TaskKind> {
        TaskKind::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }

    /// Tells whether the task talks to upstream; the others need no place among those of a source host.
    pub const fn needs_upstream(self) -> bool {
        matches!(self, TaskKind::Migrate | TaskKind::Sync)
    }
}

/// What a task was asked for beside its kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskParameters {
    /// Where to migrate from; `None` means the repository's own source.
    pub source: Option<SourceUrl>,
    /// Whether a migrate may replace an existing clone.
    pub force: bool,
    /// Whether a sync believes an upstream that lost most of its references.
    pub accept_shrink: bool,
    /// Whether it is checked that everything is there which the references lead to.
    pub verify: bool,
}

/// How strongly a request asserts itself against a task that waits: the stronger one takes over.
///
/// Ordered: maintain, sync, initialize, migrate, forced migrate, delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// See [`TaskKind::Maintain`].
    Maintain,
    /// See [`TaskKind::Sync`].
    Sync,
    /// See [`TaskKind::Initialize`].
    Initialize,
    /// See [`TaskKind::Migrate`].
    Migrate,
    /// A migrate that may replace an existing clone.
    ForcedMigrate,
    /// See [`TaskKind::Delete`].
    Delete,
}

impl Strength {
    /// Returns the strength of a task of this kind with these parameters.
    pub const fn of(kind: TaskKind, parameters: &TaskParameters) -> Strength {
        match kind {
            TaskKind::Maintain => Strength::Maintain,
            TaskKind::Sync => Strength::Sync,
            TaskKind::Initialize => Strength::Initialize,
            TaskKind::Migrate if parameters.force => Strength::ForcedMigrate,
            TaskKind::Migrate => Strength::Migrate,
            TaskKind::Delete => Strength::Delete,
        }
    }
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing, for people: `fetching`, `recording`, …
    pub phase: String,
    /// Objects received.
    pub objects: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Commits recorded.
    pub commits: u64,
}

/// An error as it is stored with a repository or a task: free of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredError {
    /// What went wrong, for programs.
    pub kind: ErrorKind,
    /// What went wrong, for people, with the hint if there is one.
    pub message: String,
}

impl From<&crate::Error> for StoredError {
    fn from(error: &crate::Error) -> Self {
        let message = match error.hint_text() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        };
        StoredError { kind: error.kind(), message }
    }
}

/// One task of one repository. Its row is the outbox of the queue: the job has the same id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncTask {
    /// The id, ordered by creation time.
    pub id: TaskId,
    /// The repository it is about.
    pub repository: RepositoryId,
    /// The organisation of its repository, so that who may see the task can be told also when that is gone.
    pub organisation: OrganisationId,
    /// What it does.
    pub kind: TaskKind,
    /// What it was asked for beside its kind.
    pub parameters: TaskParameters,
    /// Where it is in its life.
    pub status: TaskStatus,
    /// Whether it waits for the running task of its repository to end.
    pub held: bool,
    /// How many attempts have begun.
    pub attempt: u32,
    /// The highest epoch of its job that was seen; writes on behalf of a lower one are refused.
    pub epoch: i64,
    /// How far it is.
    pub progress: Progress,
    /// What its repository was before it began; a cancel restores it.
    pub status_before: Option<StatusBefore>,
    /// How many commits the repository gained by it.
    pub commits_synced: u64,
    /// The error of the last attempt.
    pub error: Option<StoredError>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// When somebody asked a running task to stop.
    pub cancel_requested_at: Option<Timestamp>,
    /// The task that took its place.
    pub superseded_by: Option<TaskId>,
    /// When it was requested.
    pub created_at: Timestamp,
    /// When its job was put into the queue; `None` means that is still to be done.
    pub enqueued_at: Option<Timestamp>,
    /// When its latest attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn kinds_are_found_by_their_names() {
        for kind in TaskKind::ALL {
            assert_eq!(TaskKind::from_name(kind.as_str()), Some(*kind));
        }
        assert_eq!(TaskKind::from_name("nonsense"), None);
    }

    #[test]
    fn delete_beats_everything_and_force_beats_a_plain_migrate() {
        let plain = TaskParameters::default();
        let force = TaskParameters { force: true, ..TaskParameters::default() };
        let rising = [
            Strength::of(TaskKind::Maintain, &plain),
            Strength::of(TaskKind::Sync, &plain),
            Strength::of(TaskKind::Initialize, &plain),
            Strength::of(TaskKind::Migrate, &plain),
            Strength::of(TaskKind::Migrate, &force),
            Strength::of(TaskKind::Delete, &plain),
        ];
        assert!(rising.is_sorted_by(|weaker, stronger| weaker < stronger));
        assert_eq!(Strength::of(TaskKind::Sync, &force), Strength::Sync, "force means nothing to a sync");
    }

    #[test]
    fn a_stored_error_carries_the_hint() {
        let error = Error::new(ErrorKind::SourceNotFound, "no such repository").hint("check the address");
        let stored = StoredError::from(&error);
        assert_eq!(stored.message, "no such repository; check the address");
        assert_eq!(stored.kind, ErrorKind::SourceNotFound);
    }
}
