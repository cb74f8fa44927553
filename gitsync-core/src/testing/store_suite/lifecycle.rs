//! The life of a task: what its start and its end change.

use super::harness::{StoreHarness, completion, error};
use crate::error::ErrorKind;
use crate::model::{StatusBefore, TaskKind};
use crate::rules::Outcome;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::store::StartedTask;

/// A first clone from its request to its end, and what a late second delivery finds.
pub async fn a_migrate_runs_to_its_end(h: StoreHarness) {
    let (repository, task) = h.create("r").await;
    let work = h.start(task.id).await;
    assert_eq!((work.task.status, work.task.epoch, work.task.attempt), (TaskStatus::Running, 1, 1));
    h.assert_now(work.task.started_at);
    assert_eq!(work.task.status_before, Some(StatusBefore { status: RepositoryStatus::Pending, error: None }));
    assert_eq!((work.repository.status, work.repository.fence), (RepositoryStatus::Mirroring, 1));
    assert_eq!((work.organisation.as_str(), work.was_recording), ("org", false));
    assert_eq!((work.baseline_digest, work.policy_digest), (None, None));
    assert_eq!(h.repository(repository.id).await, work.repository);
    assert_eq!(h.task(task.id).await, work.task);

    let ended = h.complete(&work, completion(7, 2), None).await;
    assert_eq!((ended.status, ended.commits_synced), (TaskStatus::Completed, 1));
    h.assert_now(ended.completed_at);
    assert_eq!(h.task(task.id).await, ended);
    let repository = h.repository(repository.id).await;
    assert_eq!((repository.status, repository.total_commits), (RepositoryStatus::Active, 7));
    assert_eq!((repository.recorded_refs, repository.size_bytes), (2, 1000));
    assert_eq!(repository.default_branch, completion(7, 2).default_branch);
    assert_eq!(repository.last_commit, completion(7, 2).last_commit);
    assert_eq!(repository.next_sync_at, Some(h.in_seconds(3600)));
    h.assert_now(repository.last_synced_at);
    h.assert_now(repository.last_changed_at);

    let late = h.store.start_task(task.id, 2, 2).await.expect("a late delivery is no error");
    assert!(matches!(late, StartedTask::AlreadyFinished), "{late:?}");
    assert_eq!(h.repository(repository.id).await, repository);
}

/// A final failure is shown, counted, and leads to the next look at upstream.
pub async fn a_failure_is_shown_by_task_and_repository(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let outcome = Outcome::Failed(error(ErrorKind::SourceNotFound));
    let next = Some(h.in_seconds(600));
    let ended = h.store.finish_task(work.work, &outcome, None, next).await.expect("the task can fail");
    assert_eq!((ended.status, &ended.error), (TaskStatus::Failed, &Some(error(ErrorKind::SourceNotFound))));
    assert_eq!(h.task(ended.id).await, ended);
    let failed = h.repository(repository.id).await;
    assert_eq!((failed.status, failed.error), (RepositoryStatus::Failed, ended.error));
    assert_eq!((failed.failures, failed.next_sync_at), (1, next));
    assert_eq!(failed.total_commits, repository.total_commits);
}

/// Only one task of a repository waits: one that is to be tried again takes the place of what was requested meanwhile.
pub async fn a_retry_takes_over_its_follow_up(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let follow_up = h.request(repository.id, TaskKind::Sync).await.task;
    let at = h.in_seconds(60);
    let retried = h.finish(&work, Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true }).await;
    assert_eq!((retried.status, retried.next_attempt_at, retried.attempt), (TaskStatus::Pending, Some(at), 1));
    assert_eq!(h.task(retried.id).await, retried);
    let follow_up = h.task(follow_up.id).await;
    assert_eq!((follow_up.status, follow_up.superseded_by), (TaskStatus::Cancelled, Some(retried.id)));
    assert!(!follow_up.held);
    let repository = h.repository(repository.id).await;
    assert_eq!(repository.status, RepositoryStatus::Mirroring);
    assert_eq!(repository.error, Some(error(ErrorKind::Timeout)));
}
