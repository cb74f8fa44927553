//! The end of what was kept long enough.

use super::harness::{SECOND, StoreHarness, branch, completion, error, id, refusal};
use crate::clock::{Clock, Timestamp};
use crate::error::ErrorKind;
use crate::model::{RefChange, RepositoryId, SyncTask, TaskId, TaskKind};
use crate::plan::{Movement, MovementKind};
use crate::rules::Outcome;
use crate::state::TaskStatus;
use crate::store::{MAX_STORE_BATCH, Recording, Retention};

/// A moment before everything.
const NEVER: Timestamp = Timestamp::from_secs(0);

/// Old tasks go, but for the last one of each repository that has ended, and for those that have not.
pub async fn the_last_task_that_ended_is_kept(h: StoreHarness) {
    let one = h.migrated("one").await.id;
    let (first, second) = (cancelled(&h, one).await, cancelled(&h, one).await);
    let other = h.migrated("other").await.id;
    let running = h.running(other, TaskKind::Sync).await.task;
    let waiting = h.create("waiting").await.1;
    h.clock.advance(100 * SECOND);
    assert_eq!(tasks_before(&h, h.clock.now().before(200 * SECOND), 100).await, 0, "nothing is that old");
    assert_eq!(tasks_before(&h, h.clock.now(), 100).await, 2, "the migrate and the first sync of one repository");
    assert_eq!(h.tasks(one).await, [second]);
    assert_eq!(refusal(h.store.task(first.id).await), ErrorKind::NotFound);
    assert_eq!(
        h.tasks(other).await.iter().map(|task| task.status).collect::<Vec<_>>(),
        [TaskStatus::Running, TaskStatus::Completed]
    );
    assert_eq!((h.task(running.id).await, h.task(waiting.id).await), (running, waiting));
    assert_eq!(tasks_before(&h, h.clock.now(), 100).await, 0);
}

/// What ended after the time given stays, however long ago it was requested.
pub async fn age_is_counted_from_the_end(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    h.clock.advance(100 * SECOND);
    let between = h.clock.now().before(50 * SECOND);
    let long = h.complete(&work, completion(1, 1), None).await;
    let last = cancelled(&h, repository).await;
    assert_eq!(tasks_before(&h, between, 100).await, 1, "the migrate");
    assert_eq!(h.tasks(repository).await, [last, long]);
}

/// The one with the highest id is the last, also where an earlier one that took its place ended after it.
pub async fn the_last_task_is_the_one_requested_last(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    let follow_up = h.request(repository, TaskKind::Sync).await.task;
    let at = h.in_seconds(1);
    h.finish(&work, Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true }).await;
    h.clock.advance(10 * SECOND);
    let work = h.start(work.task.id).await;
    h.complete(&work, completion(1, 1), None).await;
    let follow_up = h.task(follow_up.id).await;
    h.clock.advance(10 * SECOND);
    assert_eq!(tasks_before(&h, h.clock.now(), 100).await, 2);
    assert_eq!(h.tasks(repository).await, [follow_up]);
}

/// What is left of a deletion goes when it is old.
pub async fn tombstones_go(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let deletion = h.running(repository, TaskKind::Delete).await;
    h.purge(&deletion).await;
    let id = deletion.task.id;
    assert_eq!(tasks_before(&h, h.clock.now().before(10 * SECOND), 100).await, 0);
    assert_eq!(h.task(id).await.status, TaskStatus::Completed);
    h.clock.advance(20 * SECOND);
    let now = h.clock.now();
    let removed = prune(&h, &Retention { tasks_before: now, ref_updates_before: now, limit: 100 }).await;
    assert_eq!(removed, 1, "the deletion took all else with it, the log too");
    assert_eq!(refusal(h.store.task(id).await), ErrorKind::NotFound);
}

/// Old entries of the log go, of every repository and also the last.
pub async fn old_movements_go(h: StoreHarness) {
    let (one, other) = (h.migrated("one").await.id, h.migrated("other").await.id);
    log(&h, one, 2).await;
    h.clock.advance(100 * SECOND);
    let recent = log(&h, one, 1).await;
    let before = h.clock.now().before(50 * SECOND);
    let retention = Retention { tasks_before: NEVER, ref_updates_before: before, limit: 100 };
    assert_eq!(prune(&h, &retention).await, 4);
    assert_eq!(h.log(one).await.iter().map(|update| update.task).collect::<Vec<_>>(), [recent]);
    assert_eq!(h.log(other).await, []);
    assert_eq!(h.tasks(one).await.len(), 3, "their tasks are another matter");
    log(&h, other, 1).await;
    let (older, newer) = (h.log(one).await, h.log(other).await);
    assert!(newer[0].id > older[0].id, "an id is not given twice");
}

/// A call removes no more rows than asked for, of all kinds together.
pub async fn a_call_removes_no_more_than_asked_for(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    for _ in 0..3 {
        cancelled(&h, repository).await;
    }
    log(&h, repository, 3).await;
    h.clock.advance(10 * SECOND);
    // Five tasks, the last of which stays, and four entries of the log.
    let now = h.clock.now();
    let retention = |limit| Retention { tasks_before: now, ref_updates_before: now, limit };
    let mut left = 8;
    for limit in [0, 3, 2] {
        assert_eq!(prune(&h, &retention(limit)).await, limit as u64);
        left -= limit;
        assert_eq!(h.tasks(repository).await.len() - 1 + h.log(repository).await.len(), left);
    }
    assert_eq!(prune(&h, &retention(usize::MAX)).await, 3);
    assert_eq!((h.tasks(repository).await.len(), h.log(repository).await), (1, vec![]));
}

/// However many rows are asked for, one call removes no more than the most that one call may.
pub async fn a_limit_is_cut(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    log(&h, repository, MAX_STORE_BATCH + 10).await;
    h.clock.advance(10 * SECOND);
    let retention = Retention { tasks_before: NEVER, ref_updates_before: h.clock.now(), limit: usize::MAX };
    assert_eq!(prune(&h, &retention).await, MAX_STORE_BATCH as u64);
    let left = h.log(repository).await;
    assert_eq!(left.len(), 11);
    assert!(left.iter().all(|update| matches!(&update.change, RefChange::Moved(_) | RefChange::Cloned { .. })));
    assert_eq!(prune(&h, &retention).await, 11);
}

async fn prune(h: &StoreHarness, retention: &Retention) -> u64 {
    h.store.prune(retention).await.expect("old rows can be removed")
}

async fn tasks_before(h: &StoreHarness, before: Timestamp, limit: usize) -> u64 {
    prune(h, &Retention { tasks_before: before, ref_updates_before: NEVER, limit }).await
}

/// Requests a sync and cancels it.
async fn cancelled(h: &StoreHarness, repository: RepositoryId) -> SyncTask {
    let task = h.request(repository, TaskKind::Sync).await.task;
    h.store.cancel_task(task.id).await.expect("the task can be cancelled")
}

/// Completes a sync that saw some movements.
async fn log(h: &StoreHarness, repository: RepositoryId, movements: usize) -> TaskId {
    let name = branch("main", 1).name;
    let movement = Movement { name, old: Some(id(1)), new: Some(id(2)), kind: MovementKind::Forced };
    let work = h.running(repository, TaskKind::Sync).await;
    let recording = Recording { movements: vec![movement; movements], ..Recording::default() };
    h.complete(&work, completion(1, 1), Some(&recording)).await.id
}
