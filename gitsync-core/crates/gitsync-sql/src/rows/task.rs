//! Rows of tasks.

use gitsync_core::Result;
use gitsync_core::model::{OrganisationId, Progress, RepositoryId, SyncTask, TaskKind, TaskParameters};
use gitsync_core::state::TaskStatus;

use super::{ErrorColumns, read_before, read_error, text, write_before, write_error};
use crate::Row;
use crate::schema::task::{
    ACCEPT_SHRINK, ATTEMPT, BEFORE_ERROR_KIND, BEFORE_ERROR_MESSAGE, BEFORE_STATUS, BYTES, CANCEL_REQUESTED_AT,
    COMMITS, COMMITS_SYNCED, COMPLETED_AT, CREATED_AT, ENQUEUED_AT, EPOCH, ERROR_KIND, ERROR_MESSAGE, FORCE, HELD, ID,
    KIND, NEXT_ATTEMPT_AT, OBJECTS, ORGANISATION, PHASE, REPOSITORY, SOURCE, STARTED_AT, STATUS, SUPERSEDED_BY, VERIFY,
};
use crate::statement::Record;

const ERROR: ErrorColumns = (ERROR_KIND, ERROR_MESSAGE);
const BEFORE_ERROR: ErrorColumns = (BEFORE_ERROR_KIND, BEFORE_ERROR_MESSAGE);

pub(crate) fn record(task: &SyncTask) -> Record {
    let parameters = &task.parameters;
    let mut record: Record = vec![
        (ID, task.id.into()),
        (REPOSITORY, task.repository.0.into()),
        (ORGANISATION, task.organisation.0.into()),
        (KIND, task.kind.as_str().into()),
        (SOURCE, parameters.source.as_ref().map(ToString::to_string).into()),
        (FORCE, parameters.force.into()),
        (ACCEPT_SHRINK, parameters.accept_shrink.into()),
        (VERIFY, parameters.verify.into()),
        (STATUS, task.status.as_str().into()),
        (HELD, task.held.into()),
        (ATTEMPT, task.attempt.into()),
        (EPOCH, task.epoch.into()),
    ];
    record.extend(progress_record(&task.progress));
    write_before(&mut record, BEFORE_STATUS, BEFORE_ERROR, task.status_before.as_ref());
    record.push((COMMITS_SYNCED, task.commits_synced.into()));
    write_error(&mut record, ERROR, task.error.as_ref());
    record.extend([
        (NEXT_ATTEMPT_AT, task.next_attempt_at.into()),
        (CANCEL_REQUESTED_AT, task.cancel_requested_at.into()),
        (SUPERSEDED_BY, task.superseded_by.into()),
        (CREATED_AT, task.created_at.into()),
        (ENQUEUED_AT, task.enqueued_at.into()),
        (STARTED_AT, task.started_at.into()),
        (COMPLETED_AT, task.completed_at.into()),
    ]);
    record
}

/// Returns the columns that say how far a task is.
pub(crate) fn progress_record(progress: &Progress) -> Record {
    vec![
        (PHASE, text(&progress.phase).into()),
        (OBJECTS, progress.objects.into()),
        (BYTES, progress.bytes.into()),
        (COMMITS, progress.commits.into()),
    ]
}

pub(crate) fn read(row: &mut Row) -> Result<SyncTask> {
    let status_before = read_before(row, BEFORE_STATUS, BEFORE_ERROR)?;
    let error = read_error(row, ERROR)?;
    Ok(SyncTask {
        id: row.task_id(ID)?,
        repository: RepositoryId(row.number(REPOSITORY)?),
        organisation: OrganisationId(row.number(ORGANISATION)?),
        kind: row.named(KIND, TaskKind::from_name)?,
        parameters: TaskParameters {
            source: row.opt_parsed(SOURCE, str::parse)?,
            force: row.boolean(FORCE)?,
            accept_shrink: row.boolean(ACCEPT_SHRINK)?,
            verify: row.boolean(VERIFY)?,
        },
        status: row.named(STATUS, TaskStatus::from_name)?,
        held: row.boolean(HELD)?,
        attempt: row.number(ATTEMPT)?,
        epoch: row.int(EPOCH)?,
        progress: Progress {
            phase: row.text(PHASE)?,
            objects: row.number(OBJECTS)?,
            bytes: row.number(BYTES)?,
            commits: row.number(COMMITS)?,
        },
        status_before,
        commits_synced: row.number(COMMITS_SYNCED)?,
        error,
        next_attempt_at: row.opt_timestamp(NEXT_ATTEMPT_AT)?,
        cancel_requested_at: row.opt_timestamp(CANCEL_REQUESTED_AT)?,
        superseded_by: row.opt_task_id(SUPERSEDED_BY)?,
        created_at: row.timestamp(CREATED_AT)?,
        enqueued_at: row.opt_timestamp(ENQUEUED_AT)?,
        started_at: row.opt_timestamp(STARTED_AT)?,
        completed_at: row.opt_timestamp(COMPLETED_AT)?,
    })
}
