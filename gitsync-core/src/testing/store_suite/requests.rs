//! What becomes of requests for tasks.

use std::sync::Arc;

use super::harness::StoreHarness;
use crate::model::{Repository, TaskKind, TaskParameters};
use crate::rules::{self, Disposition};
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};

/// A repository and its first task are made together, and are read back as they were returned.
pub async fn a_new_repository_waits_for_its_first_task(h: StoreHarness) {
    let new = h.new_mirror("linux").await;
    let (repository, task) = h.store.create_repository(&new).await.expect("a repository can be made");
    assert_eq!(repository, h.repository(repository.id).await);
    assert_eq!(task, h.task(new.task).await);
    assert_eq!((repository.status, &repository.source), (RepositoryStatus::Pending, &new.source));
    assert_eq!((task.repository, task.kind, task.status), (repository.id, TaskKind::Migrate, TaskStatus::Pending));
    assert_eq!((task.held, task.attempt, task.epoch, task.enqueued_at), (false, 0, 0, None));
    h.assert_now(Some(task.created_at));
    h.assert_now(Some(repository.created_at));

    let by_name = h.store.repository_by_name(new.organisation, &"LINUX".parse().expect("a name")).await;
    assert_eq!(by_name.expect("case does not matter"), repository);
}

/// Whoever asks for what is asked for already gets the same task.
pub async fn an_equal_request_returns_the_waiting_task(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let first = h.request(repository.id, TaskKind::Sync).await;
    assert_eq!(first.disposition, Disposition::Created);
    for kind in [TaskKind::Sync, TaskKind::Maintain] {
        let again = h.request(repository.id, kind).await;
        assert_eq!((again.disposition, &again.task), (Disposition::Returned, &first.task));
    }
    assert_eq!(h.task(first.task.id).await, first.task);
}

/// A stronger request changes the waiting task in place.
pub async fn a_stronger_request_rewrites_the_waiting_task(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let first = h.request(repository.id, TaskKind::Sync).await.task;
    let force = TaskParameters { force: true, ..TaskParameters::default() };
    let second = h.try_request(repository.id, TaskKind::Migrate, force.clone()).await.expect("a forced migrate");
    assert_eq!((second.disposition, second.task.id), (Disposition::Rewritten, first.id));
    let stored = h.task(first.id).await;
    assert_eq!((stored.kind, &stored.parameters), (TaskKind::Migrate, &force));
    assert_eq!(stored, second.task);
}

/// A running sync may have looked at upstream too early: there is one more, which waits for it to end.
pub async fn a_request_behind_a_running_sync_is_held(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let follow_up = h.request(repository.id, TaskKind::Sync).await;
    assert_eq!((follow_up.disposition, follow_up.task.held), (Disposition::Created, true));
    let again = h.request(repository.id, TaskKind::Sync).await;
    assert_eq!((again.disposition, again.task.id), (Disposition::Returned, follow_up.task.id));
    assert_ne!(follow_up.task.id, work.task.id);
    assert_eq!(h.store.outbox(10).await.expect("the outbox can be read"), [], "what is held is not for the queue");
}

/// Of many who ask at once, one makes the task and the others get it.
pub async fn requests_at_once_make_one_task(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let h = Arc::new(h);
    let ask = |_| {
        let h = Arc::clone(&h);
        tokio::spawn(async move { h.request(repository, TaskKind::Sync).await })
    };
    let asked: Vec<_> = (0..8).map(ask).collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.expect("a request does not panic"));
    }
    let created = answers.iter().filter(|answer| answer.disposition == Disposition::Created).count();
    assert_eq!(created, 1);
    assert!(answers.iter().all(|answer| answer.task.id == answers[0].task.id));
}

/// Whoever asks for a clone that is being made gets the task that makes it, unless that is about to stop.
pub async fn an_equal_request_returns_the_running_migrate(h: StoreHarness) {
    let (repository, task) = h.create("r").await;
    let work = h.start(task.id).await;
    let again = h.request(repository.id, TaskKind::Migrate).await;
    assert_eq!((again.disposition, &again.task), (Disposition::Returned, &work.task));
    h.store.cancel_task(task.id).await.expect("the task can be cancelled");
    let follow_up = h.request(repository.id, TaskKind::Migrate).await;
    assert_eq!((follow_up.disposition, follow_up.task.held), (Disposition::Created, true));
}

/// A follow-up is made stronger by the same rules as any waiting task, and stays held.
pub async fn a_stronger_request_rewrites_the_follow_up(h: StoreHarness) {
    let repository = h.migrated("r").await;
    h.running(repository.id, TaskKind::Sync).await;
    let weak = h.request(repository.id, TaskKind::Maintain).await.task;
    let shrink = TaskParameters { accept_shrink: true, ..TaskParameters::default() };
    let strong = h.try_request(repository.id, TaskKind::Sync, shrink.clone()).await.expect("a sync");
    assert_eq!((strong.disposition, strong.task.id), (Disposition::Rewritten, weak.id));
    let stored = h.task(weak.id).await;
    assert_eq!((stored.kind, &stored.parameters, stored.held), (TaskKind::Sync, &shrink, true));
    assert_eq!(stored, strong.task);
}

/// Where nothing was ever cloned, the source that a migrate names is the repository's at once.
pub async fn the_source_of_a_first_migrate_is_saved(h: StoreHarness) {
    let (repository, _) = h.create_empty("r").await;
    let source: Option<SourceUrl> = "https://elsewhere.example/r".parse().ok();
    let parameters = TaskParameters { source: source.clone(), ..TaskParameters::default() };
    let requested = h.try_request(repository.id, TaskKind::Migrate, parameters).await.expect("a migrate");
    assert_eq!(requested.disposition, Disposition::Rewritten);
    let expected = Repository { source, ..repository };
    assert_eq!((&*requested.repository, &h.repository(expected.id).await), (&expected, &expected));
    assert_eq!(h.outbox().await, [rules::job(&expected, &requested.task)], "in the lane of the new host");
}

/// Whatever waits is given the wish to verify, and whatever takes its place has it too.
pub async fn a_wish_to_verify_stays_with_the_waiting_task(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let waiting = h.request(repository.id, TaskKind::Sync).await.task;
    let verify = TaskParameters { verify: true, ..TaskParameters::default() };
    let wish = h.try_request(repository.id, TaskKind::Maintain, verify.clone()).await.expect("a check");
    assert_eq!((wish.disposition, wish.task.id), (Disposition::Rewritten, waiting.id));
    let stored = h.task(waiting.id).await;
    assert_eq!((stored.kind, &stored.parameters), (TaskKind::Sync, &verify));
    let force = TaskParameters { force: true, ..TaskParameters::default() };
    let stronger = h.try_request(repository.id, TaskKind::Migrate, force).await.expect("a migrate").task;
    assert_eq!(h.task(waiting.id).await, stronger);
    assert!(stronger.parameters.force && stronger.parameters.verify);
}
