//! The store in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::tables::{RepositoryRow, Tables};
use crate::clock::{Clock, Timestamp};
use crate::error::Result;
use crate::model::{
    Branch, Commit, CredentialName, KeyId, KnownStorages, ObjectId, Organisation, OrganisationId, Page, PageRequest,
    Progress, PushTarget, RecordedRef, RefUpdate, Repository, RepositoryId, RepositoryName, SealedCredential,
    SealedSecret, Slug, StorageReport, StoredCredential, SyncTask, TaskId,
};
use crate::queue::NewJob;
use crate::rules::{Archived, DueScan, Outcome, PushOutcome, Request, Requested};
use crate::source::SourceUrl;
use crate::store::{
    Chunk, CommitFilter, NewCredential, NewRepository, Recording, RepositoryFilter, RepositoryPatch, Retention,
    StartedTask, Store, TaskFilter, Work,
};

/// A store in memory: the reference implementation of [`Store`].
///
/// Each call holds one lock over all tables, and checks everything before it changes anything: that makes it a
/// transaction.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        MemoryStore { clock, tables: Mutex::default() }
    }

    /// Begins a transaction: the tables, and the time at which it takes place.
    fn begin(&self) -> (MutexGuard<'_, Tables>, Timestamp) {
        // No code that holds the lock can panic half-way through a change.
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        (tables, self.clock.now())
    }

    fn read(&self) -> MutexGuard<'_, Tables> {
        self.begin().0
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn create_organisation(&self, slug: &Slug, name: &str) -> Result<Organisation> {
        let (mut tables, now) = self.begin();
        tables.create_organisation(slug, name, now)
    }

    async fn organisation(&self, id: OrganisationId) -> Result<Organisation> {
        self.read().organisation(id).cloned()
    }

    async fn organisation_by_slug(&self, slug: &Slug) -> Result<Organisation> {
        self.read().organisation_by_slug(slug).cloned()
    }

    async fn list_organisations(&self, page: &PageRequest) -> Result<Page<Organisation>> {
        Ok(self.read().list_organisations(page))
    }

    async fn create_repository(&self, new: &NewRepository) -> Result<(Repository, SyncTask)> {
        let (mut tables, now) = self.begin();
        tables.create_repository(new, now)
    }

    async fn repository(&self, id: RepositoryId) -> Result<Repository> {
        self.read().visible(id).map(|row| row.repository.clone())
    }

    async fn repository_by_name(&self, organisation: OrganisationId, name: &RepositoryName) -> Result<Repository> {
        self.read().repository_by_name(organisation, name).cloned()
    }

    async fn list_repositories(&self, filter: &RepositoryFilter, page: &PageRequest) -> Result<Page<Repository>> {
        self.read().list_repositories(filter, page)
    }

    async fn update_repository(&self, id: RepositoryId, version: i64, patch: &RepositoryPatch) -> Result<Repository> {
        let (mut tables, now) = self.begin();
        tables.update_repository(id, version, patch, now)
    }

    async fn archive_repository(&self, id: RepositoryId) -> Result<Archived> {
        let (mut tables, now) = self.begin();
        tables.archive(id, now)
    }

    async fn unarchive_repository(&self, id: RepositoryId) -> Result<Repository> {
        let (mut tables, now) = self.begin();
        tables.unarchive(id, now)
    }

    async fn request_task(&self, repository: RepositoryId, request: &Request) -> Result<Requested> {
        let (mut tables, now) = self.begin();
        tables.request_task(repository, request, now)
    }

    async fn request_due(&self, limit: usize) -> Result<DueScan> {
        let (mut tables, now) = self.begin();
        tables.request_due(limit, now)
    }

    async fn cancel_task(&self, id: TaskId) -> Result<SyncTask> {
        let (mut tables, now) = self.begin();
        tables.cancel_task(id, now)
    }

    async fn task(&self, id: TaskId) -> Result<SyncTask> {
        self.read().task_or_tombstone(id).cloned()
    }

    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<SyncTask>> {
        self.read().tasks(ids)
    }

    async fn list_tasks(&self, filter: &TaskFilter, page: &PageRequest) -> Result<Page<SyncTask>> {
        Ok(self.read().list_tasks(filter, page))
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<NewJob>> {
        self.read().outbox(limit)
    }

    async fn mark_enqueued(&self, jobs: &[NewJob]) -> Result<()> {
        let (mut tables, now) = self.begin();
        tables.mark_enqueued(jobs, now)
    }

    async fn start_task(&self, task: TaskId, epoch: i64, attempt: u32) -> Result<StartedTask> {
        let (mut tables, now) = self.begin();
        tables.start_task(task, epoch, attempt, now)
    }

    async fn baseline(&self, repository: RepositoryId) -> Result<Vec<RecordedRef>> {
        Ok(self.read().row(repository)?.refs.values().cloned().collect())
    }

    async fn report_progress(&self, work: Work, progress: &Progress) -> Result<()> {
        self.begin().0.report_progress(work, progress)
    }

    async fn begin_recording(&self, work: Work) -> Result<()> {
        self.begin().0.begin_recording(work)
    }

    async fn record_commits(&self, work: Work, commits: &[Commit]) -> Result<()> {
        self.begin().0.record_commits(work, commits)
    }

    async fn orphan_commits(&self, work: Work, commits: &[ObjectId]) -> Result<()> {
        let (mut tables, now) = self.begin();
        tables.orphan_commits(work, commits, now)
    }

    async fn orphan_unrecorded(&self, work: Work, limit: usize) -> Result<Chunk> {
        let (mut tables, now) = self.begin();
        tables.orphan_unrecorded(work, limit, now)
    }

    async fn finish_task(
        &self,
        work: Work,
        outcome: &Outcome,
        recording: Option<&Recording>,
        next_sync_at: Option<Timestamp>,
    ) -> Result<SyncTask> {
        let (mut tables, now) = self.begin();
        tables.finish_task(work, outcome, recording, next_sync_at, now)
    }

    async fn purge_repository(&self, work: Work, limit: usize) -> Result<Chunk> {
        let (mut tables, now) = self.begin();
        tables.purge_repository(work, limit, now)
    }

    async fn add_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<PushTarget> {
        let (mut tables, now) = self.begin();
        tables.add_push_target(repository, url, now)
    }

    async fn remove_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<()> {
        self.begin().0.remove_push_target(repository, url)
    }

    async fn push_targets(&self, repository: RepositoryId) -> Result<Vec<PushTarget>> {
        self.read().visible(repository).map(RepositoryRow::push_targets)
    }

    async fn record_push(&self, work: Work, url: &SourceUrl, outcome: &PushOutcome) -> Result<()> {
        let (mut tables, now) = self.begin();
        tables.record_push(work, url, outcome, now)
    }

    async fn set_credential(&self, new: &NewCredential) -> Result<StoredCredential> {
        let (mut tables, now) = self.begin();
        tables.set_credential(new, now)
    }

    async fn list_credentials(
        &self,
        organisation: OrganisationId,
        page: &PageRequest,
    ) -> Result<Page<StoredCredential>> {
        self.read().list_credentials(organisation, page)
    }

    async fn delete_credential(&self, organisation: OrganisationId, name: &CredentialName) -> Result<()> {
        self.begin().0.delete_credential(organisation, name)
    }

    async fn sealed_credentials(&self, organisation: OrganisationId) -> Result<Vec<SealedCredential>> {
        Ok(self.read().credentials_of(organisation).cloned().collect())
    }

    async fn credential_keys(&self) -> Result<Vec<KeyId>> {
        Ok(self.read().credential_keys())
    }

    async fn list_sealed_with(&self, key: &KeyId, page: &PageRequest) -> Result<Page<SealedCredential>> {
        Ok(self.read().list_sealed_with(key, page))
    }

    async fn reseal_credential(
        &self,
        organisation: OrganisationId,
        name: &CredentialName,
        before: &SealedSecret,
        after: &SealedSecret,
    ) -> Result<bool> {
        Ok(self.begin().0.reseal_credential(organisation, name, before, after))
    }

    async fn list_branches(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<Branch>> {
        self.read().list_branches(repository, page)
    }

    async fn list_commits(
        &self,
        repository: RepositoryId,
        filter: &CommitFilter,
        page: &PageRequest,
    ) -> Result<Page<Commit>> {
        self.read().list_commits(repository, filter, page)
    }

    async fn list_ref_updates(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<RefUpdate>> {
        self.read().list_ref_updates(repository, page)
    }

    async fn prune(&self, retention: &Retention) -> Result<u64> {
        Ok(self.begin().0.prune(retention))
    }

    async fn report_storage(&self, report: &StorageReport) -> Result<()> {
        let (mut tables, now) = self.begin();
        tables.report_storage(report, now)
    }

    async fn storages(&self) -> Result<KnownStorages> {
        let (tables, at) = self.begin();
        Ok(KnownStorages { at, storages: tables.storages() })
    }
}
