//! Cancellation of tasks in every state.

use super::harness::{SECOND, StoreHarness, completion, error, refusal};
use crate::error::ErrorKind;
use crate::model::{Repository, SyncTask, TaskKind};
use crate::rules::Outcome;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::store::StartedTask;

/// A waiting task ends at once, its repository stays what it was, and its job does nothing.
pub async fn a_waiting_task_ends_at_once(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let task = h.request(repository.id, TaskKind::Sync).await.task;
    let cancelled = cancel(&h, &task).await;
    h.assert_now(cancelled.completed_at);
    let expected = SyncTask { status: TaskStatus::Cancelled, completed_at: cancelled.completed_at, ..task.clone() };
    assert_eq!(cancelled, expected);
    assert_eq!(h.task(task.id).await, cancelled);
    assert_eq!(h.repository(repository.id).await, repository);
    assert_eq!(h.outbox().await, []);
    let late = h.store.start_task(task.id, 1, 1).await.expect("a late delivery is no error");
    assert!(matches!(late, StartedTask::AlreadyFinished), "{late:?}");
    let next = h.request(repository.id, TaskKind::Sync).await.task;
    assert_ne!(next.id, task.id, "the next request makes a new one");
}

/// A repository whose first task is cancelled has failed; another request sets it up.
pub async fn a_cancelled_first_task_fails_the_repository(h: StoreHarness) {
    let (repository, task) = h.create("r").await;
    cancel(&h, &task).await;
    let failed = h.repository(repository.id).await;
    assert_eq!(failed.status, RepositoryStatus::Failed);
    assert_eq!(failed.error.as_ref().map(|error| error.kind), Some(ErrorKind::Cancelled));
    let again = h.running(repository.id, TaskKind::Migrate).await;
    h.complete(&again, completion(1, 1), None).await;
    let active = h.repository(repository.id).await;
    assert_eq!((active.status, active.error), (RepositoryStatus::Active, None));
}

/// A task that waits for another attempt gives its repository back the status and the error it had before.
pub async fn a_cancelled_retry_restores_what_was(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let failing = h.running(repository, TaskKind::Sync).await;
    h.finish(&failing, Outcome::Failed(error(ErrorKind::SourceNotFound))).await;
    let before = h.repository(repository).await;

    let work = h.running(repository, TaskKind::Sync).await;
    let at = h.in_seconds(60);
    let retry = Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true };
    let waiting = h.finish(&work, retry).await;
    let busy = h.repository(repository).await;
    assert_eq!((busy.status, busy.error), (RepositoryStatus::Mirroring, Some(error(ErrorKind::Timeout))));
    cancel(&h, &waiting).await;
    let restored = h.repository(repository).await;
    assert_eq!((restored.status, &restored.error), (RepositoryStatus::Failed, &before.error));
    assert_eq!(restored, Repository { fence: work.work.fence, ..before });
}

/// A held follow-up can be cancelled like any waiting task, and the runner goes on.
pub async fn a_held_task_can_be_cancelled(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let follow_up = h.request(repository.id, TaskKind::Sync).await.task;
    let cancelled = cancel(&h, &follow_up).await;
    assert_eq!((cancelled.status, cancelled.held), (TaskStatus::Cancelled, false));
    assert_eq!(h.repository(repository.id).await, work.repository);
    assert_eq!(h.task(work.task.id).await, work.task);
    h.complete(&work, completion(1, 1), None).await;
    assert_eq!(h.task(follow_up.id).await, cancelled);
    assert_eq!(h.outbox().await, []);
}

/// A running task is asked to stop, once, and ends when its worker says so.
pub async fn a_running_task_is_asked_to_stop(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let asked = cancel(&h, &work.task).await;
    h.assert_now(asked.cancel_requested_at);
    assert_eq!(asked, SyncTask { cancel_requested_at: asked.cancel_requested_at, ..work.task.clone() });
    assert_eq!(h.repository(repository.id).await, work.repository);
    h.clock.advance(10 * SECOND);
    assert_eq!(cancel(&h, &work.task).await, asked);
    assert_eq!(h.task(work.task.id).await, asked);

    let ended = h.finish(&work, Outcome::Cancelled).await;
    assert_eq!((ended.status, ended.cancel_requested_at), (TaskStatus::Cancelled, asked.cancel_requested_at));
    h.assert_now(ended.completed_at);
    assert_eq!(h.repository(repository.id).await, Repository { fence: work.work.fence, ..repository });
}

/// A task that was asked to stop is not tried again: neither after a failure nor after a shutdown.
pub async fn a_task_that_was_asked_to_stop_is_not_tried_again(h: StoreHarness) {
    let at = h.in_seconds(60);
    let retry = Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true };
    for (outcome, name) in [(retry, "a"), (Outcome::Released, "b")] {
        let repository = h.migrated(name).await;
        let work = h.running(repository.id, TaskKind::Sync).await;
        cancel(&h, &work.task).await;
        let ended = h.finish(&work, outcome).await;
        assert_eq!((ended.status, ended.next_attempt_at), (TaskStatus::Cancelled, None));
        assert_eq!(h.task(ended.id).await, ended);
        assert_eq!(h.repository(repository.id).await.status, RepositoryStatus::Active);
        assert_eq!(h.outbox().await, []);
    }
}

/// A worker that had finished when the cancellation came has finished.
pub async fn a_cancelled_task_may_still_complete(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    cancel(&h, &work.task).await;
    let ended = h.complete(&work, completion(4, 1), None).await;
    assert_eq!(ended.status, TaskStatus::Completed);
    assert_eq!(h.repository(repository.id).await.total_commits, 4);
}

/// What has ended stays as it is.
pub async fn a_task_that_has_ended_stays(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let completed = h.running(repository.id, TaskKind::Sync).await;
    let completed = h.complete(&completed, completion(1, 1), None).await;
    let failed = h.running(repository.id, TaskKind::Sync).await;
    let failed = h.finish(&failed, Outcome::Failed(error(ErrorKind::Timeout))).await;
    let cancelled = h.request(repository.id, TaskKind::Sync).await.task;
    let cancelled = cancel(&h, &cancelled).await;
    let before = h.books(repository.id).await;
    h.clock.advance(10 * SECOND);
    for task in [completed, failed, cancelled] {
        assert_eq!(cancel(&h, &task).await, task);
    }
    assert_eq!(h.books(repository.id).await, before);
}

/// A deletion cannot be taken back, neither while it waits nor while it runs.
pub async fn a_deletion_cannot_be_cancelled(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let deletion = h.request(repository.id, TaskKind::Delete).await.task;
    assert_eq!(refusal(h.store.cancel_task(deletion.id).await), ErrorKind::Conflict);
    assert_eq!(h.task(deletion.id).await, deletion);
    let running = h.start(deletion.id).await.task;
    assert_eq!(refusal(h.store.cancel_task(deletion.id).await), ErrorKind::Conflict);
    assert_eq!(h.task(deletion.id).await, running);
}

async fn cancel(h: &StoreHarness, task: &SyncTask) -> SyncTask {
    h.store.cancel_task(task.id).await.expect("the task can be cancelled")
}
