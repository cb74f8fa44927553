//! The facade: everything a program asks of gitsync.

use std::future::Future;
use std::sync::Arc;

use tracing::Instrument as _;

use super::builder::GitSyncBuilder;
use super::janitor::Janitor;
use super::parts::Parts;
use super::scheduler::Scheduler;
use super::task::check_depth;
use super::watch::Watches;
use super::worker::Worker;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Branch, Commit, Depth, Layout, Organisation, OrganisationId, Page, PageRequest, PushTarget, RefUpdate, Repository,
    RepositoryId, RepositoryName, Slug, SourceType, StorageName, SyncTask, TaskId, TaskKind, TaskParameters,
};
use crate::plan::RefPattern;
use crate::queue::QueueStats;
use crate::rules::{Archived, Request, Requested, job, place};
use crate::source::SourceUrl;
use crate::state::TaskStatus;
use crate::store::{CommitFilter, NewRepository, RepositoryFilter, RepositoryPatch, TaskFilter};

/// A repository as a caller wishes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateRepository {
    /// The name within the organisation.
    pub name: String,
    /// What it is, for people.
    pub description: String,
    /// Who creates it.
    pub owner: String,
    /// Whether it may be read without a token where the service allows that.
    pub is_public: bool,
    /// The upstream to mirror; `None` for an empty repository.
    pub source: Option<SourceUrl>,
    /// `github`, `gitlab`, `gitea` or `custom`; empty to infer it from the source.
    pub source_type: String,
    /// Whether it has no working tree; `None` for the default: yes. In a working tree the checked-out branch follows upstream,
    /// forward only; see [`plan::Target`](crate::plan::Target).
    pub is_bare: Option<bool>,
    /// Whether every reference follows upstream; `None` for the default: with a source, yes.
    pub is_mirror: Option<bool>,
    /// The storage to put it on; `None` for the one with most room, see [`rules::place`](crate::rules::place).
    pub storage: Option<StorageName>,
    /// References of upstream that are left out.
    pub exclude_refs: Vec<RefPattern>,
    /// How much of upstream's history is fetched; `None` for all of it.
    pub depth: Option<Depth>,
}

/// An engine, ready to use: a cheap handle that can be cloned and shared.
///
/// Calls write to the store and return; the work is done by workers, in this process ([`GitSync::worker`]) or in another
/// one on the same database.
#[derive(Clone, Debug)]
pub struct GitSync {
    pub(super) parts: Arc<Parts>,
    pub(super) watches: Arc<Watches>,
}

impl GitSync {
    /// Begins to put an engine together.
    pub fn builder() -> GitSyncBuilder {
        GitSyncBuilder::default()
    }

    pub(super) fn new(parts: Parts) -> Self {
        let parts = Arc::new(parts);
        GitSync { watches: Arc::new(Watches::new(Arc::clone(&parts))), parts }
    }

    /// Returns a worker for the storages of this process. Without one it finds nothing to do.
    pub fn worker(&self) -> Worker {
        Worker::new(Arc::clone(&self.parts))
    }

    /// Returns a scheduler.
    pub fn scheduler(&self) -> Scheduler {
        Scheduler::new(Arc::clone(&self.parts))
    }

    /// Returns a janitor for the storages of this process.
    pub fn janitor(&self) -> Janitor {
        Janitor::new(Arc::clone(&self.parts))
    }

    /// Creates an organisation.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the slug is taken,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is too long.
    pub async fn create_organisation(&self, slug: &Slug, name: &str) -> Result<Organisation> {
        self.parts.store.create_organisation(slug, name).await
    }

    /// Returns an organisation.
    pub async fn organisation(&self, id: OrganisationId) -> Result<Organisation> {
        self.parts.store.organisation(id).await
    }

    /// Returns the organisation that has a slug.
    pub async fn organisation_by_slug(&self, slug: &Slug) -> Result<Organisation> {
        self.parts.store.organisation_by_slug(slug).await
    }

    /// Lists organisations.
    pub async fn list_organisations(&self, page: &PageRequest) -> Result<Page<Organisation>> {
        self.parts.store.list_organisations(page).await
    }

    /// Creates a repository and requests its first task: a migrate if it has a source, else an initialize.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a bad name, a text that is too long, too many patterns, a
    /// contradictory wish or a storage that nobody knows,
    /// [`SourceRefused`](crate::ErrorKind::SourceRefused) for a source that the policy forbids,
    /// [`NotFound`](crate::ErrorKind::NotFound) without the organisation, [`AlreadyExists`](crate::ErrorKind::AlreadyExists)
    /// if the name is taken, [`Unavailable`](crate::ErrorKind::Unavailable) without any storage,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a depth that the git engine cannot fetch.
    pub async fn create_repository(
        &self,
        organisation: OrganisationId,
        wish: CreateRepository,
    ) -> Result<(Repository, SyncTask)> {
        let name = RepositoryName::new(wish.name).map_err(|error| error.in_field("name"))?;
        self.check_source(wish.source.as_ref())?;
        check_depth(wish.depth, &*self.parts.backend)?;
        let storage = self.place(wish.storage.as_ref()).await?;
        let new = NewRepository {
            organisation,
            name,
            description: wish.description,
            owner: wish.owner,
            is_public: wish.is_public,
            layout: Layout::from_request(wish.is_bare, wish.is_mirror, wish.source.is_some())?,
            source_type: SourceType::from_request(&wish.source_type, wish.source.as_ref())?,
            source: wish.source,
            storage,
            exclude_refs: wish.exclude_refs,
            depth: wish.depth,
            task: TaskId::generate(),
        };
        let this = self.clone();
        to_the_end(async move {
            let (repository, task) = this.parts.store.create_repository(&new).await?;
            this.queue_now(&repository, &task).await;
            Ok((repository, task))
        })
        .await
    }

    /// Returns a repository.
    pub async fn repository(&self, id: RepositoryId) -> Result<Repository> {
        self.parts.store.repository(id).await
    }

    /// Returns the repository that has a name, without regard to case.
    pub async fn repository_by_name(&self, organisation: OrganisationId, name: &str) -> Result<Repository> {
        self.parts.store.repository_by_name(organisation, &RepositoryName::new(name)?).await
    }

    /// Lists repositories.
    pub async fn list_repositories(&self, filter: &RepositoryFilter, page: &PageRequest) -> Result<Page<Repository>> {
        self.parts.store.list_repositories(filter, page).await
    }

    /// Changes what a user may change of a repository that is still at `version`. Other references to leave out, and another
    /// depth, take effect with the next sync: references that are left out from now on go as if upstream had deleted them,
    /// and a larger depth, or none, fetches what is missing.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) if somebody else changed it meanwhile, or for a depth where the whole history
    /// was cloned, [`Unsupported`](crate::ErrorKind::Unsupported) for a depth that the git engine cannot fetch,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for more than [`rules`](crate::rules) allow: a longer text, more
    /// patterns, a shorter or longer interval.
    pub async fn update_repository(
        &self,
        id: RepositoryId,
        version: i64,
        patch: &RepositoryPatch,
    ) -> Result<Repository> {
        check_depth(patch.depth.flatten(), &*self.parts.backend)?;
        self.parts.store.update_repository(id, version, patch).await
    }

    /// Sets a repository aside: it is neither synced on schedule nor by request until it is taken back. A task that waits is
    /// cancelled. Doing it twice is doing it once.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) while a task of the repository runs.
    pub async fn archive_repository(&self, id: RepositoryId) -> Result<Repository> {
        let Archived { repository, cancelled } = self.parts.store.archive_repository(id).await?;
        if let Some(task) = cancelled
            && let Err(error) = self.parts.queue.cancel(&[task.id]).await
        {
            // Whoever is given the job finds that its task has ended.
            tracing::warn!(%error, task = %task.id, "cannot take the cancelled job out of the queue");
        }
        Ok(repository)
    }

    /// Takes an archived repository back: it is again what it was. One that is not archived stays as it is.
    pub async fn unarchive_repository(&self, id: RepositoryId) -> Result<Repository> {
        self.parts.store.unarchive_repository(id).await
    }

    /// Requests that a repository is cloned: for the first time, or with `force` anew. A source replaces the repository's own
    /// when the task succeeds.
    ///
    /// A clone in place of another one from the same source is looked at as a sync is: the task fails as
    /// [`UpstreamShrank`](crate::ErrorKind::UpstreamShrank) if the upstream lost most of its branches and tags, unless that
    /// has been so for an hour. Of another source nothing is expected.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) without force where there is a clone,
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) without a source, or for one of the repository's push targets,
    /// [`SourceRefused`](crate::ErrorKind::SourceRefused) if the policy forbids it.
    pub async fn migrate(&self, id: RepositoryId, source: Option<SourceUrl>, force: bool) -> Result<SyncTask> {
        self.check_source(source.as_ref())?;
        self.request(id, TaskKind::Migrate, TaskParameters { source, force, ..TaskParameters::default() }).await
    }

    /// Requests that a repository is brought in step with its upstream.
    pub async fn sync(&self, id: RepositoryId) -> Result<SyncTask> {
        self.request(id, TaskKind::Sync, TaskParameters::default()).await
    }

    /// Requests a sync that believes an upstream which lost most of its references.
    pub async fn sync_accepting_shrink(&self, id: RepositoryId) -> Result<SyncTask> {
        let parameters = TaskParameters { accept_shrink: true, ..TaskParameters::default() };
        self.request(id, TaskKind::Sync, parameters).await
    }

    /// Requests upkeep of a repository: that its packs are made fewer. Syncs ask for it by themselves, see
    /// [`EngineOptions::max_packs`](super::EngineOptions::max_packs).
    ///
    /// The task fails as [`Unsupported`](crate::ErrorKind::Unsupported) where the git program is not installed.
    pub async fn maintain_repository(&self, id: RepositoryId) -> Result<SyncTask> {
        self.request(id, TaskKind::Maintain, TaskParameters::default()).await
    }

    /// Requests that a repository is verified: that everything is there which its references lead to. Upkeep follows.
    ///
    /// If something is missing or cannot be read, the task fails as [`Corrupt`](crate::ErrorKind::Corrupt) and names it, the
    /// repository is failed, and its files are left as they are. It stays so until it is whole: syncs verify it again, and a
    /// [migrate](GitSync::migrate) with force clones it anew. A task that waits already is returned and verifies the
    /// repository when its own work is done.
    pub async fn verify_repository(&self, id: RepositoryId) -> Result<SyncTask> {
        let parameters = TaskParameters { verify: true, ..TaskParameters::default() };
        self.request(id, TaskKind::Maintain, parameters).await
    }

    /// Requests that a repository is deleted. It is hidden at once; its files and records go when the task is done.
    pub async fn delete_repository(&self, id: RepositoryId) -> Result<SyncTask> {
        self.request(id, TaskKind::Delete, TaskParameters::default()).await
    }

    /// Returns a task.
    pub async fn task(&self, id: TaskId) -> Result<SyncTask> {
        self.parts.store.task(id).await
    }

    /// Lists tasks, newest first.
    pub async fn list_tasks(&self, filter: &TaskFilter, page: &PageRequest) -> Result<Page<SyncTask>> {
        self.parts.store.list_tasks(filter, page).await
    }

    /// Cancels a task: a waiting one ends at once, a running one within moments. What was begun is done also if the caller
    /// does not wait for it.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) for a deletion.
    pub async fn cancel_task(&self, id: TaskId) -> Result<SyncTask> {
        let parts = Arc::clone(&self.parts);
        to_the_end(async move {
            let task = parts.store.cancel_task(id).await?;
            // A worker hears of it from the queue, so a caller must know if that failed: calling again is safe.
            parts.queue.cancel(&[id]).await?;
            Ok(task)
        })
        .await
    }

    /// Requests again what a task was to do. One that still waits is due now.
    pub async fn retry_task(&self, id: TaskId) -> Result<SyncTask> {
        let task = self.parts.store.task(id).await?;
        self.request(task.repository, task.kind, task.parameters).await
    }

    /// Adds a push target: it is given what the repository has after this sync and all later ones, which is why a
    /// repository that is synced on schedule is due at once. See [`GitBackend::push_mirror`](crate::GitBackend::push_mirror)
    /// for what a push does.
    ///
    /// A target that fails is left alone for a while, which doubles with each failure, and no sync fails with it.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the repository has it,
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if it has
    /// [`MAX_PUSH_TARGETS`](crate::rules::MAX_PUSH_TARGETS), [`InvalidInput`](crate::ErrorKind::InvalidInput) for its own
    /// source, also one that it is about to get, [`SourceRefused`](crate::ErrorKind::SourceRefused) if the policy forbids it,
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the engine of this process cannot push, or if the repository has a
    /// working tree or a depth.
    pub async fn add_push_target(&self, id: RepositoryId, url: &SourceUrl) -> Result<PushTarget> {
        if !self.parts.backend.capabilities().push {
            return Err(Error::new(ErrorKind::Unsupported, "the git engine cannot push")
                .with("engine", self.parts.backend.name()));
        }
        self.parts.policy.check_target(url).map_err(|error| error.in_field("url"))?;
        self.parts.store.add_push_target(id, url).await
    }

    /// Removes a push target. What was pushed stays there.
    pub async fn remove_push_target(&self, id: RepositoryId, url: &SourceUrl) -> Result<()> {
        self.parts.store.remove_push_target(id, url).await
    }

    /// Returns the push targets of a repository, and how it stands with each.
    pub async fn push_targets(&self, id: RepositoryId) -> Result<Vec<PushTarget>> {
        self.parts.store.push_targets(id).await
    }

    /// Lists the branches of a repository by name.
    pub async fn list_branches(&self, id: RepositoryId, page: &PageRequest) -> Result<Page<Branch>> {
        self.parts.store.list_branches(id, page).await
    }

    /// Lists the commits of a repository, newest first.
    pub async fn list_commits(
        &self,
        id: RepositoryId,
        filter: &CommitFilter,
        page: &PageRequest,
    ) -> Result<Page<Commit>> {
        self.parts.store.list_commits(id, filter, page).await
    }

    /// Lists the movements of branches and tags, newest first.
    pub async fn list_ref_updates(&self, id: RepositoryId, page: &PageRequest) -> Result<Page<RefUpdate>> {
        self.parts.store.list_ref_updates(id, page).await
    }

    /// Counts the jobs in the queue.
    pub async fn queue_stats(&self) -> Result<QueueStats> {
        self.parts.queue.stats().await
    }

    async fn request(&self, id: RepositoryId, kind: TaskKind, parameters: TaskParameters) -> Result<SyncTask> {
        let request = Request { kind, parameters, id: TaskId::generate() };
        let this = self.clone();
        to_the_end(async move {
            let Requested { task, repository, stopping, .. } = this.parts.store.request_task(id, &request).await?;
            if let Some(stopping) = stopping {
                // Its worker would learn from the store only at the end.
                let _ = this.parts.queue.cancel(&[stopping.id]).await;
            }
            if task.status == TaskStatus::Pending && !task.held && task.enqueued_at.is_none() {
                this.queue_now(&repository, &task).await;
            }
            Ok(task)
        })
        .await
    }

    /// Puts a task's job into the queue at once. The task is safe in the store: if this fails, the outbox makes it good.
    async fn queue_now(&self, repository: &Repository, task: &SyncTask) {
        if let Err(error) = self.parts.dispatcher.one(job(repository, task)).await {
            tracing::warn!(%error, task = %task.id, "cannot queue the task at once");
        }
    }

    fn check_source(&self, source: Option<&SourceUrl>) -> Result<()> {
        let checked = source.map_or(Ok(()), |source| self.parts.policy.check_url(source));
        checked.map_err(|error| error.in_field("source_url"))
    }

    /// Decides which storage gets a new repository.
    async fn place(&self, wanted: Option<&StorageName>) -> Result<StorageName> {
        let known = self.parts.store.storages().await?;
        let own: Vec<_> = self.parts.storages.keys().cloned().collect();
        place(wanted, &known, &own)
    }
}

/// Does what consists of several calls to its end, whoever may still wait for it: the store would know what the queue was never
/// told.
async fn to_the_end<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let done = tokio::spawn(work.in_current_span()).await;
    done.unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, "the request broke off").caused_by(error)))
}
