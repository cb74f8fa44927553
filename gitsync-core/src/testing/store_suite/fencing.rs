//! Whose writes are refused.

use super::harness::{StoreHarness, commit, completion, id, refusal};
use crate::error::{ErrorKind, Result};
use crate::model::{Progress, TaskId, TaskKind};
use crate::rules::Outcome;
use crate::state::TaskStatus;
use crate::store::{StartedTask, Work};

/// A worker whose claim is older than one that has started cannot start any more; one of the same claim can.
pub async fn a_lower_epoch_is_not_started(h: StoreHarness) {
    let (_, task) = h.create("r").await;
    h.store.start_task(task.id, 5, 1).await.expect("the task can be started");
    let refused = h.store.start_task(task.id, 4, 1).await.expect_err("a lower epoch is refused");
    assert_eq!(refused.kind(), ErrorKind::LeaseLost);
    assert_eq!(h.task(task.id).await.epoch, 5);
    h.store.start_task(task.id, 5, 1).await.expect("a start that was not heard of can be repeated");
    h.store.start_task(task.id, 6, 2).await.expect("the next delivery can be started");
}

/// From the start of another delivery on, nothing of the worker before it is written.
pub async fn only_the_last_start_may_write(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let paused = h.running(repository.id, TaskKind::Sync).await;
    let current = h.start(paused.task.id).await;
    assert!(current.work.fence > paused.work.fence);
    for (call, result) in write_in_all_ways(&h, paused.work).await {
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::LeaseLost), "{call}");
    }
    assert_eq!(h.repository(repository.id).await, current.repository);
    assert_eq!(h.task(paused.task.id).await, current.task);
    assert_eq!(h.commits(repository.id, true).await, [id(1)]);

    let ended = h.complete(&current, completion(1, 1), None).await;
    for (call, result) in write_in_all_ways(&h, current.work).await {
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::Conflict), "{call}");
    }
    assert_eq!((h.task(ended.id).await, ended.status), (ended, TaskStatus::Completed));
}

/// The start of the next task refuses what is left of the one before, and so does a start that is repeated.
pub async fn every_start_raises_the_fence(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let first = h.running(repository.id, TaskKind::Sync).await;
    assert!(first.work.fence > repository.fence);
    h.complete(&first, completion(1, 1), None).await;
    assert_eq!(h.repository(repository.id).await.fence, first.work.fence, "an end does not lower it");
    let upkeep = h.running(repository.id, TaskKind::Maintain).await;
    assert!(upkeep.work.fence > first.work.fence);
    for (call, result) in write_in_all_ways(&h, first.work).await {
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::LeaseLost), "{call}");
    }
    let epoch = upkeep.task.epoch;
    let repeated = h.store.start_task(upkeep.task.id, epoch, 1).await.expect("a start can be repeated");
    let StartedTask::Run(repeated) = repeated else { panic!("the task has not ended") };
    assert!(repeated.work.fence > upkeep.work.fence);
    assert_eq!(refusal(h.store.begin_recording(upkeep.work).await), ErrorKind::LeaseLost);
    h.store.begin_recording(repeated.work).await.expect("the last start may write");
}

/// The right to write holds for one task of one repository.
pub async fn a_right_is_not_another_ones(h: StoreHarness) {
    let (one, other) = (h.migrated("one").await, h.migrated("other").await);
    let one = h.running(one.id, TaskKind::Sync).await;
    let other = h.running(other.id, TaskKind::Sync).await;
    assert_eq!(one.work.fence, other.work.fence, "fences are counted per repository");
    let crossed = Work { task: one.work.task, ..other.work };
    for (call, result) in write_in_all_ways(&h, crossed).await {
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::LeaseLost), "{call}");
    }
    let unknown = Work { task: TaskId::generate(), ..other.work };
    for (call, result) in write_in_all_ways(&h, unknown).await {
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::NotFound), "{call}");
    }
    for work in [one, other] {
        assert_eq!(h.repository(work.work.repository).await, work.repository);
        assert_eq!(h.task(work.work.task).await, work.task);
        assert_eq!(h.commits(work.work.repository, true).await, [id(1)]);
    }
}

async fn write_in_all_ways(h: &StoreHarness, work: Work) -> Vec<(&'static str, Result<()>)> {
    let progress = Progress { phase: "fetching".into(), objects: 1, bytes: 2, commits: 3 };
    let outcome = Outcome::Completed(Some(Box::new(completion(9, 9))));
    vec![
        ("report_progress", h.store.report_progress(work, &progress).await),
        ("begin_recording", h.store.begin_recording(work).await),
        ("record_commits", h.store.record_commits(work, &[commit(8, 8)]).await),
        ("orphan_commits", h.store.orphan_commits(work, &[id(1)]).await),
        ("orphan_unrecorded", h.store.orphan_unrecorded(work, 1).await.map(drop)),
        ("finish_task", h.store.finish_task(work, &outcome, None, None).await.map(drop)),
        ("purge_repository", h.store.purge_repository(work, 1).await.map(drop)),
    ]
}
