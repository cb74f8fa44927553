//! Deletions, from the request to what is left in the end.

use super::harness::{SECOND, StoreHarness, branch, commit, completion, everything, refusal};
use crate::error::ErrorKind;
use crate::model::{RecordedRef, Repository, SyncTask, TaskId, TaskKind};
use crate::plan::{Movement, MovementKind};
use crate::rules::{Disposition, Outcome, Request};
use crate::state::TaskStatus;
use crate::store::{
    Chunk, CommitFilter, NewRepository, Recording, RepositoryFilter, RepositoryPatch, StartedTask, StartedWork,
    TaskFilter, Work,
};

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
    h.purge(&deletion).await;

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

/// A task says whose it is for as long as it is there, also when its repository is not.
pub async fn a_task_names_its_organisation_to_the_last(h: StoreHarness) {
    let other = "other".parse().expect("a slug");
    h.store.create_organisation(&other, "Other").await.expect("an organisation can be made");
    let repository = h.migrated_until("r", Some(h.in_seconds(1))).await;
    h.clock.advance(10 * SECOND);
    let due = h.store.request_due(1).await.expect("due repositories can be looked for").tasks;
    let listed = h.tasks(repository.id).await;
    assert_eq!((due.len(), listed.len()), (1, 2));
    assert!(due.iter().chain(&listed).all(|task| task.organisation == repository.organisation));
    let deletion = h.running(repository.id, TaskKind::Delete).await;
    h.purge(&deletion).await;
    assert_eq!(h.task(deletion.task.id).await.organisation, repository.organisation);
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
    h.purge(&deletion).await;
    let tombstone = h.task(deletion.task.id).await;

    for id in [migrate, task, deletion.task.id, TaskId::generate()] {
        let late = h.store.start_task(id, 9, 9).await.expect("a late delivery is no error");
        assert!(matches!(late, StartedTask::AlreadyFinished), "{late:?}");
    }
    for work in [sync.work, deletion.work] {
        let late = h.store.record_commits(work, &[commit(9, 9)]).await;
        assert_eq!(refusal(late), ErrorKind::NotFound);
        assert_eq!(refusal(h.store.purge_repository(work, 1).await), ErrorKind::NotFound);
    }
    let cancelled = h.store.cancel_task(tombstone.id).await.expect("what has ended stays");
    assert_eq!(cancelled, tombstone);
    assert_eq!(h.task(tombstone.id).await, tombstone);
    let deletion = Request { kind: TaskKind::Delete, parameters: Default::default(), id: TaskId::generate() };
    assert_eq!(refusal(h.store.request_task(repository.id, &deletion).await), ErrorKind::NotFound);
}

/// Only the worker that runs the deletion removes anything, from its first row to the last.
pub async fn a_purge_is_fenced(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let sync = h.running(repository.id, TaskKind::Sync).await;
    assert_eq!(refusal(h.store.purge_repository(sync.work, 1).await), ErrorKind::Conflict);
    h.complete(&sync, completion(1, 1), Some(&branches(7))).await;
    let mut paused = h.running(repository.id, TaskKind::Delete).await;
    // Each worker is outrun by the next after one row.
    for _ in 0..6 {
        let current = h.start(paused.task.id).await;
        let left = h.baseline(repository.id).await;
        assert_eq!(refusal(h.store.purge_repository(paused.work, 1).await), ErrorKind::LeaseLost);
        assert_eq!(refusal(h.store.purge_repository(sync.work, 1).await), ErrorKind::LeaseLost);
        assert_eq!(h.baseline(repository.id).await, left);
        assert_eq!(h.task(current.task.id).await, current.task);
        assert_eq!(purge_some(&h, &current, 1).await, Chunk::More);
        paused = current;
    }
    h.purge(&paused).await;
    assert_eq!(h.task(paused.task.id).await.status, TaskStatus::Completed);
}

/// A call removes no more rows than asked for; the next one, also of another worker, goes on with what is left.
pub async fn a_purge_goes_on_until_nothing_is_left(h: StoreHarness) {
    let other = h.migrated("other").await;
    let other_books = h.books(other.id).await;
    for limit in [1, 2, 3, 5, 12, 13, 100] {
        let repository = h.migrated("r").await;
        let work = h.running(repository.id, TaskKind::Sync).await;
        h.record(&work, &[commit(2, 2), commit(3, 3), commit(4, 4)]).await;
        h.complete(&work, completion(4, 3), Some(&branches(2))).await;
        // Three branches, four commits, three entries of the log and two tasks beside the deletion.
        let mut deletion = h.running(repository.id, TaskKind::Delete).await;
        for _ in 0..12 / limit {
            assert_eq!(purge_some(&h, &deletion, limit).await, Chunk::More, "{limit}");
            assert_eq!(h.task(deletion.task.id).await.status, TaskStatus::Running);
            deletion = h.start(deletion.task.id).await;
        }
        assert_eq!(purge_some(&h, &deletion, limit).await, Chunk::Last, "{limit}");
        assert_eq!(h.task(deletion.task.id).await.status, TaskStatus::Completed);
        assert_eq!(refusal(h.store.baseline(repository.id).await), ErrorKind::NotFound);
        let (new, _) = h.create("r").await;
        assert_eq!((h.commits(new.id, true).await, h.log(new.id).await), (vec![], vec![]));
        assert_eq!((h.baseline(new.id).await, h.tasks(new.id).await.len()), (vec![], 1));
        let deletion = h.running(new.id, TaskKind::Delete).await;
        h.purge(&deletion).await;
        assert_eq!(h.books(other.id).await, other_books);
    }
}

/// A repository of which a part is gone is no more to be found than before, its name is taken, and no work on it begins.
pub async fn a_half_purged_repository_is_hidden(h: StoreHarness) {
    let repository = h.migrated_until("r", Some(h.in_seconds(1))).await;
    let requested = h.request(repository.id, TaskKind::Delete).await.task;
    let deletion = h.start(requested.id).await;
    h.clock.advance(10 * SECOND);
    loop {
        assert_hidden(&h, &repository).await;
        let same_name = h.new_mirror("R").await;
        assert_eq!(refusal(h.store.create_repository(&same_name).await), ErrorKind::AlreadyExists);
        let again = h.request(repository.id, TaskKind::Delete).await;
        assert_eq!((again.disposition, again.task), (Disposition::Returned, deletion.task.clone()));
        let due = h.store.request_due(10).await.expect("due repositories can be looked for");
        assert_eq!((due.tasks, h.outbox().await), (vec![], vec![]));
        if purge_some(&h, &deletion, 1).await == Chunk::Last {
            break;
        }
    }
    assert_hidden(&h, &repository).await;
    h.create("R").await;
}

async fn purge_some(h: &StoreHarness, deletion: &StartedWork, limit: usize) -> Chunk {
    h.store.purge_repository(deletion.work, limit).await.expect("rows can be removed")
}

/// Returns a recording of some branches that are new, and that says so.
fn branches(count: u8) -> Recording {
    let new: Vec<_> = (0..count).map(|number| branch(&format!("b{number}"), 1)).collect();
    let created = |new: &RecordedRef| Movement {
        name: new.name.clone(),
        old: None,
        new: Some(new.id),
        kind: MovementKind::Created,
    };
    Recording { movements: new.iter().map(created).collect(), changed: new, ..Recording::default() }
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
