//! Schedulers and janitors that look for the same at once.

use std::collections::BTreeSet;
use std::time::Duration;

use super::harness::{EngineHarness, Running, repositories};
use crate::engine::EngineOptions;
use crate::model::TaskKind;
use crate::queue::{ClaimRequest, MAX_BATCH};
use crate::rules::Outcome;
use crate::state::TaskStatus;
use crate::store::{StartedTask, TaskFilter};
use crate::testing::size;
use crate::testing::store_suite::completion;

/// A batch that divides none of the sizes.
const BATCH: usize = 37;

/// Any number of schedulers may run: each repository that is due gets one task, and that has one job.
pub async fn two_schedulers_make_one_task_of_each_due_repository(h: EngineHarness) {
    let count = size(1_000, 10_000);
    let store = &h.of_store();
    store.organisation().await;
    let due = store.in_seconds(60);
    EngineHarness::times(count, |number| async move {
        let (_, task) = store.create(&format!("r{number}")).await;
        let Ok(StartedTask::Run(work)) = store.store.start_task(task.id, 1, 1).await else { panic!("it is started") };
        let done = Outcome::Completed(Some(Box::new(completion(1, 1))));
        store.store.finish_task(work.work, &done, None, Some(due)).await.expect("it can be completed");
    })
    .await;

    h.clock.advance(Duration::from_secs(61));
    let options = EngineOptions { schedule_batch: BATCH, ..EngineOptions::default() };
    let schedulers = h.engines(&options).map(|engine| {
        let scheduler = engine.scheduler();
        Running::start(|shutdown| async move { scheduler.run(shutdown).await })
    });
    // They sleep when nothing is due any more.
    h.clock.wait_for_sleepers(2).await;
    for scheduler in schedulers {
        scheduler.end().await;
    }
    let waiting = h.tasks(&TaskFilter { status: Some(TaskStatus::Pending), ..TaskFilter::default() }).await;
    assert!(waiting.iter().all(|task| task.kind == TaskKind::Sync && task.enqueued_at.is_some()));
    let found = repositories(&waiting);
    assert_eq!(found.len(), count);
    assert!(found.is_sorted_by(|a, b| a < b), "a repository has two tasks");
    let all = h.tasks(&TaskFilter::default()).await;
    assert_eq!(all.len(), 2 * count, "the first task and the sync of each");
    let stats = h.opened[1].1.stats().await.expect("jobs can be counted");
    assert_eq!((stats.ready, stats.scheduled, stats.running), (count as u64, 0, 0));
}

/// A database whose queue was lost: the tasks of the store get into it again, each as one job that was never claimed.
pub async fn two_janitors_enqueue_each_task_once(h: EngineHarness) {
    let count = 1_000;
    let store = &h.of_store();
    store.organisation().await;
    EngineHarness::times(count, |number| async move { drop(store.create_empty(&format!("r{number}")).await) }).await;

    let janitors = h.engines(&EngineOptions::default()).map(|engine| {
        let (janitor, outbox) = (engine.janitor(), h.opened[0].0.clone());
        Running::start(|_| async move {
            while !outbox.outbox(1).await.expect("the outbox can be read").is_empty() {
                janitor.round().await;
            }
        })
    });
    for janitor in janitors {
        janitor.end().await;
    }
    let (expected, mut claimed) = (h.tasks(&TaskFilter::default()).await, Vec::new());
    assert_eq!(expected.len(), count);
    assert!(expected.iter().all(|task| task.enqueued_at.is_some()));
    let stats = h.opened[1].1.stats().await.expect("jobs can be counted");
    assert_eq!((stats.ready, stats.scheduled, stats.running), (count as u64, 0, 0));
    let request = ClaimRequest { limit: MAX_BATCH, storages: vec!["default".parse().expect("a name")] };
    loop {
        // From one and the other.
        let queue = &h.opened[claimed.len() % 2].1;
        let jobs = queue.claim(&request).await.expect("jobs can be claimed");
        if jobs.is_empty() {
            break;
        }
        claimed.extend(jobs);
    }
    assert!(claimed.iter().all(|job| (job.lease.epoch, job.attempt, job.exhausted) == (1, 1, false)));
    let ids: BTreeSet<_> = claimed.iter().map(|job| job.lease.id).collect();
    assert_eq!((claimed.len(), ids), (count, expected.iter().map(|task| task.id).collect()));
}
