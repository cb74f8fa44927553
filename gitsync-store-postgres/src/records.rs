//! The store's side: each call is one of [`gitsync_sql::store`], in a transaction if it is more than one
//! statement that reads.

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

use crate::PostgresStore;
use crate::error::is_refusal;
use crate::glance::at_a_glance;
use crate::transaction::{Mode, in_transaction};

#[async_trait]
impl Store for PostgresStore {
    async fn create_organisation(&self, slug: &Slug, name: &str) -> Result<Organisation> {
        in_transaction!(self, Mode::Write, |c| operations::create_organisation(c, slug, name))
    }

    async fn organisation(&self, id: OrganisationId) -> Result<Organisation> {
        at_a_glance!(self, |c| operations::organisation(c, id))
    }

    async fn organisation_by_slug(&self, slug: &Slug) -> Result<Organisation> {
        at_a_glance!(self, |c| operations::organisation_by_slug(c, slug))
    }

    async fn list_organisations(&self, page: &PageRequest) -> Result<Page<Organisation>> {
        in_transaction!(self, Mode::Read, |c| operations::list_organisations(c, page))
    }

    async fn create_repository(&self, new: &NewRepository) -> Result<(Repository, SyncTask)> {
        in_transaction!(self, Mode::Write, |c| operations::create_repository(c, new))
    }

    async fn repository(&self, id: RepositoryId) -> Result<Repository> {
        at_a_glance!(self, |c| operations::repository(c, id))
    }

    async fn repository_by_name(&self, organisation: OrganisationId, name: &RepositoryName) -> Result<Repository> {
        at_a_glance!(self, |c| operations::repository_by_name(c, organisation, name))
    }

    async fn list_repositories(&self, filter: &RepositoryFilter, page: &PageRequest) -> Result<Page<Repository>> {
        in_transaction!(self, Mode::Read, |c| operations::list_repositories(c, filter, page))
    }

    async fn update_repository(&self, id: RepositoryId, version: i64, patch: &RepositoryPatch) -> Result<Repository> {
        in_transaction!(self, Mode::Write, |c| operations::update_repository(c, id, version, patch))
    }

    async fn archive_repository(&self, id: RepositoryId) -> Result<Archived> {
        in_transaction!(self, Mode::Write, |c| operations::archive_repository(c, id))
    }

    async fn unarchive_repository(&self, id: RepositoryId) -> Result<Repository> {
        in_transaction!(self, Mode::Write, |c| operations::unarchive_repository(c, id))
    }

    async fn request_task(&self, repository: RepositoryId, request: &Request) -> Result<Requested> {
        let request = (repository, request.clone());
        match self.requests.call(request.clone(), |requests| self.request_together(requests)).await {
            Ok(Some(answer)) => answer,
            Err(error) if !is_refusal(&error) => Err(error),
            Ok(None) | Err(_) => {
                let (repository, request) = request;
                in_transaction!(self, Mode::Write, |c| operations::request_task(c, repository, &request))
            }
        }
    }

    async fn request_due(&self, limit: usize) -> Result<DueScan> {
        in_transaction!(self, Mode::Write, |c| operations::request_due(c, limit))
    }

    async fn cancel_task(&self, id: TaskId) -> Result<SyncTask> {
        in_transaction!(self, Mode::Write, |c| operations::cancel_task(c, id))
    }

    async fn task(&self, id: TaskId) -> Result<SyncTask> {
        at_a_glance!(self, |c| operations::task(c, id))
    }

    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<SyncTask>> {
        in_transaction!(self, Mode::Read, |c| operations::tasks(c, ids))
    }

    async fn list_tasks(&self, filter: &TaskFilter, page: &PageRequest) -> Result<Page<SyncTask>> {
        in_transaction!(self, Mode::Read, |c| operations::list_tasks(c, filter, page))
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<NewJob>> {
        in_transaction!(self, Mode::Read, |c| operations::outbox(c, limit))
    }

    async fn mark_enqueued(&self, jobs: &[NewJob]) -> Result<()> {
        // It compares tasks with jobs and locks neither: one that is given other work meanwhile must stay to be enqueued.
        in_transaction!(self, Mode::WriteUnlocked, |c| operations::mark_enqueued(c, jobs))
    }

    async fn start_task(&self, task: TaskId, epoch: i64, attempt: u32) -> Result<StartedTask> {
        in_transaction!(self, Mode::Write, |c| operations::start_task(c, task, epoch, attempt))
    }

    async fn baseline(&self, repository: RepositoryId) -> Result<Vec<RecordedRef>> {
        in_transaction!(self, Mode::Read, |c| operations::baseline(c, repository))
    }

    async fn report_progress(&self, work: Work, progress: &Progress) -> Result<()> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::report_progress(c, work, progress))
    }

    async fn begin_recording(&self, work: Work) -> Result<()> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::begin_recording(c, work))
    }

    async fn record_commits(&self, work: Work, commits: &[Commit]) -> Result<()> {
        in_transaction!(self, Mode::WriteRepeatable, |c| async {
            let prepared = PreparedCommits::new(Dialect::Postgres, work, commits)?;
            operations::record_commits(c, work, prepared).await
        })
    }

    async fn orphan_commits(&self, work: Work, commits: &[ObjectId]) -> Result<()> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::orphan_commits(c, work, commits))
    }

    async fn orphan_unrecorded(&self, work: Work, limit: usize) -> Result<Chunk> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::orphan_unrecorded(c, work, limit))
    }

    async fn finish_task(
        &self,
        work: Work,
        outcome: &Outcome,
        recording: Option<&Recording>,
        next_sync_at: Option<Timestamp>,
    ) -> Result<SyncTask> {
        in_transaction!(self, Mode::Write, |c| operations::finish_task(c, work, outcome, recording, next_sync_at))
    }

    async fn purge_repository(&self, work: Work, limit: usize) -> Result<Chunk> {
        in_transaction!(self, Mode::Write, |c| operations::purge_repository(c, work, limit))
    }

    async fn add_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<PushTarget> {
        in_transaction!(self, Mode::Write, |c| operations::add_push_target(c, repository, url))
    }

    async fn remove_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<()> {
        in_transaction!(self, Mode::Write, |c| operations::remove_push_target(c, repository, url))
    }

    async fn push_targets(&self, repository: RepositoryId) -> Result<Vec<PushTarget>> {
        in_transaction!(self, Mode::Read, |c| operations::push_targets(c, repository))
    }

    async fn record_push(&self, work: Work, url: &SourceUrl, outcome: &PushOutcome) -> Result<()> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::record_push(c, work, url, outcome))
    }

    async fn set_credential(&self, new: &NewCredential) -> Result<StoredCredential> {
        in_transaction!(self, Mode::Write, |c| operations::set_credential(c, new))
    }

    async fn list_credentials(
        &self,
        organisation: OrganisationId,
        page: &PageRequest,
    ) -> Result<Page<StoredCredential>> {
        in_transaction!(self, Mode::Read, |c| operations::list_credentials(c, organisation, page))
    }

    async fn delete_credential(&self, organisation: OrganisationId, name: &CredentialName) -> Result<()> {
        in_transaction!(self, Mode::Write, |c| operations::delete_credential(c, organisation, name))
    }

    async fn sealed_credentials(&self, organisation: OrganisationId) -> Result<Vec<SealedCredential>> {
        at_a_glance!(self, |c| operations::sealed_credentials(c, organisation))
    }

    async fn credential_keys(&self) -> Result<Vec<KeyId>> {
        in_transaction!(self, Mode::Read, |c| operations::credential_keys(c))
    }

    async fn list_sealed_with(&self, key: &KeyId, page: &PageRequest) -> Result<Page<SealedCredential>> {
        in_transaction!(self, Mode::Read, |c| operations::list_sealed_with(c, key, page))
    }

    async fn reseal_credential(
        &self,
        organisation: OrganisationId,
        name: &CredentialName,
        before: &SealedSecret,
        after: &SealedSecret,
    ) -> Result<bool> {
        // Durable: the key before may be thrown away next.
        in_transaction!(self, Mode::Write, |c| operations::reseal_credential(c, organisation, name, before, after))
    }

    async fn list_branches(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<Branch>> {
        in_transaction!(self, Mode::Read, |c| operations::list_branches(c, repository, page))
    }

    async fn list_commits(
        &self,
        repository: RepositoryId,
        filter: &CommitFilter,
        page: &PageRequest,
    ) -> Result<Page<Commit>> {
        in_transaction!(self, Mode::Read, |c| operations::list_commits(c, repository, filter, page))
    }

    async fn list_ref_updates(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<RefUpdate>> {
        in_transaction!(self, Mode::Read, |c| operations::list_ref_updates(c, repository, page))
    }

    async fn prune(&self, retention: &Retention) -> Result<u64> {
        in_transaction!(self, Mode::Write, |c| operations::prune(c, retention))
    }

    async fn report_storage(&self, report: &StorageReport) -> Result<()> {
        in_transaction!(self, Mode::WriteRepeatable, |c| operations::report_storage(c, report))
    }

    async fn storages(&self) -> Result<KnownStorages> {
        in_transaction!(self, Mode::Read, |c| operations::storages(c))
    }
}

impl PostgresStore {
    async fn request_together(&self, requests: Vec<(RepositoryId, Request)>) -> Result<Vec<Option<Result<Requested>>>> {
        in_transaction!(self, Mode::Write, |c| operations::request_tasks(c, &requests))
    }
}
