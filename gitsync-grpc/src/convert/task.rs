//! Tasks.

use gitsync_core::model::SyncTask;

use super::{count, shown, time};
use crate::proto;

pub(crate) fn task(task: &SyncTask) -> proto::SyncTask {
    let (error_kind, error_message) = shown(task.error.as_ref());
    proto::SyncTask {
        task_id: task.id.to_string(),
        repository_id: task.repository.0,
        kind: task.kind.as_str().to_owned(),
        status: task.status.as_str().to_owned(),
        held: task.held,
        attempt: i32::try_from(task.attempt).unwrap_or(i32::MAX),
        phase: task.progress.phase.clone(),
        received_objects: count(task.progress.objects),
        received_bytes: count(task.progress.bytes),
        recorded_commits: count(task.progress.commits),
        commits_synced: count(task.commits_synced),
        error_kind,
        error_message,
        superseded_by: task.superseded_by.map_or_else(String::new, |id| id.to_string()),
        force: task.parameters.force,
        accept_shrink: task.parameters.accept_shrink,
        source_url: task.parameters.source.as_ref().map_or_else(String::new, ToString::to_string),
        created_at: Some(time(task.created_at)),
        started_at: task.started_at.map(time),
        completed_at: task.completed_at.map(time),
        next_attempt_at: task.next_attempt_at.map(time),
        cancel_requested_at: task.cancel_requested_at.map(time),
        verify: task.parameters.verify,
    }
}
