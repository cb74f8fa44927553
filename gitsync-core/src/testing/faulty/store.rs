//! A store that goes wrong.

use crate::clock::Timestamp;
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
use crate::testing::faulty::faulty;

faulty! {
    /// A [`Store`] that fails when a test wants it to: before a call reaches the store, or after the store did what it was
    /// asked for, so that only the answer is lost. It also keeps calls waiting, and counts them.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use gitsync_core::memory::MemoryStore;
    /// use gitsync_core::testing::{FaultyStore, ManualClock, StoreCall};
    /// use gitsync_core::{Error, ErrorKind, Store};
    ///
    /// # gitsync_core::testing::run(async {
    /// let store = FaultyStore::new(Arc::new(MemoryStore::new(Arc::new(ManualClock::default()))));
    /// let away = || Error::new(ErrorKind::Unavailable, "the connection is gone");
    /// let slug = "kernel".parse().unwrap();
    ///
    /// store.fail(StoreCall::CreateOrganisation, 1, away());
    /// assert!(store.create_organisation(&slug, "The kernel").await.is_err());
    /// assert!(store.organisation_by_slug(&slug).await.is_err(), "nothing happened");
    ///
    /// store.fail_after(StoreCall::CreateOrganisation, 1, away());
    /// assert!(store.create_organisation(&slug, "The kernel").await.is_err());
    /// assert!(store.organisation_by_slug(&slug).await.is_ok(), "only the answer was lost");
    /// assert_eq!(store.count(StoreCall::CreateOrganisation), 2);
    /// # });
    /// ```
    FaultyStore for Store, with the calls StoreCall {
        CreateOrganisation => create_organisation(slug: &Slug, name: &str) -> Organisation;
        Organisation => organisation(id: OrganisationId) -> Organisation;
        OrganisationBySlug => organisation_by_slug(slug: &Slug) -> Organisation;
        ListOrganisations => list_organisations(page: &PageRequest) -> Page<Organisation>;
        CreateRepository => create_repository(new: &NewRepository) -> (Repository, SyncTask);
        Repository => repository(id: RepositoryId) -> Repository;
        RepositoryByName => repository_by_name(organisation: OrganisationId, name: &RepositoryName) -> Repository;
        ListRepositories => list_repositories(filter: &RepositoryFilter, page: &PageRequest) -> Page<Repository>;
        UpdateRepository => update_repository(id: RepositoryId, version: i64, patch: &RepositoryPatch) -> Repository;
        ArchiveRepository => archive_repository(id: RepositoryId) -> Archived;
        UnarchiveRepository => unarchive_repository(id: RepositoryId) -> Repository;
        RequestTask => request_task(repository: RepositoryId, request: &Request) -> Requested;
        RequestDue => request_due(limit: usize) -> DueScan;
        CancelTask => cancel_task(id: TaskId) -> SyncTask;
        Task => task(id: TaskId) -> SyncTask;
        Tasks => tasks(ids: &[TaskId]) -> Vec<SyncTask>;
        ListTasks => list_tasks(filter: &TaskFilter, page: &PageRequest) -> Page<SyncTask>;
        Outbox => outbox(limit: usize) -> Vec<NewJob>;
        MarkEnqueued => mark_enqueued(jobs: &[NewJob]) -> ();
        StartTask => start_task(task: TaskId, epoch: i64, attempt: u32) -> StartedTask;
        Baseline => baseline(repository: RepositoryId) -> Vec<RecordedRef>;
        ReportProgress => report_progress(work: Work, progress: &Progress) -> ();
        BeginRecording => begin_recording(work: Work) -> ();
        RecordCommits => record_commits(work: Work, commits: &[Commit]) -> ();
        OrphanCommits => orphan_commits(work: Work, commits: &[ObjectId]) -> ();
        OrphanUnrecorded => orphan_unrecorded(work: Work, limit: usize) -> Chunk;
        FinishTask => finish_task(
            work: Work,
            outcome: &Outcome,
            recording: Option<&Recording>,
            next_sync_at: Option<Timestamp>
        ) -> SyncTask;
        PurgeRepository => purge_repository(work: Work, limit: usize) -> Chunk;
        AddPushTarget => add_push_target(repository: RepositoryId, url: &SourceUrl) -> PushTarget;
        RemovePushTarget => remove_push_target(repository: RepositoryId, url: &SourceUrl) -> ();
        PushTargets => push_targets(repository: RepositoryId) -> Vec<PushTarget>;
        RecordPush => record_push(work: Work, url: &SourceUrl, outcome: &PushOutcome) -> ();
        SetCredential => set_credential(new: &NewCredential) -> StoredCredential;
        ListCredentials => list_credentials(organisation: OrganisationId, page: &PageRequest) -> Page<StoredCredential>;
        DeleteCredential => delete_credential(organisation: OrganisationId, name: &CredentialName) -> ();
        SealedCredentials => sealed_credentials(organisation: OrganisationId) -> Vec<SealedCredential>;
        CredentialKeys => credential_keys() -> Vec<KeyId>;
        ListSealedWith => list_sealed_with(key: &KeyId, page: &PageRequest) -> Page<SealedCredential>;
        ResealCredential => reseal_credential(
            organisation: OrganisationId,
            name: &CredentialName,
            before: &SealedSecret,
            after: &SealedSecret
        ) -> bool;
        ListBranches => list_branches(repository: RepositoryId, page: &PageRequest) -> Page<Branch>;
        ListCommits => list_commits(repository: RepositoryId, filter: &CommitFilter, page: &PageRequest) -> Page<Commit>;
        ListRefUpdates => list_ref_updates(repository: RepositoryId, page: &PageRequest) -> Page<RefUpdate>;
        Prune => prune(retention: &Retention) -> u64;
        ReportStorage => report_storage(report: &StorageReport) -> ();
        Storages => storages() -> KnownStorages;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::memory::MemoryStore;
    use crate::testing::ManualClock;
    use crate::testing::store_suite::StoreHarness;

    fn faulty() -> (FaultyStore, ManualClock) {
        let clock = ManualClock::default();
        (FaultyStore::new(Arc::new(MemoryStore::new(Arc::new(clock.clone())))), clock)
    }

    async fn make() -> StoreHarness {
        let (store, clock) = faulty();
        StoreHarness::new(Arc::new(store), clock)
    }

    // Without a fault it is the store it wraps.
    crate::store_suite!(make);

    #[tokio::test]
    async fn each_fault_happens_once_and_to_its_call() {
        let (store, _) = faulty();
        store.fail(StoreCall::Outbox, 2, Error::new(ErrorKind::Timeout, "the second"));
        assert!(store.request_due(1).await.is_ok(), "another call");
        assert!(store.outbox(1).await.is_ok());
        assert_eq!(store.outbox(1).await.unwrap_err().kind(), ErrorKind::Timeout);
        assert!(store.outbox(1).await.is_ok());
        store.fail(StoreCall::Outbox, 1, Error::new(ErrorKind::Timeout, "counted from now on"));
        assert!(store.outbox(1).await.is_err());
        assert_eq!((store.count(StoreCall::Outbox), store.count(StoreCall::Prune)), (4, 0));
    }

    #[tokio::test]
    async fn a_store_that_is_away_answers_nobody_until_it_is_back() {
        let (store, _) = faulty();
        store.go_away();
        assert_eq!(store.outbox(1).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(store.request_due(1).await.unwrap_err().kind(), ErrorKind::Unavailable);
        store.come_back();
        assert!(store.outbox(1).await.is_ok());
    }

    #[tokio::test]
    async fn a_held_call_waits_until_it_is_released() {
        let (store, _) = faulty();
        let store = Arc::new(store);
        let slug: Slug = "org".parse().unwrap();
        let held = store.delay(StoreCall::CreateOrganisation, 1);
        let caller = tokio::spawn({
            let (store, slug) = (Arc::clone(&store), slug.clone());
            async move { store.create_organisation(&slug, "Org").await }
        });
        held.reached().await;
        assert!(store.organisation_by_slug(&slug).await.is_err(), "it has not happened yet");
        held.release();
        assert_eq!(caller.await.unwrap().unwrap().slug, slug);
    }
}
