//! Tasks that wait again, and those that wait behind them.

use super::harness::{StoreHarness, completion, error, refusal};
use crate::error::ErrorKind;
use crate::model::{Repository, TaskKind, TaskParameters};
use crate::rules::{self, Outcome};
use crate::state::{RepositoryStatus, TaskStatus};

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

/// An attempt that is spent counts, and one that a rate limit ended or that was given back does not.
pub async fn only_a_spent_attempt_counts(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let task = h.request(repository.id, TaskKind::Sync).await.task;
    let retry = |spent| Outcome::Retry { error: error(ErrorKind::RateLimited), at: h.in_seconds(60), spent };
    for (outcome, attempts) in [(retry(false), 0), (retry(true), 1), (Outcome::Released, 1), (retry(true), 2)] {
        let work = h.start(task.id).await;
        let waiting = h.finish(&work, outcome.clone()).await;
        assert_eq!((waiting.status, waiting.attempt), (TaskStatus::Pending, attempts), "{outcome:?}");
        assert_eq!(waiting.completed_at, None);
        assert_eq!(h.task(task.id).await, waiting);
    }
    assert_eq!(h.task(task.id).await.epoch, 4, "an epoch is never given back");
}

/// A task that is given back waits again, due at once, and its repository keeps its status until it is taken up again.
pub async fn a_released_task_waits_again(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let released = h.finish(&work, Outcome::Released).await;
    h.assert_now(released.next_attempt_at);
    assert_eq!((released.status, &released.error), (TaskStatus::Pending, &None));
    assert_eq!(h.repository(repository.id).await, work.repository);

    let again = h.start(released.id).await;
    assert_eq!((again.task.attempt, again.task.epoch, again.task.next_attempt_at), (1, 2, None));
    assert_eq!(again.task.status_before, work.task.status_before, "what the repository was is put aside once");
    assert_eq!(again.repository, Repository { fence: again.work.fence, ..work.repository });
    assert!(again.work.fence > work.work.fence);
}

/// A success after a failed attempt leaves no trace of the failure but the count of attempts.
pub async fn a_retry_that_succeeds_clears_the_error(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let at = h.in_seconds(60);
    h.finish(&work, Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true }).await;
    let again = h.start(work.task.id).await;
    assert_eq!((again.task.attempt, &again.task.error), (2, &Some(error(ErrorKind::Timeout))));
    assert_eq!(again.repository.error, Some(error(ErrorKind::Timeout)), "it is shown until the attempt has ended");
    let ended = h.complete(&again, completion(1, 1), None).await;
    assert_eq!((ended.status, ended.attempt, ended.error), (TaskStatus::Completed, 2, None));
    let repository = h.repository(repository.id).await;
    assert_eq!((repository.status, repository.error, repository.failures), (RepositoryStatus::Active, None, 0));
}

/// A task that is to be tried again does the stronger work of its follow-up, at once and with all attempts.
pub async fn a_retry_takes_over_stronger_work(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let force = TaskParameters { force: true, ..TaskParameters::default() };
    let follow_up =
        h.try_request(repository.id, TaskKind::Migrate, force.clone()).await.expect("a forced migrate").task;
    let at = h.in_seconds(600);
    let retried = h.finish(&work, Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true }).await;
    assert_eq!((retried.id, retried.kind, &retried.parameters), (work.task.id, TaskKind::Migrate, &force));
    assert_eq!((retried.attempt, retried.enqueued_at), (0, None));
    h.assert_now(retried.next_attempt_at);
    assert_eq!(h.task(retried.id).await, retried);
    assert_eq!(h.outbox().await, [rules::job(&repository, &retried)]);
    let follow_up = h.task(follow_up.id).await;
    assert_eq!((follow_up.status, follow_up.superseded_by), (TaskStatus::Cancelled, Some(retried.id)));
    h.assert_now(follow_up.completed_at);
}

/// A follow-up begins when the task before it has ended, and not before.
pub async fn a_held_task_is_not_started(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let follow_up = h.request(repository.id, TaskKind::Sync).await.task;
    let before = h.books(repository.id).await;
    assert_eq!(refusal(h.store.start_task(follow_up.id, 1, 1).await), ErrorKind::Conflict);
    assert_eq!(h.books(repository.id).await, before);
    h.complete(&work, completion(1, 1), None).await;
    assert_eq!(h.start(follow_up.id).await.task.status, TaskStatus::Running);
}
