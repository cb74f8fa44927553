//! The store's side: each call is one of [`gitsync_sql::store`], on the connection that it needs.

use async_trait::async_trait;
use gitsync_core::model::{
    Branch, Commit, CredentialName, KeyId, KnownStorages, ObjectId, Organisation, OrganisationId, Page, PageRequest,
    Progress, PushTarget, RecordedRef, RefUpdate, Repository, RepositoryId, RepositoryName, SealedCredential,
    SealedSecret, Slug, StorageReport, StoredCredential, SyncTask, TaskId,
};
use gitsync_core::queue::NewJob;
use gitsync_core::rules::{Archived, DueScan, Outcome, PushOutcome, Request, Requested};
use gitsync_core::source::SourceUrl;
use gitsync_core::store::{
    Chunk, CommitFilter, NewCredential, NewRepository, Recording, RepositoryFilter, RepositoryPatch, Retention,
    StartedTask, Store, TaskFilter, Work,
};
use gitsync_core::{Result, Timestamp};
use gitsync_sql::Dialect;
use gitsync_sql::store::{self as operations, PreparedCommits};

use crate::SqliteStore;

#[async_trait]
impl Store for SqliteStore {
    async fn create_organisation(&self, slug: &Slug, name: &str) -> Result<Organisation> {
        let (slug, name) = (slug.clone(), name.to_owned());
        self.write(move |c| Box::pin(async move { operations::create_organisation(c, &slug, &name).await })).await
    }

    async fn organisation(&self, id: OrganisationId) -> Result<Organisation> {
        self.read(move |c| Box::pin(operations::organisation(c, id))).await
    }

    async fn organisation_by_slug(&self, slug: &Slug) -> Result<Organisation> {
        let slug = slug.clone();
        self.read(move |c| Box::pin(async move { operations::organisation_by_slug(c, &slug).await })).await
    }

    async fn list_organisations(&self, page: &PageRequest) -> Result<Page<Organisation>> {
        let page = page.clone();
        self.read(move |c| Box::pin(async move { operations::list_organisations(c, &page).await })).await
    }

    async fn create_repository(&self, new: &NewRepository) -> Result<(Repository, SyncTask)> {
        let new = new.clone();
        self.write(move |c| Box::pin(async move { operations::create_repository(c, &new).await })).await
    }

    async fn repository(&self, id: RepositoryId) -> Result<Repository> {
        self.read(move |c| Box::pin(operations::repository(c, id))).await
    }

    async fn repository_by_name(&self, organisation: OrganisationId, name: &RepositoryName) -> Result<Repository> {
        let name = name.clone();
        self.read(move |c| Box::pin(async move { operations::repository_by_name(c, organisation, &name).await })).await
    }

    async fn list_repositories(&self, filter: &RepositoryFilter, page: &PageRequest) -> Result<Page<Repository>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |c| Box::pin(async move { operations::list_repositories(c, &filter, &page).await })).await
    }

    async fn update_repository(&self, id: RepositoryId, version: i64, patch: &RepositoryPatch) -> Result<Repository> {
        let patch = patch.clone();
        self.write(move |c| Box::pin(async move { operations::update_repository(c, id, version, &patch).await })).await
    }

    async fn archive_repository(&self, id: RepositoryId) -> Result<Archived> {
        self.write(move |c| Box::pin(operations::archive_repository(c, id))).await
    }

    async fn unarchive_repository(&self, id: RepositoryId) -> Result<Repository> {
        self.write(move |c| Box::pin(operations::unarchive_repository(c, id))).await
    }

    async fn request_task(&self, repository: RepositoryId, request: &Request) -> Result<Requested> {
        let request = request.clone();
        self.write(move |c| Box::pin(async move { operations::request_task(c, repository, &request).await })).await
    }

    async fn request_due(&self, limit: usize) -> Result<DueScan> {
        self.write(move |c| Box::pin(operations::request_due(c, limit))).await
    }

    async fn cancel_task(&self, id: TaskId) -> Result<SyncTask> {
        self.write(move |c| Box::pin(operations::cancel_task(c, id))).await
    }

    async fn task(&self, id: TaskId) -> Result<SyncTask> {
        self.read(move |c| Box::pin(operations::task(c, id))).await
    }

    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<SyncTask>> {
        let ids = ids.to_vec();
        self.read(move |c| Box::pin(async move { operations::tasks(c, &ids).await })).await
    }

    async fn list_tasks(&self, filter: &TaskFilter, page: &PageRequest) -> Result<Page<SyncTask>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |c| Box::pin(async move { operations::list_tasks(c, &filter, &page).await })).await
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<NewJob>> {
        self.read(move |c| Box::pin(operations::outbox(c, limit))).await
    }

    async fn mark_enqueued(&self, jobs: &[NewJob]) -> Result<()> {
        let jobs = jobs.to_vec();
        self.write_repeatable(move |c| Box::pin(async move { operations::mark_enqueued(c, &jobs).await })).await
    }

    async fn start_task(&self, task: TaskId, epoch: i64, attempt: u32) -> Result<StartedTask> {
        self.write(move |c| Box::pin(operations::start_task(c, task, epoch, attempt))).await
    }

    async fn baseline(&self, repository: RepositoryId) -> Result<Vec<RecordedRef>> {
        self.read(move |c| Box::pin(operations::baseline(c, repository))).await
    }

    async fn report_progress(&self, work: Work, progress: &Progress) -> Result<()> {
        let progress = progress.clone();
        self.write_repeatable(move |c| Box::pin(async move { operations::report_progress(c, work, &progress).await }))
            .await
    }

    async fn begin_recording(&self, work: Work) -> Result<()> {
        self.write_repeatable(move |c| Box::pin(operations::begin_recording(c, work))).await
    }

    async fn record_commits(&self, work: Work, commits: &[Commit]) -> Result<()> {
        let prepared = PreparedCommits::new(Dialect::Sqlite, work, commits)?;
        self.write_repeatable(move |c| Box::pin(operations::record_commits(c, work, prepared))).await
    }

    async fn orphan_commits(&self, work: Work, commits: &[ObjectId]) -> Result<()> {
        let commits = commits.to_vec();
        self.write_repeatable(move |c| Box::pin(async move { operations::orphan_commits(c, work, &commits).await }))
            .await
    }

    async fn orphan_unrecorded(&self, work: Work, limit: usize) -> Result<Chunk> {
        self.write_repeatable(move |c| Box::pin(operations::orphan_unrecorded(c, work, limit))).await
    }

    async fn finish_task(
        &self,
        work: Work,
        outcome: &Outcome,
        recording: Option<&Recording>,
        next_sync_at: Option<Timestamp>,
    ) -> Result<SyncTask> {
        let (outcome, recording) = (outcome.clone(), recording.cloned());
        self.write(move |c| {
            Box::pin(async move { operations::finish_task(c, work, &outcome, recording.as_ref(), next_sync_at).await })
        })
        .await
    }

    async fn purge_repository(&self, work: Work, limit: usize) -> Result<Chunk> {
        self.write(move |c| Box::pin(operations::purge_repository(c, work, limit))).await
    }

    async fn add_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<PushTarget> {
        let url = url.clone();
        self.write(move |c| Box::pin(async move { operations::add_push_target(c, repository, &url).await })).await
    }

    async fn remove_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<()> {
        let url = url.clone();
        self.write(move |c| Box::pin(async move { operations::remove_push_target(c, repository, &url).await })).await
    }

    async fn push_targets(&self, repository: RepositoryId) -> Result<Vec<PushTarget>> {
        self.read(move |c| Box::pin(operations::push_targets(c, repository))).await
    }

    async fn record_push(&self, work: Work, url: &SourceUrl, outcome: &PushOutcome) -> Result<()> {
        let (url, outcome) = (url.clone(), outcome.clone());
        self.write_repeatable(move |c| Box::pin(async move { operations::record_push(c, work, &url, &outcome).await }))
            .await
    }

    async fn set_credential(&self, new: &NewCredential) -> Result<StoredCredential> {
        let new = new.clone();
        self.write(move |c| Box::pin(async move { operations::set_credential(c, &new).await })).await
    }

    async fn list_credentials(
        &self,
        organisation: OrganisationId,
        page: &PageRequest,
    ) -> Result<Page<StoredCredential>> {
        let page = page.clone();
        self.read(move |c| Box::pin(async move { operations::list_credentials(c, organisation, &page).await })).await
    }

    async fn delete_credential(&self, organisation: OrganisationId, name: &CredentialName) -> Result<()> {
        let name = name.clone();
        self.write(move |c| Box::pin(async move { operations::delete_credential(c, organisation, &name).await })).await
    }

    async fn sealed_credentials(&self, organisation: OrganisationId) -> Result<Vec<SealedCredential>> {
        self.read(move |c| Box::pin(operations::sealed_credentials(c, organisation))).await
    }

    async fn credential_keys(&self) -> Result<Vec<KeyId>> {
        self.read(|c| Box::pin(operations::credential_keys(c))).await
    }

    async fn list_sealed_with(&self, key: &KeyId, page: &PageRequest) -> Result<Page<SealedCredential>> {
        let (key, page) = (key.clone(), page.clone());
        self.read(move |c| Box::pin(async move { operations::list_sealed_with(c, &key, &page).await })).await
    }

    async fn reseal_credential(
        &self,
        organisation: OrganisationId,
        name: &CredentialName,
        before: &SealedSecret,
        after: &SealedSecret,
    ) -> Result<bool> {
        let (name, before, after) = (name.clone(), before.clone(), after.clone());
        // Durable: the key before may be thrown away next.
        self.write(move |c| {
            Box::pin(async move { operations::reseal_credential(c, organisation, &name, &before, &after).await })
        })
        .await
    }

    async fn list_branches(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<Branch>> {
        let page = page.clone();
        self.read(move |c| Box::pin(async move { operations::list_branches(c, repository, &page).await })).await
    }

    async fn list_commits(
        &self,
        repository: RepositoryId,
        filter: &CommitFilter,
        page: &PageRequest,
    ) -> Result<Page<Commit>> {
        let (filter, page) = (filter.clone(), page.clone());
        self.read(move |c| Box::pin(async move { operations::list_commits(c, repository, &filter, &page).await })).await
    }

    async fn list_ref_updates(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<RefUpdate>> {
        let page = page.clone();
        self.read(move |c| Box::pin(async move { operations::list_ref_updates(c, repository, &page).await })).await
    }

    async fn prune(&self, retention: &Retention) -> Result<u64> {
        let retention = *retention;
        self.write(move |c| Box::pin(async move { operations::prune(c, &retention).await })).await
    }

    async fn report_storage(&self, report: &StorageReport) -> Result<()> {
        let report = report.clone();
        self.write_repeatable(move |c| Box::pin(async move { operations::report_storage(c, &report).await })).await
    }

    async fn storages(&self) -> Result<KnownStorages> {
        self.read(move |c| Box::pin(operations::storages(c))).await
    }
}
