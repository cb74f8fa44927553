//! The life of a task: what its start and its end change.

use super::harness::{StoreHarness, completion, error};
use crate::error::ErrorKind;
use crate::model::{Progress, Repository, StatusBefore, SyncTask, TaskId, TaskKind, TaskParameters};
use crate::plan::SHRINK_PATIENCE;
use crate::rules::{Completion, Outcome};
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::store::StartedTask;

/// A first clone from its request to its end, and what a late second delivery finds.
pub async fn a_migrate_runs_to_its_end(h: StoreHarness) {
    let (repository, task) = h.create("r").await;
    let work = h.start(task.id).await;
    assert_eq!((work.task.status, work.task.epoch, work.task.attempt), (TaskStatus::Running, 1, 1));
    h.assert_now(work.task.started_at);
    assert_eq!(work.task.status_before, Some(StatusBefore { status: RepositoryStatus::Pending, error: None }));
    assert_eq!((work.repository.status, work.repository.fence), (RepositoryStatus::Mirroring, 1));
    assert_eq!((work.organisation.as_str(), work.was_recording), ("org", false));
    assert_eq!((work.baseline_digest, work.policy_digest), (None, None));
    assert_eq!(h.repository(repository.id).await, work.repository);
    assert_eq!(h.task(task.id).await, work.task);

    let ended = h.complete(&work, completion(7, 2), None).await;
    assert_eq!((ended.status, ended.commits_synced), (TaskStatus::Completed, 1));
    h.assert_now(ended.completed_at);
    assert_eq!(h.task(task.id).await, ended);
    let repository = h.repository(repository.id).await;
    assert_eq!((repository.status, repository.total_commits), (RepositoryStatus::Active, 7));
    assert_eq!((repository.recorded_refs, repository.size_bytes), (2, 1000));
    assert_eq!(repository.default_branch, completion(7, 2).default_branch);
    assert_eq!(repository.last_commit, completion(7, 2).last_commit);
    assert_eq!(repository.next_sync_at, Some(h.in_seconds(3600)));
    h.assert_now(repository.last_synced_at);
    h.assert_now(repository.last_changed_at);

    let late = h.store.start_task(task.id, 2, 2).await.expect("a late delivery is no error");
    assert!(matches!(late, StartedTask::AlreadyFinished), "{late:?}");
    assert_eq!(h.repository(repository.id).await, repository);
}

/// A final failure is shown, counted, and leads to the next look at upstream.
pub async fn a_failure_is_shown_by_task_and_repository(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let outcome = Outcome::Failed(error(ErrorKind::SourceNotFound));
    let next = Some(h.in_seconds(600));
    let ended = h.store.finish_task(work.work, &outcome, None, next).await.expect("the task can fail");
    assert_eq!((ended.status, &ended.error), (TaskStatus::Failed, &Some(error(ErrorKind::SourceNotFound))));
    assert_eq!(h.task(ended.id).await, ended);
    let failed = h.repository(repository.id).await;
    assert_eq!((failed.status, failed.error), (RepositoryStatus::Failed, ended.error));
    assert_eq!((failed.failures, failed.next_sync_at), (1, next));
    assert_eq!(failed.total_commits, repository.total_commits);
}

/// An empty repository is made without a look at upstream.
pub async fn an_initialize_makes_an_empty_repository(h: StoreHarness) {
    let (repository, task) = h.create_empty("r").await;
    assert_eq!((task.kind, &repository.source), (TaskKind::Initialize, &None));
    let work = h.start(task.id).await;
    assert_eq!(work.repository.status, RepositoryStatus::Initializing);
    let found = Completion { last_commit: None, changed: false, synced: false, ..completion(0, 0) };
    let outcome = Outcome::Completed(Some(Box::new(found.clone())));
    h.store.finish_task(work.work, &outcome, None, None).await.expect("the task can be completed");
    let active = h.repository(repository.id).await;
    let expected = Repository {
        status: RepositoryStatus::Active,
        default_branch: found.default_branch,
        size_bytes: found.size_bytes,
        fence: work.work.fence,
        ..repository
    };
    assert_eq!(active, expected);
}

/// Upkeep flips no status, and only what it finds corrupt makes its repository fail.
pub async fn upkeep_leaves_the_books_alone(h: StoreHarness) {
    let repository = h.migrated("r").await;
    for outcome in [Outcome::Completed(None), Outcome::Failed(error(ErrorKind::DiskFull)), Outcome::Cancelled] {
        let work = h.running(repository.id, TaskKind::Maintain).await;
        assert_eq!(work.repository, Repository { fence: work.work.fence, ..repository.clone() });
        let ended = h.store.finish_task(work.work, &outcome, None, Some(h.in_seconds(7))).await;
        assert!(ended.expect("the attempt can be ended").status.is_terminal());
        assert_eq!(h.repository(repository.id).await, work.repository);
    }
    let work = h.running(repository.id, TaskKind::Maintain).await;
    h.finish(&work, Outcome::Failed(error(ErrorKind::Corrupt))).await;
    let failed = h.repository(repository.id).await;
    assert_eq!((failed.status, failed.error), (RepositoryStatus::Failed, Some(error(ErrorKind::Corrupt))));
}

/// An upstream that lost most of its references changes nothing but what is shown, and is looked at again in an hour.
pub async fn a_collapse_keeps_the_status(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let failed = h.finish(&work, Outcome::Failed(error(ErrorKind::UpstreamShrank))).await;
    assert_eq!((failed.status, &failed.error), (TaskStatus::Failed, &Some(error(ErrorKind::UpstreamShrank))));
    let shrunk = h.repository(repository.id).await;
    h.assert_now(shrunk.shrank_at);
    h.assert_at(shrunk.next_sync_at, h.in_seconds(SHRINK_PATIENCE.as_secs()));
    let expected = Repository {
        error: failed.error,
        shrank_at: shrunk.shrank_at,
        next_sync_at: shrunk.next_sync_at,
        fence: work.work.fence,
        ..repository.clone()
    };
    assert_eq!(shrunk, expected);

    let work = h.running(repository.id, TaskKind::Sync).await;
    h.complete(&work, completion(1, 1), None).await;
    let recovered = h.repository(repository.id).await;
    assert_eq!((recovered.shrank_at, recovered.error), (None, None));
}

/// Another source is the repository's when the clone from there has succeeded.
pub async fn a_completed_migrate_saves_its_source(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let elsewhere: SourceUrl = "https://elsewhere.example/r".parse().expect("a source");
    let parameters =
        TaskParameters { source: Some(elsewhere.clone()), force: true, accept_shrink: false, verify: true };
    let migrate = h.try_request(repository.id, TaskKind::Migrate, parameters.clone()).await.expect("a forced migrate");
    assert_eq!(h.task(migrate.task.id).await.parameters, parameters);
    let work = h.start(migrate.task.id).await;
    assert_eq!(work.repository.source, repository.source);
    let found = Completion { source: Some(elsewhere.clone()), ..completion(1, 1) };
    h.complete(&work, found, None).await;
    assert_eq!(h.repository(repository.id).await.source, Some(elsewhere));
}

/// How far a task is can be seen while it runs, and stays to be seen when it has ended.
pub async fn progress_is_seen(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    assert_eq!(work.task.progress, Progress::default());
    let mut progress = Progress { phase: "fetching".into(), objects: 1, bytes: 1 << 40, commits: 0 };
    h.store.report_progress(work.work, &progress).await.expect("progress can be reported");
    assert_eq!(h.task(work.task.id).await, SyncTask { progress: progress.clone(), ..work.task.clone() });
    progress = Progress { phase: "recording".into(), commits: 7, ..progress };
    h.store.report_progress(work.work, &progress).await.expect("progress can be reported");
    assert_eq!(h.repository(repository.id).await, work.repository);
    let ended = h.complete(&work, completion(1, 1), None).await;
    assert_eq!(ended.progress, progress);
    assert_eq!(h.task(ended.id).await, ended);
}

/// Of many tasks those are found that are there, each once: waiting, ended, or left of a deletion.
pub async fn tasks_are_found_by_many_ids(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let (ended, (_, waiting)) = (h.tasks(repository).await.remove(0), h.create("waiting").await);
    let gone = h.migrated("gone").await.id;
    let removed = h.tasks(gone).await[0].id;
    let deletion = h.running(gone, TaskKind::Delete).await;
    h.purge(&deletion).await;
    let mut expected = vec![ended, waiting, h.task(deletion.task.id).await];
    expected.sort_by_key(|task| task.id);

    let known = expected.iter().map(|task| task.id).chain([removed]);
    let unknown = (0..600).map(|_| TaskId::generate());
    let ids: Vec<_> = known.clone().chain(unknown).chain(known).collect();
    let mut found = h.store.tasks(&ids).await.expect("tasks can be looked for");
    found.sort_by_key(|task| task.id);
    assert_eq!(found, expected);
    assert_eq!(h.store.tasks(&[]).await.expect("none can be looked for"), []);
}
