//! Tasks. A row is also the outbox of the queue, and after the purge of its repository what is left of it.

use gitsync_core::model::TaskKind;
use gitsync_core::state::{RepositoryStatus, TaskStatus};
use sea_query::{Expr, IndexCreateStatement, TableCreateStatement};

use super::{boolean, bytes, int, one_of, opt_bytes, opt_int, opt_text, text};
use crate::Dialect;

super::names!("sync_task" {
    ID = "id",
    REPOSITORY = "repository_id",
    ORGANISATION = "organisation_id",
    KIND = "kind",
    SOURCE = "source",
    FORCE = "force_clone",
    ACCEPT_SHRINK = "accept_shrink",
    STATUS = "status",
    HELD = "held",
    ATTEMPT = "attempt",
    EPOCH = "epoch",
    PHASE = "progress_phase",
    OBJECTS = "progress_objects",
    BYTES = "progress_bytes",
    COMMITS = "progress_commits",
    BEFORE_STATUS = "before_status",
    BEFORE_ERROR_KIND = "before_error_kind",
    BEFORE_ERROR_MESSAGE = "before_error_message",
    COMMITS_SYNCED = "commits_synced",
    ERROR_KIND = "error_kind",
    ERROR_MESSAGE = "error_message",
    NEXT_ATTEMPT_AT = "next_attempt_at",
    CANCEL_REQUESTED_AT = "cancel_requested_at",
    SUPERSEDED_BY = "superseded_by",
    CREATED_AT = "created_at",
    ENQUEUED_AT = "enqueued_at",
    STARTED_AT = "started_at",
    COMPLETED_AT = "completed_at",
    VERIFY = "verify",
});

/// There is no foreign key to the repository: the task that removes it stays and tells how that ended.
pub(crate) fn table() -> TableCreateStatement {
    super::table(TABLE)
        .col(bytes(ID).primary_key())
        .col(int(REPOSITORY))
        .col(int(ORGANISATION))
        .col(one_of(text(KIND), TaskKind::ALL.iter().map(|kind| kind.as_str())))
        .col(opt_text(SOURCE))
        .col(boolean(FORCE))
        .col(boolean(ACCEPT_SHRINK))
        .col(one_of(text(STATUS), TaskStatus::ALL.iter().map(|status| status.as_str())))
        .col(boolean(HELD))
        .col(int(ATTEMPT))
        .col(int(EPOCH))
        .col(text(PHASE))
        .col(int(OBJECTS))
        .col(int(BYTES))
        .col(int(COMMITS))
        .col(one_of(opt_text(BEFORE_STATUS), RepositoryStatus::ALL.iter().map(|status| status.as_str())))
        .col(opt_text(BEFORE_ERROR_KIND))
        .col(opt_text(BEFORE_ERROR_MESSAGE))
        .col(int(COMMITS_SYNCED))
        .col(opt_text(ERROR_KIND))
        .col(opt_text(ERROR_MESSAGE))
        .col(opt_int(NEXT_ATTEMPT_AT))
        .col(opt_int(CANCEL_REQUESTED_AT))
        .col(opt_bytes(SUPERSEDED_BY))
        .col(int(CREATED_AT))
        .col(opt_int(ENQUEUED_AT))
        .col(opt_int(STARTED_AT))
        .col(opt_int(COMPLETED_AT))
        .to_owned()
}

/// Adds whether the repository is verified.
pub(crate) fn verify(dialect: Dialect) -> Vec<String> {
    let boolean = match dialect {
        Dialect::Sqlite => "boolean",
        Dialect::Postgres => "bool",
    };
    vec![format!(r#"ALTER TABLE "sync_task" ADD COLUMN "verify" {boolean} NOT NULL DEFAULT FALSE"#)]
}

pub(crate) fn indexes() -> Vec<IndexCreateStatement> {
    let index = |name, columns: &[&'static str]| super::index(TABLE, name, columns);
    let partial = |name, columns: &[&'static str], condition| super::partial(TABLE, name, columns, condition);
    vec![
        // At most one task of a repository waits and one runs. Requests find them here as well.
        partial("sync_task_pending", &[REPOSITORY], is(TaskStatus::Pending)).unique().to_owned(),
        partial("sync_task_running", &[REPOSITORY], is(TaskStatus::Running)).unique().to_owned(),
        partial("sync_task_outbox", &[ID], to_enqueue()),
        index("sync_task_by_repository", &[REPOSITORY, ID]),
        index("sync_task_by_status", &[STATUS, ID]),
        index("sync_task_by_kind", &[KIND, ID]),
        partial("sync_task_ended", &[COMPLETED_AT], ended()),
    ]
}

/// Holds for a task in a status.
pub(crate) fn is(status: TaskStatus) -> Expr {
    super::literal(format!("{STATUS} = '{status}'"))
}

/// Holds for a task whose job is still to be put into the queue: one that waits.
///
/// It says so by what the status is not. An equation would lead SQLite to the index by status, and through all that wait
/// and are in the queue already.
pub(crate) fn to_enqueue() -> Expr {
    let others = TaskStatus::ALL.iter().filter(|status| **status != TaskStatus::Pending);
    let waits: Vec<_> = others.map(|status| format!("{STATUS} <> '{status}'")).collect();
    super::literal(format!("{ENQUEUED_AT} IS NULL AND NOT {HELD} AND {}", waits.join(" AND ")))
}

/// Holds for a task that has ended.
pub(crate) fn ended() -> Expr {
    super::literal(format!("{COMPLETED_AT} IS NOT NULL"))
}
