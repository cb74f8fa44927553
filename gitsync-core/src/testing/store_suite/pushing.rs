//! Push targets: added, removed, listed, and what becomes of pushes.

use std::time::Duration;

use super::harness::{SECOND, StoreHarness, refusal};
use crate::error::ErrorKind;
use crate::model::{
    Depth, PushCounts, PushStatus, PushTarget, Repository, RepositoryId, StoredError, TaskId, TaskKind, TaskParameters,
};
use crate::rules::{FIRST_PUSH_PAUSE, MAX_PUSH_TARGETS, Outcome, PushOutcome, Request};
use crate::source::SourceUrl;
use crate::store::{RepositoryPatch, Work};

/// Targets are there once each, sorted, and no more than allowed; the repository tells how many.
pub async fn push_targets_are_few_and_each_is_there_once(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let other = h.migrated("other").await;
    assert_eq!((targets(&h, repository.id).await, repository.push_targets), (vec![], 0));
    for number in (0..MAX_PUSH_TARGETS).rev() {
        let url = url(number);
        let added = h.store.add_push_target(repository.id, &url).await.expect("a target can be added");
        h.assert_now(Some(added.added_at));
        assert_eq!((added.repository, &added.url, added.status()), (repository.id, &url, PushStatus::Waiting));
        assert!(targets(&h, repository.id).await.contains(&added));
    }
    let listed = targets(&h, repository.id).await;
    assert!(listed.iter().map(|target| target.url.clone()).eq((0..MAX_PUSH_TARGETS).map(url)), "{listed:?}");
    let found = h.repository(repository.id).await;
    h.assert_now(found.next_sync_at);
    let next_sync_at = found.next_sync_at;
    assert_eq!(found, Repository { push_targets: MAX_PUSH_TARGETS, next_sync_at, ..repository.clone() });
    assert_eq!(refusal(h.store.add_push_target(repository.id, &url(9)).await), ErrorKind::LimitExceeded);
    assert_eq!(refusal(h.store.add_push_target(repository.id, &url(3)).await), ErrorKind::AlreadyExists);

    h.store.remove_push_target(repository.id, &url(3)).await.expect("a target can be removed");
    assert_eq!(refusal(h.store.remove_push_target(repository.id, &url(3)).await), ErrorKind::NotFound);
    assert_eq!(refusal(h.store.remove_push_target(other.id, &url(4)).await), ErrorKind::NotFound);
    let left: Vec<_> = listed.into_iter().filter(|target| target.url != url(3)).collect();
    assert_eq!(targets(&h, repository.id).await, left);
    assert_eq!(h.repository(repository.id).await.push_targets, MAX_PUSH_TARGETS - 1);
    assert_eq!(h.repository(other.id).await, other);
}

/// Of callers that add the last target at once, one succeeds.
pub async fn no_race_adds_too_many_push_targets(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    for number in 1..MAX_PUSH_TARGETS {
        h.store.add_push_target(repository, &url(number)).await.expect("a target can be added");
    }
    let calls = (20..24).map(|number| {
        let (store, url) = (std::sync::Arc::clone(&h.store), url(number));
        tokio::spawn(async move { store.add_push_target(repository, &url).await.is_ok() })
    });
    let mut added = 0;
    for call in calls.collect::<Vec<_>>() {
        added += u32::from(call.await.expect("the call ends"));
    }
    assert_eq!((added, targets(&h, repository).await.len()), (1, 8));
}

/// What a repository is pushed to and what it is cloned from are different places, whichever of them is named first.
pub async fn no_push_target_becomes_the_source(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    h.store.add_push_target(repository, &url(1)).await.expect("a target can be added");
    let migrate = |number| {
        let parameters = TaskParameters { source: Some(url(number)), force: true, ..TaskParameters::default() };
        Request { kind: TaskKind::Migrate, parameters, id: TaskId::generate() }
    };
    assert_eq!(refusal(h.store.request_task(repository, &migrate(1)).await), ErrorKind::InvalidInput);
    h.store.request_task(repository, &migrate(2)).await.expect("another place may be");
    // It is not the source yet.
    assert_eq!(refusal(h.store.add_push_target(repository, &url(2)).await), ErrorKind::InvalidInput);
    assert_eq!(refusal(h.store.request_task(repository, &migrate(1)).await), ErrorKind::InvalidInput);
    h.store.remove_push_target(repository, &url(1)).await.expect("a target can be removed");
    h.store.request_task(repository, &migrate(1)).await.expect("it is no target any more");
    assert_eq!(refusal(h.store.add_push_target(repository, &url(1)).await), ErrorKind::InvalidInput);
    h.store.add_push_target(repository, &url(2)).await.expect("it is not to be the source any more");
}

/// A history that breaks off is not pushed, so what has the one gets no other.
pub async fn a_depth_and_push_targets_exclude_each_other(h: StoreHarness) {
    let (fresh, _) = h.create("r").await;
    let (id, mut version) = (fresh.id, fresh.version);
    let depth = |generations: i64| Depth::new(generations).expect("a depth");
    for (after, is_shallow) in [(Some(depth(2)), true), (Some(depth(3)), true), (None, false)] {
        let patch = RepositoryPatch { depth: Some(after), ..RepositoryPatch::default() };
        version = h.store.update_repository(id, version, &patch).await.expect("nothing is in the way").version;
        if is_shallow {
            assert_eq!(refusal(h.store.add_push_target(id, &url(1)).await), ErrorKind::Unsupported);
            assert_eq!(targets(&h, id).await, []);
        }
    }
    h.store.add_push_target(id, &url(1)).await.expect("all of the history is there");
    let patch = RepositoryPatch { depth: Some(Some(depth(2))), ..RepositoryPatch::default() };
    assert_eq!(refusal(h.store.update_repository(id, version, &patch).await), ErrorKind::Conflict);
    assert_eq!(h.repository(id).await.depth, None);
    h.store.remove_push_target(id, &url(1)).await.expect("a target can be removed");
    h.store.update_repository(id, version, &patch).await.expect("nothing is pushed any more");
}

/// Targets go with their repository, and are seen by nobody from the request of its deletion on.
pub async fn push_targets_go_with_their_repository(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    h.store.add_push_target(repository, &url(1)).await.expect("a target can be added");
    let deletion = h.running(repository, TaskKind::Delete).await;
    for _ in 0..2 {
        assert_eq!(refusal(h.store.push_targets(repository).await), ErrorKind::NotFound);
        assert_eq!(refusal(h.store.add_push_target(repository, &url(2)).await), ErrorKind::NotFound);
        assert_eq!(refusal(h.store.remove_push_target(repository, &url(1)).await), ErrorKind::NotFound);
        if h.store.task(deletion.task.id).await.expect("the task is there").completed_at.is_none() {
            h.purge(&deletion).await;
        }
    }
    let new = h.migrated("r").await;
    assert_eq!((new.push_targets, targets(&h, new.id).await), (0, vec![]));
}

/// The end of a push is noted of its target alone.
pub async fn a_push_is_noted_of_its_target(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    for number in [1, 2] {
        h.store.add_push_target(repository, &url(number)).await.expect("a target can be added");
    }
    let before = targets(&h, repository).await;
    let work = h.running(repository, TaskKind::Sync).await.work;
    let digest = [7; 32];
    let counts = PushCounts { updated: 3, deleted: 2, objects: u64::from(u32::MAX) + 1, bytes: u64::MAX >> 1 };
    record(&h, work, 1, PushOutcome::Pushed { digest, counts }).await;
    let pushed = targets(&h, repository).await;
    h.assert_now(pushed[0].pushed_at);
    let expected = PushTarget { has: Some(digest), pushed_at: pushed[0].pushed_at, last: counts, ..before[0].clone() };
    assert_eq!(pushed, [expected.clone(), before[1].clone()]);

    h.clock.advance(10 * SECOND);
    let error = StoredError { kind: ErrorKind::Unauthenticated, message: "no \0 entry".into() };
    for failures in 1..4 {
        let outcome = PushOutcome::Failed { error: error.clone(), retry_after: None, counts: None };
        record(&h, work, 1, outcome).await;
        let failed = targets(&h, repository).await.swap_remove(0);
        h.assert_at(failed.retry_at, h.in_seconds(FIRST_PUSH_PAUSE.as_secs() << (failures - 1)));
        assert_eq!((failed.failures, failed.status(), failed.has), (failures, PushStatus::Failed, None));
        assert_eq!((failed.last, failed.pushed_at), (counts, expected.pushed_at));
        assert_eq!(failed.error.expect("it is noted").kind, ErrorKind::Unauthenticated);
    }
    let asked = Some(Duration::from_secs(7200));
    let part = PushCounts { updated: 1, ..PushCounts::default() };
    record(&h, work, 1, PushOutcome::Failed { error, retry_after: asked, counts: Some(part) }).await;
    let failed = targets(&h, repository).await.swap_remove(0);
    assert_eq!(failed.last, part);
    h.assert_at(failed.retry_at, h.in_seconds(7200));
    record(&h, work, 1, PushOutcome::Pushed { digest, counts }).await;
    let again = targets(&h, repository).await.swap_remove(0);
    assert_eq!((again.failures, again.status(), again.retry_at), (0, PushStatus::Pushed, None));
}

/// Only the worker that has the repository notes a push. One of a target that is gone is passed over.
pub async fn a_push_is_noted_under_the_fence(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    h.store.add_push_target(repository, &url(1)).await.expect("a target can be added");
    let before = targets(&h, repository).await;
    let sync = h.running(repository, TaskKind::Sync).await;
    let pushed = || PushOutcome::Pushed { digest: [1; 32], counts: PushCounts::default() };
    let stale = Work { fence: sync.work.fence - 1, ..sync.work };
    assert_eq!(refusal(h.store.record_push(stale, &url(1), &pushed()).await), ErrorKind::LeaseLost);
    record(&h, sync.work, 2, pushed()).await;
    assert_eq!(targets(&h, repository).await, before);
    h.store.remove_push_target(repository, &url(1)).await.expect("a target can be removed");
    record(&h, sync.work, 1, pushed()).await;
    assert_eq!(targets(&h, repository).await, []);
    h.finish(&sync, Outcome::Completed(None)).await;
    assert_eq!(refusal(h.store.record_push(sync.work, &url(1), &pushed()).await), ErrorKind::Conflict);
}

fn url(number: u32) -> SourceUrl {
    format!("https://target.example/{number}").parse().expect("a source")
}

async fn targets(h: &StoreHarness, repository: RepositoryId) -> Vec<PushTarget> {
    h.store.push_targets(repository).await.expect("targets can be listed")
}

async fn record(h: &StoreHarness, work: Work, number: u32, outcome: PushOutcome) {
    h.store.record_push(work, &url(number), &outcome).await.expect("a push can be noted");
}
