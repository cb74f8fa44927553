//! What is left of a deleted repository.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{SyncTask, TaskKind};
use crate::state::TaskStatus;

/// Decides the end of a deletion: returns its task, completed, as the one row that stays, so that whoever asked for the
/// deletion can see that it was done.
///
/// # Errors
/// [`ErrorKind::Conflict`] unless the task is a running deletion.
pub fn purge(task: &SyncTask, now: Timestamp) -> Result<SyncTask> {
    if task.kind != TaskKind::Delete || task.status != TaskStatus::Running {
        return Err(Error::new(ErrorKind::Conflict, "only a running deletion removes a repository")
            .with("task", task.id)
            .with("kind", task.kind.as_str())
            .with("status", task.status));
    }
    Ok(SyncTask { status: TaskStatus::Completed, completed_at: Some(now), error: None, ..task.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::{NOW, task};

    #[test]
    fn only_a_running_deletion_ends_like_this() {
        let running = |kind| SyncTask { status: TaskStatus::Running, ..task(kind) };
        let tombstone = purge(&running(TaskKind::Delete), NOW).unwrap();
        assert_eq!((tombstone.status, tombstone.completed_at), (TaskStatus::Completed, Some(NOW)));
        for refused in [running(TaskKind::Sync), task(TaskKind::Delete)] {
            assert_eq!(purge(&refused, NOW).unwrap_err().kind(), ErrorKind::Conflict);
        }
    }
}
