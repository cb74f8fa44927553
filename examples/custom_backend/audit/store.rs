//! The store: what was changed. The calls that change something come first; the others are handed on as they are.

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

use super::Audited;

#[async_trait]
impl<S: Store> Store for Audited<S> {
    async fn create_organisation(&self, slug: &Slug, name: &str) -> Result<Organisation> {
        let made = self.database.create_organisation(slug, name).await;
        self.noted(made, |organisation| Some(format!("organisation {} created: {slug}", organisation.id)))
    }

    async fn create_repository(&self, new: &NewRepository) -> Result<(Repository, SyncTask)> {
        self.noted(self.database.create_repository(new).await, |(repository, task)| {
            Some(format!("repository {} created: {}, task {}", repository.id, repository.name, task.id))
        })
    }

    async fn update_repository(&self, id: RepositoryId, version: i64, patch: &RepositoryPatch) -> Result<Repository> {
        let edited = self.database.update_repository(id, version, patch).await;
        self.noted(edited, |repository| Some(format!("repository {id} edited: version {}", repository.version)))
    }

    async fn archive_repository(&self, id: RepositoryId) -> Result<Archived> {
        self.noted(self.database.archive_repository(id).await, |_| Some(format!("repository {id} archived")))
    }

    async fn unarchive_repository(&self, id: RepositoryId) -> Result<Repository> {
        self.noted(self.database.unarchive_repository(id).await, |_| Some(format!("repository {id} taken back")))
    }

    async fn request_task(&self, repository: RepositoryId, request: &Request) -> Result<Requested> {
        self.noted(self.database.request_task(repository, request).await, |requested| {
            let (kind, task) = (request.kind.as_str(), requested.task.id);
            Some(format!("repository {repository} {kind} requested: {:?}, task {task}", requested.disposition))
        })
    }

    async fn request_due(&self, limit: usize) -> Result<DueScan> {
        self.noted(self.database.request_due(limit).await, |scan| {
            let tasks = scan.tasks.iter().map(|task| format!("{} task {}", task.repository, task.id));
            let tasks = tasks.collect::<Vec<_>>().join(", ");
            (!tasks.is_empty()).then(|| format!("repositories due: {tasks}"))
        })
    }

    async fn cancel_task(&self, id: TaskId) -> Result<SyncTask> {
        self.noted(self.database.cancel_task(id).await, |task| Some(format!("task {id} cancelled: {}", task.status)))
    }

    async fn set_credential(&self, new: &NewCredential) -> Result<StoredCredential> {
        self.noted(self.database.set_credential(new).await, |set| {
            Some(format!("organisation {} credentials set: {}, for {}", set.organisation, set.name, set.scope))
        })
    }

    async fn delete_credential(&self, organisation: OrganisationId, name: &CredentialName) -> Result<()> {
        let deleted = self.database.delete_credential(organisation, name).await;
        self.noted(deleted, |()| Some(format!("organisation {organisation} credentials deleted: {name}")))
    }

    async fn reseal_credential(
        &self,
        organisation: OrganisationId,
        name: &CredentialName,
        before: &SealedSecret,
        after: &SealedSecret,
    ) -> Result<bool> {
        let resealed = self.database.reseal_credential(organisation, name, before, after).await;
        self.noted(resealed, |done| {
            done.then(|| format!("organisation {organisation} credentials sealed with {}: {name}", after.key))
        })
    }

    async fn start_task(&self, task: TaskId, epoch: i64, attempt: u32) -> Result<StartedTask> {
        self.noted(self.database.start_task(task, epoch, attempt).await, |started| match started {
            StartedTask::Run(work) => Some(format!("task {task} started: fence {}", work.work.fence)),
            StartedTask::AlreadyFinished => None,
        })
    }

    async fn finish_task(
        &self,
        work: Work,
        outcome: &Outcome,
        recording: Option<&Recording>,
        next_sync_at: Option<Timestamp>,
    ) -> Result<SyncTask> {
        self.noted(self.database.finish_task(work, outcome, recording, next_sync_at).await, |task| {
            let moved = recording.map_or(0, |recording| recording.changed.len() + recording.removed.len());
            Some(format!(
                "task {} ended: {}, {moved} references, {} commits",
                task.id, task.status, task.commits_synced
            ))
        })
    }

    async fn record_commits(&self, work: Work, commits: &[Commit]) -> Result<()> {
        let recorded = self.database.record_commits(work, commits).await;
        self.noted(recorded, |()| Some(format!("repository {}: {} commits recorded", work.repository, commits.len())))
    }

    async fn orphan_commits(&self, work: Work, commits: &[ObjectId]) -> Result<()> {
        let orphaned = self.database.orphan_commits(work, commits).await;
        self.noted(orphaned, |()| Some(format!("repository {}: {} commits orphaned", work.repository, commits.len())))
    }

    async fn orphan_unrecorded(&self, work: Work, limit: usize) -> Result<Chunk> {
        let orphaned = self.database.orphan_unrecorded(work, limit).await;
        self.noted(orphaned, |_| Some(format!("repository {}: unrecorded commits orphaned", work.repository)))
    }

    async fn purge_repository(&self, work: Work, limit: usize) -> Result<Chunk> {
        self.noted(self.database.purge_repository(work, limit).await, |chunk| {
            Some(format!("repository {}: rows removed, {chunk:?}", work.repository))
        })
    }

    async fn prune(&self, retention: &Retention) -> Result<u64> {
        let pruned = self.database.prune(retention).await;
        self.noted(pruned, |rows| (*rows > 0).then(|| format!("{rows} old rows removed")))
    }

    async fn add_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<PushTarget> {
        let added = self.database.add_push_target(repository, url).await;
        self.noted(added, |_| Some(format!("repository {repository}: push target added: {url}")))
    }

    async fn remove_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<()> {
        let removed = self.database.remove_push_target(repository, url).await;
        self.noted(removed, |()| Some(format!("repository {repository}: push target removed: {url}")))
    }

    async fn record_push(&self, work: Work, url: &SourceUrl, outcome: &PushOutcome) -> Result<()> {
        let recorded = self.database.record_push(work, url, outcome).await;
        self.noted(recorded, |()| Some(format!("repository {} pushed to {url}: {outcome:?}", work.repository)))
    }

    async fn push_targets(&self, repository: RepositoryId) -> Result<Vec<PushTarget>> {
        self.database.push_targets(repository).await
    }

    async fn mark_enqueued(&self, jobs: &[NewJob]) -> Result<()> {
        self.database.mark_enqueued(jobs).await
    }

    async fn report_progress(&self, work: Work, progress: &Progress) -> Result<()> {
        self.database.report_progress(work, progress).await
    }

    async fn begin_recording(&self, work: Work) -> Result<()> {
        self.database.begin_recording(work).await
    }

    async fn organisation(&self, id: OrganisationId) -> Result<Organisation> {
        self.database.organisation(id).await
    }

    async fn organisation_by_slug(&self, slug: &Slug) -> Result<Organisation> {
        self.database.organisation_by_slug(slug).await
    }

    async fn list_organisations(&self, page: &PageRequest) -> Result<Page<Organisation>> {
        self.database.list_organisations(page).await
    }

    async fn repository(&self, id: RepositoryId) -> Result<Repository> {
        self.database.repository(id).await
    }

    async fn repository_by_name(&self, organisation: OrganisationId, name: &RepositoryName) -> Result<Repository> {
        self.database.repository_by_name(organisation, name).await
    }

    async fn list_repositories(&self, filter: &RepositoryFilter, page: &PageRequest) -> Result<Page<Repository>> {
        self.database.list_repositories(filter, page).await
    }

    async fn task(&self, id: TaskId) -> Result<SyncTask> {
        self.database.task(id).await
    }

    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<SyncTask>> {
        self.database.tasks(ids).await
    }

    async fn list_tasks(&self, filter: &TaskFilter, page: &PageRequest) -> Result<Page<SyncTask>> {
        self.database.list_tasks(filter, page).await
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<NewJob>> {
        self.database.outbox(limit).await
    }

    async fn baseline(&self, repository: RepositoryId) -> Result<Vec<RecordedRef>> {
        self.database.baseline(repository).await
    }

    async fn list_credentials(
        &self,
        organisation: OrganisationId,
        page: &PageRequest,
    ) -> Result<Page<StoredCredential>> {
        self.database.list_credentials(organisation, page).await
    }

    async fn sealed_credentials(&self, organisation: OrganisationId) -> Result<Vec<SealedCredential>> {
        self.database.sealed_credentials(organisation).await
    }

    async fn credential_keys(&self) -> Result<Vec<KeyId>> {
        self.database.credential_keys().await
    }

    async fn list_sealed_with(&self, key: &KeyId, page: &PageRequest) -> Result<Page<SealedCredential>> {
        self.database.list_sealed_with(key, page).await
    }

    async fn list_branches(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<Branch>> {
        self.database.list_branches(repository, page).await
    }

    async fn list_commits(
        &self,
        repository: RepositoryId,
        filter: &CommitFilter,
        page: &PageRequest,
    ) -> Result<Page<Commit>> {
        self.database.list_commits(repository, filter, page).await
    }

    async fn list_ref_updates(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<RefUpdate>> {
        self.database.list_ref_updates(repository, page).await
    }

    async fn report_storage(&self, report: &StorageReport) -> Result<()> {
        self.database.report_storage(report).await
    }

    async fn storages(&self) -> Result<KnownStorages> {
        self.database.storages().await
    }
}
