//! What the cases are given, and the steps they are made of.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use super::values::Books;
pub(super) use super::values::{branch, commit, completion, error, everything, id, refusal};
use crate::clock::{Clock, Timestamp};
use crate::error::{ErrorKind, Result};
use crate::model::{
    Branch, Commit, Layout, ObjectId, Organisation, RecordedRef, RefUpdate, Repository, RepositoryId, SourceType,
    SyncTask, TaskId, TaskKind, TaskParameters,
};
use crate::queue::NewJob;
use crate::rules::{Completion, Outcome, Request, Requested};
use crate::store::{
    Chunk, CommitFilter, MAX_STORE_BATCH, NewRepository, Recording, StartedTask, StartedWork, Store, TaskFilter,
};
use crate::testing::ManualClock;

/// A second: by how much cases keep away from the exact moment at which something changes, so that a store may take its
/// time from a database whose clock goes on by itself.
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// An empty store under test.
#[derive(Debug)]
pub struct StoreHarness {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The clock that the store goes by.
    pub clock: ManualClock,
    #[allow(dead_code)]
    kept: Option<Box<dyn Any + Send + Sync>>,
}

impl StoreHarness {
    /// Brings a store and its clock together.
    pub fn new(store: Arc<dyn Store>, clock: ManualClock) -> Self {
        StoreHarness { store, clock, kept: None }
    }

    /// Keeps a value, such as a temporary directory, for as long as the store is used.
    #[must_use]
    pub fn keep(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept = Some(Box::new(kept));
        self
    }

    /// Returns the organisation `org`, which it makes if need be.
    pub(in crate::testing) async fn organisation(&self) -> Organisation {
        let slug = "org".parse().expect("a slug");
        match self.store.organisation_by_slug(&slug).await {
            Ok(organisation) => organisation,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                self.store.create_organisation(&slug, "Org").await.expect("an organisation can be made")
            }
        }
    }

    /// Describes a mirror of `https://host.example/{name}` in the organisation `org`.
    pub(super) async fn new_mirror(&self, name: &str) -> NewRepository {
        NewRepository {
            organisation: self.organisation().await.id,
            name: name.parse().expect("a repository name"),
            description: "a mirror".into(),
            owner: "somebody".into(),
            is_public: true,
            layout: Layout::Mirror,
            source: Some(format!("https://host.example/{name}").parse().expect("a source")),
            source_type: SourceType::Custom,
            storage: "default".parse().expect("a storage name"),
            exclude_refs: Vec::new(),
            depth: None,
            task: TaskId::generate(),
        }
    }

    /// Creates a bare repository without a source; its first task waits.
    pub(in crate::testing) async fn create_empty(&self, name: &str) -> (Repository, SyncTask) {
        let new = NewRepository { layout: Layout::Bare, source: None, ..self.new_mirror(name).await };
        self.store.create_repository(&new).await.expect("a repository can be made")
    }

    /// Creates a mirror; its first task waits.
    pub(in crate::testing) async fn create(&self, name: &str) -> (Repository, SyncTask) {
        let new = self.new_mirror(name).await;
        self.store.create_repository(&new).await.expect("a repository can be made")
    }

    /// Creates a mirror and lets its first task complete: one branch with one commit is recorded.
    pub(super) async fn migrated(&self, name: &str) -> Repository {
        self.migrated_until(name, Some(self.in_seconds(3600))).await
    }

    /// As [`migrated`](Self::migrated); the repository is due again at `next`.
    pub(super) async fn migrated_until(&self, name: &str, next: Option<Timestamp>) -> Repository {
        let (repository, task) = self.create(name).await;
        let work = self.start(task.id).await;
        let main = branch("main", 1);
        self.record(&work, &[commit(1, 1)]).await;
        let recording = Recording { changed: vec![main], cloned_refs: Some(1), full: true, ..Recording::default() };
        let outcome = Outcome::Completed(Some(Box::new(completion(1, 1))));
        let ended = self.store.finish_task(work.work, &outcome, Some(&recording), next).await;
        ended.expect("the task can be completed");
        self.repository(repository.id).await
    }

    /// Completes a sync that found these branches and tags, new or moved, and nothing else.
    pub(super) async fn synced(&self, repository: RepositoryId, changed: Vec<RecordedRef>) {
        let work = self.running(repository, TaskKind::Sync).await;
        let recording = Recording { changed, ..Recording::default() };
        self.complete(&work, completion(1, 1), Some(&recording)).await;
    }

    /// Completes a sync that recorded these commits.
    pub(super) async fn synced_commits(&self, repository: RepositoryId, commits: &[Commit]) {
        let work = self.running(repository, TaskKind::Sync).await;
        self.record(&work, commits).await;
        self.complete(&work, completion(1, 1), None).await;
    }

    pub(super) async fn repository(&self, id: RepositoryId) -> Repository {
        self.store.repository(id).await.expect("the repository is there")
    }

    pub(super) async fn task(&self, id: TaskId) -> SyncTask {
        self.store.task(id).await.expect("the task is there")
    }

    pub(super) async fn try_request(
        &self,
        repository: RepositoryId,
        kind: TaskKind,
        parameters: TaskParameters,
    ) -> Result<Requested> {
        let request = Request { kind, parameters, id: TaskId::generate() };
        self.store.request_task(repository, &request).await
    }

    pub(super) async fn request(&self, repository: RepositoryId, kind: TaskKind) -> Requested {
        let requested = self.try_request(repository, kind, TaskParameters::default()).await;
        requested.expect("the task can be requested")
    }

    /// Starts a task as the next delivery of its job would.
    pub(super) async fn start(&self, id: TaskId) -> StartedWork {
        let task = self.task(id).await;
        match self.store.start_task(id, task.epoch + 1, task.attempt + 1).await.expect("the task can be started") {
            StartedTask::Run(work) => *work,
            StartedTask::AlreadyFinished => panic!("the task has not ended: {task:?}"),
        }
    }

    /// Requests a task and starts it.
    pub(super) async fn running(&self, repository: RepositoryId, kind: TaskKind) -> StartedWork {
        let task = self.request(repository, kind).await.task;
        self.start(task.id).await
    }

    /// Records commits, the recording mark first.
    pub(super) async fn record(&self, work: &StartedWork, commits: &[Commit]) {
        self.store.begin_recording(work.work).await.expect("a recording can begin");
        self.store.record_commits(work.work, commits).await.expect("commits can be recorded");
    }

    pub(super) async fn finish(&self, work: &StartedWork, outcome: Outcome) -> SyncTask {
        self.store.finish_task(work.work, &outcome, None, None).await.expect("the attempt can be ended")
    }

    pub(super) async fn complete(
        &self,
        work: &StartedWork,
        completion: Completion,
        recording: Option<&Recording>,
    ) -> SyncTask {
        let outcome = Outcome::Completed(Some(Box::new(completion)));
        let next = Some(self.in_seconds(3600));
        self.store.finish_task(work.work, &outcome, recording, next).await.expect("the task can be completed")
    }

    /// Orphans what was not recorded since the start of the task, to the end.
    pub(super) async fn orphan_unrecorded(&self, work: &StartedWork) {
        while self.store.orphan_unrecorded(work.work, MAX_STORE_BATCH).await.expect("commits can be orphaned")
            == Chunk::More
        {}
    }

    /// Ends a deletion.
    pub(super) async fn purge(&self, deletion: &StartedWork) {
        while self.store.purge_repository(deletion.work, MAX_STORE_BATCH).await.expect("rows can be removed")
            == Chunk::More
        {}
    }

    /// Returns the branches and tags that are recorded.
    pub(super) async fn baseline(&self, repository: RepositoryId) -> Vec<RecordedRef> {
        self.store.baseline(repository).await.expect("there is a baseline")
    }

    /// Returns the log of references, newest first.
    pub(super) async fn log(&self, repository: RepositoryId) -> Vec<RefUpdate> {
        self.store.list_ref_updates(repository, &everything()).await.expect("the log can be listed").items
    }

    pub(super) async fn branches(&self, repository: RepositoryId) -> Vec<Branch> {
        self.store.list_branches(repository, &everything()).await.expect("branches can be listed").items
    }

    /// Returns the tasks of a repository, newest first.
    pub(super) async fn tasks(&self, repository: RepositoryId) -> Vec<SyncTask> {
        let filter = TaskFilter { repository: Some(repository), ..TaskFilter::default() };
        self.store.list_tasks(&filter, &everything()).await.expect("tasks can be listed").items
    }

    pub(super) async fn outbox(&self) -> Vec<NewJob> {
        self.store.outbox(MAX_STORE_BATCH).await.expect("the outbox can be read")
    }

    /// Returns all that can be seen of a repository.
    pub(super) async fn books(&self, repository: RepositoryId) -> Books {
        Books {
            repository: self.repository(repository).await,
            tasks: self.tasks(repository).await,
            baseline: self.baseline(repository).await,
            branches: self.branches(repository).await,
            commits: self.commits(repository, false).await,
            all_commits: self.commits(repository, true).await,
            log: self.log(repository).await,
            outbox: self.outbox().await,
        }
    }

    /// Returns the ids of a repository's commits, newest first.
    pub(super) async fn commits(&self, repository: RepositoryId, include_orphaned: bool) -> Vec<ObjectId> {
        let filter = CommitFilter { include_orphaned, ..CommitFilter::default() };
        let page = self.store.list_commits(repository, &filter, &everything()).await.expect("commits can be listed");
        page.items.iter().map(|commit| commit.id).collect()
    }

    /// Returns the moment `seconds` from now.
    pub(in crate::testing) fn in_seconds(&self, seconds: u64) -> Timestamp {
        self.clock.now().after(Duration::from_secs(seconds))
    }

    /// Asserts that the store took a time from its clock just now.
    #[track_caller]
    pub(super) fn assert_now(&self, at: Option<Timestamp>) {
        self.assert_at(at, self.clock.now());
    }

    /// Asserts that a time the store reckoned from its clock is the expected one.
    #[track_caller]
    pub(super) fn assert_at(&self, at: Option<Timestamp>, expected: Timestamp) {
        let at = at.expect("the time is set");
        let distance = at.since(expected).max(expected.since(at));
        assert!(distance < SECOND, "{at} is not {expected}");
    }
}
