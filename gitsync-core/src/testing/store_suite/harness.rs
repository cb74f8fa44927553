//! What the cases are given, and the steps they are made of.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Timestamp};
use crate::error::{ErrorKind, Result};
use crate::model::{
    Commit, Layout, ObjectId, Organisation, PageRequest, RecordedRef, RefName, Repository, RepositoryId, Signature,
    SourceType, StoredError, SyncTask, TaskId, TaskKind, TaskParameters,
};
use crate::rules::{Completion, Outcome, Request, Requested};
use crate::store::{CommitFilter, NewRepository, Recording, StartedTask, StartedWork, Store};
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
    pub(super) async fn organisation(&self) -> Organisation {
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
            task: TaskId::generate(),
        }
    }

    /// Creates a mirror; its first task waits.
    pub(super) async fn create(&self, name: &str) -> (Repository, SyncTask) {
        let new = self.new_mirror(name).await;
        self.store.create_repository(&new).await.expect("a repository can be made")
    }

    /// Creates a mirror and lets its first task complete: one branch with one commit is recorded.
    pub(super) async fn migrated(&self, name: &str) -> Repository {
        let (repository, task) = self.create(name).await;
        let work = self.start(task.id).await;
        let main = branch("main", 1);
        self.record(&work, &[commit(1, 1)]).await;
        let recording = Recording { changed: vec![main], cloned_refs: Some(1), full: true, ..Recording::default() };
        self.complete(&work, completion(1, 1), Some(&recording)).await;
        self.repository(repository.id).await
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

    /// Returns the ids of a repository's commits, newest first.
    pub(super) async fn commits(&self, repository: RepositoryId, include_orphaned: bool) -> Vec<ObjectId> {
        let filter = CommitFilter { include_orphaned, ..CommitFilter::default() };
        let page = self.store.list_commits(repository, &filter, &everything()).await.expect("commits can be listed");
        page.items.iter().map(|commit| commit.id).collect()
    }

    /// Returns the moment `seconds` from now.
    pub(super) fn in_seconds(&self, seconds: u64) -> Timestamp {
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

/// Asks for the first page, as long as can be.
pub(super) fn everything() -> PageRequest {
    PageRequest::new(crate::model::MAX_PAGE_ITEMS, None).expect("the limit is allowed")
}

/// Returns an id of a commit; each number has its own.
pub(super) fn id(number: u8) -> ObjectId {
    ObjectId::Sha1([number; 20])
}

/// Returns commit `number`, committed at `seconds`.
pub(super) fn commit(number: u8, seconds: i64) -> Commit {
    let author = Signature {
        name: format!("author {number}"),
        email: format!("a{number}@example"),
        seconds: seconds - 1,
        offset_minutes: -90,
    };
    let committer = Signature { name: "committer".into(), email: "c@example".into(), seconds, offset_minutes: 60 };
    Commit {
        id: id(number),
        parents: vec![id(number.wrapping_sub(1))],
        author,
        committer,
        message: format!("commit {number}\n"),
        message_cut: false,
    }
}

/// Returns a branch at commit `number`.
pub(super) fn branch(short: &str, number: u8) -> RecordedRef {
    let name = RefName::branch(short).expect("a branch name");
    RecordedRef { name, id: id(number), commit: Some(id(number)) }
}

/// Returns what a sync knows of a repository with this many commits and references; `HEAD` points to `main`.
pub(super) fn completion(total_commits: i64, recorded_refs: i64) -> Completion {
    Completion {
        source: None,
        default_branch: Some(RefName::branch("main").expect("a branch name")),
        last_commit: Some(id(1)),
        total_commits,
        recorded_refs,
        size_bytes: 1000,
        commits_synced: 1,
        changed: true,
        synced: true,
    }
}

/// Returns an error to be stored.
pub(super) fn error(kind: ErrorKind) -> StoredError {
    StoredError { kind, message: format!("it was {kind}") }
}
