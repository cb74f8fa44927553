//! Repositories that are set aside and taken back.

use super::harness::{SECOND, StoreHarness, error, refusal};
use crate::error::ErrorKind;
use crate::model::{Repository, StatusBefore, SyncTask, TaskKind};
use crate::rules::{Archived, Outcome};
use crate::state::{RepositoryStatus, TaskStatus};

/// An archived repository is again what it was when it is taken back. Doing either twice is doing it once.
pub async fn archiving_puts_aside_what_was(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    h.finish(&work, Outcome::Failed(error(ErrorKind::SourceNotFound))).await;
    let before = h.repository(repository).await;

    h.clock.advance(10 * SECOND);
    let Archived { repository: archived, cancelled } = archive(&h, &before).await;
    assert_eq!(cancelled, None);
    h.assert_now(Some(archived.updated_at));
    let put_aside = StatusBefore { status: RepositoryStatus::Failed, error: before.error.clone() };
    let expected = Repository {
        status: RepositoryStatus::Archived,
        error: None,
        before_archive: Some(put_aside),
        updated_at: archived.updated_at,
        ..before.clone()
    };
    assert_eq!(archived, expected);
    assert_eq!(h.repository(repository).await, archived);
    h.clock.advance(10 * SECOND);
    assert_eq!(archive(&h, &before).await, Archived { repository: archived, cancelled: None });

    let back = unarchive(&h, &before).await;
    h.assert_now(Some(back.updated_at));
    assert_eq!(back, Repository { updated_at: back.updated_at, ..before.clone() });
    assert_eq!(h.repository(repository).await, back);
    h.clock.advance(10 * SECOND);
    assert_eq!(unarchive(&h, &before).await, back);
}

/// A waiting task is cancelled with it, and does not begin when its job is delivered after all.
pub async fn archiving_cancels_a_waiting_task(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let task = h.request(repository.id, TaskKind::Sync).await.task;
    let Archived { repository: archived, cancelled } = archive(&h, &repository).await;
    let cancelled = cancelled.expect("the task was cancelled");
    h.assert_now(cancelled.completed_at);
    let expected = SyncTask { status: TaskStatus::Cancelled, completed_at: cancelled.completed_at, ..task };
    assert_eq!(cancelled, expected);
    assert_eq!(h.task(cancelled.id).await, cancelled);
    assert_eq!(archived.status, RepositoryStatus::Archived);
    assert_eq!(h.outbox().await, []);
}

/// What a task that waits for a retry had put aside is what archiving puts aside.
pub async fn archiving_between_two_attempts_keeps_what_was_before_them(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let at = h.in_seconds(60);
    h.finish(&work, Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true }).await;
    let archived = archive(&h, &repository).await.repository;
    assert_eq!(archived.before_archive, Some(StatusBefore { status: RepositoryStatus::Active, error: None }));
    let back = unarchive(&h, &repository).await;
    assert_eq!((back.status, back.error), (RepositoryStatus::Active, None));
}

/// A repository whose first task has not begun can be set aside: it has failed, and says so again when it is back.
pub async fn a_new_repository_can_be_archived(h: StoreHarness) {
    let (repository, task) = h.create("r").await;
    let archived = archive(&h, &repository).await;
    assert_eq!(archived.cancelled.map(|task| task.id), Some(task.id));
    let back = unarchive(&h, &repository).await;
    assert_eq!(back.status, RepositoryStatus::Failed);
    assert_eq!(back.error.map(|error| error.kind), Some(ErrorKind::Cancelled));
}

/// While a task runs archiving is refused, and neither the task nor its follow-up is touched.
pub async fn a_repository_at_work_is_not_archived(h: StoreHarness) {
    let repository = h.migrated("r").await;
    h.running(repository.id, TaskKind::Sync).await;
    h.request(repository.id, TaskKind::Sync).await;
    let before = h.books(repository.id).await;
    assert_eq!(refusal(h.store.archive_repository(repository.id).await), ErrorKind::Conflict);
    assert_eq!(h.books(repository.id).await, before);
}

/// An archived repository takes no work but its deletion.
pub async fn an_archived_repository_refuses_work(h: StoreHarness) {
    let repository = h.migrated("r").await;
    archive(&h, &repository).await;
    let before = h.books(repository.id).await;
    for kind in [TaskKind::Sync, TaskKind::Migrate, TaskKind::Maintain, TaskKind::Initialize] {
        let refused = h.try_request(repository.id, kind, Default::default()).await;
        assert_eq!(refusal(refused), ErrorKind::Conflict, "{kind:?}");
    }
    assert_eq!(h.books(repository.id).await, before);
    let deletion = h.running(repository.id, TaskKind::Delete).await;
    h.purge(&deletion).await;
}

async fn archive(h: &StoreHarness, repository: &Repository) -> Archived {
    h.store.archive_repository(repository.id).await.expect("the repository can be archived")
}

async fn unarchive(h: &StoreHarness, repository: &Repository) -> Repository {
    h.store.unarchive_repository(repository.id).await.expect("the repository can be taken back")
}
