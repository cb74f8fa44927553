//! Deletions, from the request to what is left in the end.

use super::harness::{StoreHarness, commit, completion, everything, id, refusal};
use crate::error::ErrorKind;
use crate::model::{Repository, SyncTask, TaskId, TaskKind};
use crate::rules::{Disposition, Outcome, Request};
use crate::state::TaskStatus;
use crate::store::{CommitFilter, NewRepository, RepositoryFilter, RepositoryPatch, StartedTask, TaskFilter, Work};

/// From the request on the repository is there for its deletion only, and its name is still taken.
pub async fn a_repository_that_is_being_deleted_is_hidden(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let requested = h.request(repository.id, TaskKind::Delete).await;
    assert_eq!((requested.disposition, requested.stopping.is_none()), (Disposition::Created, true));
    h.assert_now(requested.repository.deleted_at);
    assert_hidden(&h, &repository).await;
    let same_name = h.new_mirror("R").await;
    assert_eq!(refusal(h.store.create_repository(&same_name).await), ErrorKind::AlreadyExists);

    let again = h.request(repository.id, TaskKind::Delete).await;
    assert_eq!((again.disposition, &again.task), (Disposition::Returned, &requested.task));
    assert_eq!(again.repository, requested.repository);
    assert_eq!(h.task(requested.task.id).await, requested.task);
    assert_eq!(h.tasks(repository.id).await[0], requested.task);
    let work = h.start(requested.task.id).await;
    assert_eq!(work.repository.deleted_at, requested.repository.deleted_at);
    assert_eq!((work.organisation.as_str(), h.baseline(repository.id).await.len()), ("org", 1));
}

/// A deletion takes the place of a waiting task, and asks a running one to stop.
pub async fn a_deletion_goes_before_all_other_work(h: StoreHarness) {
    let waiting = h.migrated("waiting").await;
    let sync = h.request(waiting.id, TaskKind::Sync).await.task;
    let rewritten = h.request(waiting.id, TaskKind::Delete).await;
    assert_eq!((rewritten.disposition, rewritten.task.id), (Disposition::Rewritten, sync.id));
    assert_eq!(h.task(sync.id).await.kind, TaskKind::Delete);

    let busy = h.migrated("busy").await;
    let work = h.running(busy.id, TaskKind::Sync).await;
    let deletion = h.request(busy.id, TaskKind::Delete).await;
    assert_eq!((deletion.disposition, deletion.task.held), (Disposition::Created, true));
    let stopping = *deletion.stopping.expect("the running task is asked to stop");
    h.assert_now(stopping.cancel_requested_at);
    let expected = SyncTask { cancel_requested_at: stopping.cancel_requested_at, ..work.task.clone() };
    assert_eq!(stopping, expected);
    assert_eq!(h.task(stopping.id).await, stopping);
    let held = h.store.start_task(deletion.task.id, 1, 1).await;
    assert_eq!(refusal(held), ErrorKind::Conflict);

    assert_eq!(h.finish(&work, Outcome::Released).await.status, TaskStatus::Cancelled);
    let free = h.task(deletion.task.id).await;
    assert_eq!((free.held, free.status), (false, TaskStatus::Pending));
    assert!(h.outbox().await.iter().any(|job| job.id == free.id));
    h.start(free.id).await;
}

/// After its end every row is gone but the deletion itself, the name is free, and no id is given again.
pub async fn a_purge_leaves_the_deletion_alone(h: StoreHarness) {
    let other = h.migrated("other").await;
    let other_books = h.books(other.id).await;
    let repository = h.migrated("r").await;
    let migrate = h.tasks(repository.id).await[0].id;
    let deletion = h.running(repository.id, TaskKind::Delete).await;
    h.store.purge_repository(deletion.work).await.expect("the repository can be removed");

    assert_hidden(&h, &repository).await;
    assert_eq!(refusal(h.store.baseline(repository.id).await), ErrorKind::NotFound);
    assert_eq!(refusal(h.store.task(migrate).await), ErrorKind::NotFound);
    let tombstone = h.task(deletion.task.id).await;
    h.assert_now(tombstone.completed_at);
    let expected =
        SyncTask { status: TaskStatus::Completed, completed_at: tombstone.completed_at, ..deletion.task.clone() };
    assert_eq!(tombstone, expected);
    let listed = h.store.list_tasks(&TaskFilter::default(), &everything()).await.expect("tasks can be listed");
    assert_eq!(listed.items, other_books.tasks, "what is left of a deletion is found by its id only");
    assert_eq!(h.books(other.id).await, other_books);

    let clash = NewRepository { task: tombstone.id, ..h.new_mirror("r").await };
    assert_eq!(refusal(h.store.create_repository(&clash).await), ErrorKind::AlreadyExists);
    let (new, _) = h.create("r").await;
    assert!(new.id > repository.id, "an id is never given twice");
    assert_eq!((h.commits(new.id, true).await, h.log(new.id).await), (vec![], vec![]));
    assert_eq!(h.task(tombstone.id).await, tombstone);
}

/// What reaches the store after the end finds nothing to do, and nothing to write to.
pub async fn nothing_happens_after_a_purge(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let migrate = h.tasks(repository.id).await[0].id;
    let Work { task, .. } = h.running(repository.id, TaskKind::Sync).await.work;
    h.request(repository.id, TaskKind::Delete).await;
    let sync = h.start(task).await;
    h.finish(&sync, Outcome::Cancelled).await;
    let deletion = h.tasks(repository.id).await[0].id;
    let deletion = h.start(deletion).await;
    h.store.purge_repository(deletion.work).await.expect("the repository can be removed");
    let tombstone = h.task(deletion.task.id).await;

    for id in [migrate, task, deletion.task.id, TaskId::generate()] {
        let late = h.store.start_task(id, 9, 9).await.expect("a late delivery is no error");
        assert!(matches!(late, StartedTask::AlreadyFinished), "{late:?}");
    }
    for work in [sync.work, deletion.work] {
        let late = h.store.record_commits(work, &[commit(9, 9)]).await;
        assert_eq!(refusal(late), ErrorKind::NotFound);
        assert_eq!(refusal(h.store.purge_repository(work).await), ErrorKind::NotFound);
    }
    let cancelled = h.store.cancel_task(tombstone.id).await.expect("what has ended stays");
    assert_eq!(cancelled, tombstone);
    assert_eq!(h.task(tombstone.id).await, tombstone);
    let deletion = Request { kind: TaskKind::Delete, parameters: Default::default(), id: TaskId::generate() };
    assert_eq!(refusal(h.store.request_task(repository.id, &deletion).await), ErrorKind::NotFound);
}

/// Only the worker that runs the deletion removes the repository.
pub async fn a_purge_is_fenced(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let sync = h.running(repository.id, TaskKind::Sync).await;
    assert_eq!(refusal(h.store.purge_repository(sync.work).await), ErrorKind::Conflict);
    h.complete(&sync, completion(1, 1), None).await;
    let paused = h.running(repository.id, TaskKind::Delete).await;
    let current = h.start(paused.task.id).await;
    assert_eq!(refusal(h.store.purge_repository(paused.work).await), ErrorKind::LeaseLost);
    assert_eq!(refusal(h.store.purge_repository(sync.work).await), ErrorKind::LeaseLost);
    assert_eq!(h.task(current.task.id).await, current.task);
    assert_eq!(h.baseline(repository.id).await.iter().map(|r| r.id).collect::<Vec<_>>(), [id(1)]);
    h.store.purge_repository(current.work).await.expect("the repository can be removed");
}

/// Asserts that nobody who asks for a repository finds it.
async fn assert_hidden(h: &StoreHarness, repository: &Repository) {
    let (store, id, filter) = (&h.store, repository.id, CommitFilter::default());
    let request = Request { kind: TaskKind::Sync, parameters: Default::default(), id: TaskId::generate() };
    let refused = [
        ("repository", store.repository(id).await.map(drop)),
        ("repository_by_name", store.repository_by_name(repository.organisation, &repository.name).await.map(drop)),
        ("update", store.update_repository(id, repository.version, &RepositoryPatch::default()).await.map(drop)),
        ("archive", store.archive_repository(id).await.map(drop)),
        ("unarchive", store.unarchive_repository(id).await.map(drop)),
        ("request_task", store.request_task(id, &request).await.map(drop)),
        ("list_branches", store.list_branches(id, &everything()).await.map(drop)),
        ("list_commits", store.list_commits(id, &filter, &everything()).await.map(drop)),
        ("list_ref_updates", store.list_ref_updates(id, &everything()).await.map(drop)),
    ];
    for (call, result) in refused {
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::NotFound), "{call}");
    }
    let listed = store.list_repositories(&RepositoryFilter::default(), &everything()).await;
    assert!(listed.expect("repositories can be listed").items.iter().all(|listed| listed.id != id));
}
