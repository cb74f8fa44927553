//! The scan for repositories that are due.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{SECOND, StoreHarness, completion, error};
use crate::error::ErrorKind;
use crate::model::{Repository, RepositoryId, SyncTask, TaskKind};
use crate::rules::{self, CREDENTIALS_LOOK, DUE_AGAIN, DueScan, Outcome, Paused, TRIED_ANYHOW};
use crate::source::CredentialRevision;
use crate::state::TaskStatus;
use crate::store::RepositoryPatch;

/// A due repository gets a sync, which waits like any other, and is not found again.
pub async fn a_due_repository_gets_a_sync(h: StoreHarness) {
    let repository = due_in(&h, "r", 60).await;
    assert_eq!(scan(&h, 10).await, [], "it is not due yet");
    h.clock.advance(61 * SECOND);
    let tasks = request_due(&h, 10).await;
    assert_eq!(tasks.len(), 1);
    let task = &tasks[0];
    assert_eq!((task.repository, task.kind, task.status), (repository.id, TaskKind::Sync, TaskStatus::Pending));
    assert_eq!((task.held, task.attempt, task.epoch, task.enqueued_at), (false, 0, 0, None));
    assert_eq!(task.parameters, Default::default());
    h.assert_now(Some(task.created_at));
    assert_eq!(&h.task(task.id).await, task);

    let moved = h.repository(repository.id).await;
    h.assert_at(moved.next_sync_at, h.in_seconds(DUE_AGAIN.as_secs()));
    assert_eq!(moved, Repository { next_sync_at: moved.next_sync_at, ..repository });
    assert_eq!(h.outbox().await, [rules::job(&moved, task)]);
    assert_eq!(scan(&h, 10).await, []);
}

/// Those that have waited longest come first, and no more are looked at than asked for.
pub async fn the_earliest_come_first(h: StoreHarness) {
    let late = due_in(&h, "late", 30).await.id;
    let early = due_in(&h, "early", 10).await.id;
    let middle = due_in(&h, "middle", 20).await.id;
    h.clock.advance(60 * SECOND);
    assert_eq!(scan(&h, 0).await, []);
    assert_eq!(scan(&h, 1).await, [early]);
    assert_eq!(scan(&h, 1).await, [middle]);
    assert_eq!(scan(&h, 10).await, [late]);
    assert_eq!(scan(&h, 10).await, []);
}

/// An interval of its own says when a repository is due after a scan.
pub async fn an_interval_of_its_own_counts(h: StoreHarness) {
    let repository = due_in(&h, "r", 10).await;
    let patch = RepositoryPatch { sync_interval: Some(Some(Duration::from_secs(90))), ..RepositoryPatch::default() };
    h.store.update_repository(repository.id, repository.version, &patch).await.expect("it can be edited");
    h.clock.advance(20 * SECOND);
    assert_eq!(scan(&h, 10).await, [repository.id]);
    h.assert_at(h.repository(repository.id).await.next_sync_at, h.in_seconds(90));
}

/// What has an unfinished task already is looked at again later, and that task stays as it is.
pub async fn unfinished_tasks_are_left_alone(h: StoreHarness) {
    let waiting = due_in(&h, "waiting", 10).await.id;
    let asked = h.request(waiting, TaskKind::Maintain).await.task;
    let pausing = due_in(&h, "pausing", 10).await.id;
    let work = h.running(pausing, TaskKind::Sync).await;
    let at = h.in_seconds(600);
    let paused = h.finish(&work, Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true }).await;
    let busy = due_in(&h, "busy", 10).await.id;
    let running = h.running(busy, TaskKind::Sync).await.task;
    let idle = due_in(&h, "idle", 40).await.id;

    h.clock.advance(60 * SECOND);
    let found = h.store.request_due(3).await.expect("due repositories can be looked for");
    assert_eq!((found.tasks, found.looked_at), (vec![], 3), "none of the three that are due first is idle");
    for task in [asked, paused, running] {
        assert_eq!(h.task(task.id).await, task);
        assert_eq!(h.tasks(task.repository).await[0], task, "there is no newer one");
        h.assert_at(h.repository(task.repository).await.next_sync_at, h.in_seconds(DUE_AGAIN.as_secs()));
    }
    let found = h.store.request_due(3).await.expect("due repositories can be looked for");
    assert_eq!((found.tasks.iter().map(|task| task.repository).collect::<Vec<_>>(), found.looked_at), (vec![idle], 1));
}

/// What is set aside, being deleted or not scheduled is never due.
pub async fn what_is_not_scheduled_is_not_due(h: StoreHarness) {
    let archived = due_in(&h, "archived", 10).await.id;
    h.store.archive_repository(archived).await.expect("it can be archived");
    let deleted = due_in(&h, "deleted", 10).await.id;
    h.request(deleted, TaskKind::Delete).await;
    let (sourceless, task) = h.create_empty("sourceless").await;
    let work = h.start(task.id).await;
    h.finish(&work, Outcome::Completed(Some(Box::new(completion(0, 0))))).await;
    assert_eq!(h.repository(sourceless.id).await.next_sync_at, None);
    h.create("new").await;

    h.clock.advance(100 * DUE_AGAIN);
    assert_eq!(scan(&h, 10).await, []);
    h.store.unarchive_repository(archived).await.expect("it can be taken back");
    assert_eq!(scan(&h, 10).await, [archived], "the schedule goes on where it was");
}

/// A failed repository is tried again on schedule.
pub async fn a_failed_repository_is_due_again(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    let failed = Outcome::Failed(error(ErrorKind::SourceUnreachable));
    let next = Some(h.in_seconds(60));
    h.store.finish_task(work.work, &failed, None, next).await.expect("the task can fail");
    h.clock.advance(61 * SECOND);
    assert_eq!(scan(&h, 10).await, [repository]);
}

/// How often one is looked at in a day whose credentials were refused.
const LOOKS_A_DAY: u64 = TRIED_ANYHOW.as_secs() / CREDENTIALS_LOOK.as_secs();

/// One whose credentials were refused gets no task, but is handed out to who can tell whether it has others.
pub async fn one_whose_credentials_were_refused_is_paused(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    let credentials = CredentialRevision::new(u32::MAX);
    let refused = Outcome::Refused { error: error(ErrorKind::Unauthenticated), credentials };
    let next = Some(h.in_seconds(60));
    let task = h.store.finish_task(work.work, &refused, None, next).await.expect("the task can fail");
    assert_eq!(task.status, TaskStatus::Failed);
    let failed = h.repository(repository).await;
    assert_eq!((failed.refused_credentials, failed.next_sync_at), (Some(credentials), next));

    let (source, organisation) = (failed.source.clone().expect("it has a source"), failed.organisation);
    let paused = Paused { repository, organisation, source, refused: credentials };
    // It may be the upstream that was wrong: once a day, at its moment, it is tried as if nothing had been refused.
    let mut looks = 0;
    let tried = loop {
        assert_eq!(h.store.request_due(10).await.expect("it can be scanned"), DueScan::default());
        h.clock.advance(CREDENTIALS_LOOK + SECOND);
        let found = h.store.request_due(10).await.expect("it can be scanned");
        let row = h.repository(repository).await;
        if found.paused.is_empty() {
            assert_eq!((found.looked_at, row.refused_credentials), (1, None));
            break found.tasks;
        }
        assert_eq!(found, DueScan { tasks: vec![], paused: vec![paused.clone()], looked_at: 1 });
        assert_eq!(row.refused_credentials, Some(credentials));
        h.assert_at(row.next_sync_at, h.in_seconds(CREDENTIALS_LOOK.as_secs()));
        looks += 1;
        assert!(looks <= LOOKS_A_DAY, "it was not tried within a day");
    };
    assert_eq!(tried.iter().map(|task| task.repository).collect::<Vec<_>>(), [repository]);
    h.synced(repository, Vec::new()).await;
    h.clock.advance(2 * DUE_AGAIN);
    assert_eq!(scan(&h, 10).await, [repository], "the schedule goes on");
}

/// Of many who scan at once, one gets each repository.
pub async fn scans_at_once_make_one_task_each(h: StoreHarness) {
    let mut expected = Vec::new();
    for number in 0..12 {
        expected.push(due_in(&h, &format!("r{number}"), 10).await.id);
    }
    h.clock.advance(20 * SECOND);
    let h = Arc::new(h);
    let scanner = |_| {
        let h = Arc::clone(&h);
        tokio::spawn(async move {
            let mut found = Vec::new();
            for _ in 0..3 {
                found.extend(scan(&h, 3).await);
            }
            found
        })
    };
    let scanners: Vec<_> = (0..6).map(scanner).collect();
    let mut found = Vec::new();
    for scanner in scanners {
        found.extend(scanner.await.expect("a scan does not panic"));
    }
    found.extend(scan(&h, 100).await);
    found.sort_unstable();
    assert_eq!(found, expected);
}

/// Makes a repository that is due in some seconds.
async fn due_in(h: &StoreHarness, name: &str, seconds: u64) -> Repository {
    h.migrated_until(name, Some(h.in_seconds(seconds))).await
}

async fn request_due(h: &StoreHarness, limit: usize) -> Vec<SyncTask> {
    h.store.request_due(limit).await.expect("due repositories can be looked for").tasks
}

/// Returns the repositories that got a task.
async fn scan(h: &StoreHarness, limit: usize) -> Vec<RepositoryId> {
    request_due(h, limit).await.iter().map(|task| task.repository).collect()
}
