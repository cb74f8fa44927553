//! The seam to the database: what is true is what the store holds.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Branch, Commit, CredentialName, Depth, KeyId, KnownStorages, Layout, ObjectId, Organisation, OrganisationId, Page,
    PageRequest, Progress, PushTarget, RecordedRef, RefName, RefUpdate, Repository, RepositoryId, RepositoryName,
    SealedCredential, SealedSecret, Slug, SourceType, StorageName, StorageReport, StoredCredential, SyncTask, TaskId,
    TaskKind,
};
use crate::plan::{Digest, Movement, RefPattern};
use crate::queue::NewJob;
use crate::rules::{Archived, DueScan, Outcome, PushOutcome, Request, Requested};
use crate::source::{CredentialKind, CredentialScope, SourceUrl};
use crate::state::{RepositoryStatus, TaskStatus};

/// The most rows one call may write or hand out.
pub const MAX_STORE_BATCH: usize = 5_000;

/// The most organisations that a [`RepositoryFilter`] may name.
pub const MAX_FILTER_ORGANISATIONS: usize = 1_000;

/// The most storages that [`Store::storages`] returns.
pub const MAX_STORAGES: usize = 1_000;

/// The most keys that [`Store::credential_keys`] returns.
pub const MAX_CREDENTIAL_KEYS: usize = 1_000;

/// A repository to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRepository {
    /// The organisation it belongs to.
    pub organisation: OrganisationId,
    /// Its name.
    pub name: RepositoryName,
    /// What it is, for people.
    pub description: String,
    /// Who creates it.
    pub owner: String,
    /// Whether it may be read without a token where the service allows that.
    pub is_public: bool,
    /// The shape on disk.
    pub layout: Layout,
    /// The upstream. With one the first task is a migrate, without one an initialize.
    pub source: Option<SourceUrl>,
    /// What kind of forge the source is on.
    pub source_type: SourceType,
    /// The disk to put it on.
    pub storage: StorageName,
    /// References of upstream that are left out.
    pub exclude_refs: Vec<RefPattern>,
    /// How much of upstream's history is fetched; `None` for all of it.
    pub depth: Option<Depth>,
    /// The id of the first task.
    pub task: TaskId,
}

/// Credentials of an organisation to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential {
    /// The organisation.
    pub organisation: OrganisationId,
    /// Their name. Those that have it are replaced.
    pub name: CredentialName,
    /// The sources they are for.
    pub scope: CredentialScope,
    /// The kind.
    pub kind: CredentialKind,
    /// The secret.
    pub secret: SealedSecret,
}

/// What a user changes of a repository; `None` leaves a field alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryPatch {
    /// The description.
    pub description: Option<String>,
    /// The owner.
    pub owner: Option<String>,
    /// Whether it is public.
    pub is_public: Option<bool>,
    /// How often it is synced; `Some(None)` leaves that to the engine again.
    pub sync_interval: Option<Option<Duration>>,
    /// The references that are left out.
    pub exclude_refs: Option<Vec<RefPattern>>,
    /// How much of upstream's history is fetched; `Some(None)` for all of it.
    pub depth: Option<Option<Depth>>,
}

/// Which repositories to list. Deleted ones never are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryFilter {
    /// Only these organisations', at most [`MAX_FILTER_ORGANISATIONS`]; none of them means no repository.
    pub organisations: Option<Vec<OrganisationId>>,
    /// Only those in this status.
    pub status: Option<RepositoryStatus>,
    /// Only those that are public, or only those that are not.
    pub is_public: Option<bool>,
}

impl RepositoryFilter {
    /// Checks that the filter does not name too much: every store does so before it looks.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for more than [`MAX_FILTER_ORGANISATIONS`] organisations.
    pub fn check(&self) -> Result<()> {
        let given = self.organisations.as_ref().map_or(0, Vec::len);
        if given <= MAX_FILTER_ORGANISATIONS {
            return Ok(());
        }
        let message = format!("a filter names at most {MAX_FILTER_ORGANISATIONS} organisations");
        Err(Error::new(ErrorKind::InvalidInput, message).with("given", given))
    }
}

/// Which tasks to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only this repository's.
    pub repository: Option<RepositoryId>,
    /// Only those in this status.
    pub status: Option<TaskStatus>,
    /// Only those of this kind.
    pub kind: Option<TaskKind>,
}

/// Which commits of a repository to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitFilter {
    /// Only those that this branch reaches, wherever their dates put them. Each page walks all that it reaches.
    pub branch: Option<RefName>,
    /// Only those by this author's e-mail address, to the letter.
    pub author_email: Option<String>,
    /// Only those committed at or after this moment, in seconds since the epoch.
    pub since_seconds: Option<i64>,
    /// Only those committed before this moment, in seconds since the epoch.
    pub until_seconds: Option<i64>,
    /// Also those that no branch or tag reaches any more.
    pub include_orphaned: bool,
}

/// The right to write on behalf of a started task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// The task.
    pub task: TaskId,
    /// Its repository.
    pub repository: RepositoryId,
    /// The repository's fence as the start raised it.
    pub fence: i64,
}

/// What a worker that claimed a job gets from the store.
#[derive(Clone, Debug)]
pub enum StartedTask {
    /// The task is to be worked on.
    Run(Box<StartedWork>),
    /// The task has ended already, or is gone with its repository: only the job is left to be finished.
    AlreadyFinished,
}

/// Everything a worker needs to know of a task it has started.
#[derive(Clone, Debug)]
pub struct StartedWork {
    /// The right to write.
    pub work: Work,
    /// The task, running.
    pub task: SyncTask,
    /// The repository.
    pub repository: Repository,
    /// Its organisation's short name, part of the path.
    pub organisation: Slug,
    /// The digest of the references and `HEAD` that the last completed task recorded.
    pub baseline_digest: Option<Digest>,
    /// The digest of the policy they were mapped by.
    pub policy_digest: Option<Digest>,
    /// The recording mark as the start found it: set means that an earlier task broke off while recording.
    pub was_recording: bool,
    /// When it was started, by the store's clock: what is decided about times later is compared with that.
    pub started_at: Timestamp,
}

/// What a completed task recorded beside the counters: written together with its outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// Branches and tags that are new or moved.
    pub changed: Vec<RecordedRef>,
    /// Branches and tags that are gone.
    pub removed: Vec<RefName>,
    /// The entries for the log.
    pub movements: Vec<Movement>,
    /// One summary entry instead of them, for a first clone.
    pub cloned_refs: Option<u64>,
    /// The digest of the references and `HEAD`.
    pub baseline_digest: Option<Digest>,
    /// The digest of the policy they were mapped by.
    pub policy_digest: Option<Digest>,
    /// Everything was walked: replaces all branches and tags. What the walk did not find is orphaned before, by
    /// [`Store::orphan_unrecorded`].
    pub full: bool,
}

/// What a call that does its work in chunks says of the rest.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// It did as much as its limit allows: there may be more, so it is to be called again.
    More,
    /// Nothing is left to do.
    Last,
}

/// How long finished things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Tasks that ended before this are removed, but for the one of each repository that has ended and has the highest id.
    /// What is left of a deletion is removed too.
    pub tasks_before: Timestamp,
    /// Entries of the log before this are removed.
    pub ref_updates_before: Timestamp,
    /// The most rows to remove in one call, of all kinds together.
    pub limit: usize,
}

/// The database of record.
///
/// Every call is one transaction: it happens whole or not at all, and is durable when it returns. What a task notes on its
/// way ([`mark_enqueued`](Store::mark_enqueued), [`report_progress`](Store::report_progress),
/// [`begin_recording`](Store::begin_recording), [`record_commits`](Store::record_commits),
/// [`orphan_commits`](Store::orphan_commits), [`orphan_unrecorded`](Store::orphan_unrecorded),
/// [`record_push`](Store::record_push)), and the [report](Store::report_storage) of a storage, need only survive the
/// process; a loss of power may take it where it takes all workers too, but never without all that was written later.
/// Decisions are those of [`rules`](crate::rules); a store loads rows, asks, and writes. Time is the store's own clock,
/// which tests inject.
///
/// No transaction grows with the number of commits: what concerns all of a repository's is done in [`Chunk`]s, each a call
/// with a limit of its own, so that others write in between. A call takes a time that depends on its limit alone, not on
/// what is there or was done before. Whoever starts the task anew goes on with what is left.
///
/// **All** calls may fail with [`Unavailable`](crate::ErrorKind::Unavailable), and then nothing was changed that the caller
/// could rely on; **all** calls that name a record fail with [`NotFound`](crate::ErrorKind::NotFound) if it is not there;
/// **all** calls that take a [`Work`] fail with [`LeaseLost`](crate::ErrorKind::LeaseLost) if its fence is not the
/// repository's any more, and with [`Conflict`](crate::ErrorKind::Conflict) if the task has ended; **all** calls that take a
/// slice refuse one that is longer than [`MAX_STORE_BATCH`] with [`InvalidInput`](crate::ErrorKind::InvalidInput), and
/// **all** limits are cut to it. A [`Recording`] has no bound. But for the branch of a [`CommitFilter`], filters name
/// nothing: what they do not find is an empty page.
///
/// Ids are never given twice. Texts come back as they were given; only for NUL a store may write U+FFFD. A page goes on
/// after the place where the one before ended: what is added or removed meanwhile moves nothing else.
///
/// A repository that is being deleted is there for its tasks only: for who asks for it by name or id, edits, archives it or
/// lists what is in it, it is `NotFound`.
///
#[doc = include_str!("store_example.md")]
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Creates an organisation.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the slug is taken, `InvalidInput` for a name that
    /// [`rules::check_organisation_name`](crate::rules::check_organisation_name) refuses.
    async fn create_organisation(&self, slug: &Slug, name: &str) -> Result<Organisation>;

    /// Returns an organisation.
    async fn organisation(&self, id: OrganisationId) -> Result<Organisation>;

    /// Returns the organisation that has a slug.
    async fn organisation_by_slug(&self, slug: &Slug) -> Result<Organisation>;

    /// Lists organisations by id.
    async fn list_organisations(&self, page: &PageRequest) -> Result<Page<Organisation>>;

    /// Creates a repository together with its first task; see [`rules::create`](crate::rules::create).
    ///
    /// # Errors
    /// `AlreadyExists` if the organisation has one of that name, without regard to case, also one that is being deleted, or
    /// if there is a task of that id.
    async fn create_repository(&self, new: &NewRepository) -> Result<(Repository, SyncTask)>;

    /// Returns a repository, unless it is being deleted.
    async fn repository(&self, id: RepositoryId) -> Result<Repository>;

    /// Returns the repository that has a name, without regard to case.
    async fn repository_by_name(&self, organisation: OrganisationId, name: &RepositoryName) -> Result<Repository>;

    /// Lists repositories by id.
    ///
    /// # Errors
    /// `InvalidInput` for a filter that [`RepositoryFilter::check`] refuses.
    async fn list_repositories(&self, filter: &RepositoryFilter, page: &PageRequest) -> Result<Page<Repository>>;

    /// Changes what a user may change; see [`rules::edit`](crate::rules::edit).
    async fn update_repository(&self, id: RepositoryId, version: i64, patch: &RepositoryPatch) -> Result<Repository>;

    /// Sets a repository aside; see [`rules::archive`](crate::rules::archive).
    async fn archive_repository(&self, id: RepositoryId) -> Result<Archived>;

    /// Takes an archived repository back; see [`rules::unarchive`](crate::rules::unarchive).
    async fn unarchive_repository(&self, id: RepositoryId) -> Result<Repository>;

    /// Requests a task; see [`rules::request`](crate::rules::request) for what becomes of it, and of its repository.
    ///
    /// # Errors
    /// `AlreadyExists` if a new task would get the id of another one.
    async fn request_task(&self, repository: RepositoryId, request: &Request) -> Result<Requested>;

    /// Turns repositories that are due into sync tasks, earliest first, looking at `limit` repositories at most; any number
    /// of callers may do so at once. See [`rules::due`](crate::rules::due).
    async fn request_due(&self, limit: usize) -> Result<DueScan>;

    /// Cancels a task; see [`rules::cancel`](crate::rules::cancel).
    async fn cancel_task(&self, id: TaskId) -> Result<SyncTask>;

    /// Returns a task. The deletion of a repository is found here also after all else of it is gone.
    async fn task(&self, id: TaskId) -> Result<SyncTask>;

    /// Returns those of some tasks, at most [`MAX_STORE_BATCH`], that [`task`](Store::task) would find, each once and in any
    /// order, as they were at one moment.
    async fn tasks(&self, ids: &[TaskId]) -> Result<Vec<SyncTask>>;

    /// Lists tasks by id, from the highest: newest first. Those of repositories that are gone are left out.
    async fn list_tasks(&self, filter: &TaskFilter, page: &PageRequest) -> Result<Page<SyncTask>>;

    /// Returns the jobs of waiting tasks that are not in the queue yet, by id of the task, at most `limit`. Held tasks are
    /// left out. See [`rules::job`](crate::rules::job).
    async fn outbox(&self, limit: usize) -> Result<Vec<NewJob>>;

    /// Notes that jobs, as [`outbox`](Store::outbox) returned them, are in the queue. One whose task is gone, or has another
    /// job by now, is passed over: a request that changed the task meanwhile still has to reach the queue.
    async fn mark_enqueued(&self, jobs: &[NewJob]) -> Result<()>;

    /// Starts a task at an epoch of its job; see [`rules::start`](crate::rules::start).
    async fn start_task(&self, task: TaskId, epoch: i64, attempt: u32) -> Result<StartedTask>;

    /// Returns the branches and tags the last finished task recorded, by name.
    async fn baseline(&self, repository: RepositoryId) -> Result<Vec<RecordedRef>>;

    /// Notes how far a task is.
    async fn report_progress(&self, work: Work, progress: &Progress) -> Result<()>;

    /// Sets the recording mark. From here to the task's completion the commits are not to be trusted.
    async fn begin_recording(&self, work: Work) -> Result<()>;

    /// Records commits, at most [`MAX_STORE_BATCH`]; those that are there are no longer orphaned. Doing it twice is doing it
    /// once, also within one call.
    async fn record_commits(&self, work: Work, commits: &[Commit]) -> Result<()>;

    /// Marks commits, at most [`MAX_STORE_BATCH`], as reached by no branch or tag any more. Unknown ones are passed over.
    async fn orphan_commits(&self, work: Work, commits: &[ObjectId]) -> Result<()>;

    /// Marks commits that were not recorded since this start of the task as reached by no branch or tag any more, at most
    /// `limit`. After a full walk it is to be called until nothing is left, between
    /// [`begin_recording`](Store::begin_recording) and [`finish_task`](Store::finish_task).
    async fn orphan_unrecorded(&self, work: Work, limit: usize) -> Result<Chunk>;

    /// Ends an attempt; see [`rules::finish`](crate::rules::finish). The recording, if there is one, is written with it, and
    /// replaces what is recorded of the branches and tags it names, or of all if it is full. Commits it leaves alone.
    ///
    /// # Errors
    /// `InvalidInput` for a recording with anything but a completion that knows its repository.
    // Named for the mock, which needs the lifetime of `recording`. As all have names, implementations need none.
    async fn finish_task<'s, 'o, 'r>(
        &'s self,
        work: Work,
        outcome: &'o Outcome,
        recording: Option<&'r Recording>,
        next_sync_at: Option<Timestamp>,
    ) -> Result<SyncTask>;

    /// Removes what is recorded of a repository, at most `limit` rows, in any order. The call that finds fewer ends the
    /// deletion: it removes the repository too and keeps the task alone; see [`rules::purge`](crate::rules::purge). Until
    /// then the repository is being deleted, its name is taken and its task runs.
    ///
    /// # Errors
    /// `Conflict` unless the task is a deletion.
    async fn purge_repository(&self, work: Work, limit: usize) -> Result<Chunk>;

    /// Adds a push target; see [`rules::add_push_target`](crate::rules::add_push_target).
    async fn add_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<PushTarget>;

    /// Removes a push target; see [`rules::remove_push_target`](crate::rules::remove_push_target).
    async fn remove_push_target(&self, repository: RepositoryId, url: &SourceUrl) -> Result<()>;

    /// Returns the push targets of a repository, by the text of their addresses.
    async fn push_targets(&self, repository: RepositoryId) -> Result<Vec<PushTarget>>;

    /// Notes how a push ended; see [`rules::record_push`](crate::rules::record_push). A target that was removed meanwhile is
    /// passed over.
    async fn record_push(&self, work: Work, url: &SourceUrl, outcome: &PushOutcome) -> Result<()>;

    /// Sets credentials of an organisation: new ones, or in place of those that have the name. See
    /// [`rules::set_credential`](crate::rules::set_credential). Of callers that set the same, or as many as fit, at once, the
    /// rule holds for all.
    async fn set_credential(&self, new: &NewCredential) -> Result<StoredCredential>;

    /// Lists the credentials of an organisation by name.
    async fn list_credentials(
        &self,
        organisation: OrganisationId,
        page: &PageRequest,
    ) -> Result<Page<StoredCredential>>;

    /// Deletes credentials of an organisation.
    async fn delete_credential(&self, organisation: OrganisationId, name: &CredentialName) -> Result<()>;

    /// Returns all credentials of an organisation with their secrets, at most
    /// [`MAX_CREDENTIALS`](crate::rules::MAX_CREDENTIALS), in any order. An organisation that is not there has none.
    async fn sealed_credentials(&self, organisation: OrganisationId) -> Result<Vec<SealedCredential>>;

    /// Returns the keys that some stored credentials of any organisation are sealed with, at most [`MAX_CREDENTIAL_KEYS`].
    async fn credential_keys(&self) -> Result<Vec<KeyId>>;

    /// Lists the credentials of all organisations that are sealed with a key, in an order that never changes.
    async fn list_sealed_with(&self, key: &KeyId, page: &PageRequest) -> Result<Page<SealedCredential>>;

    /// Puts another seal on a secret, which is the same as before inside. Tells whether the secret of these credentials was still
    /// `before`: if somebody has set or deleted them meanwhile, nothing happens.
    async fn reseal_credential(
        &self,
        organisation: OrganisationId,
        name: &CredentialName,
        before: &SealedSecret,
        after: &SealedSecret,
    ) -> Result<bool>;

    /// Lists branches by name.
    async fn list_branches(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<Branch>>;

    /// Lists commits, newest commit time first; those of one second in an order that never changes.
    ///
    /// # Errors
    /// `NotFound` also for a filter by a branch that is not recorded.
    async fn list_commits(
        &self,
        repository: RepositoryId,
        filter: &CommitFilter,
        page: &PageRequest,
    ) -> Result<Page<Commit>>;

    /// Lists the log of references, newest first.
    async fn list_ref_updates(&self, repository: RepositoryId, page: &PageRequest) -> Result<Page<RefUpdate>>;

    /// Removes what is older than its retention and tells how many rows went.
    async fn prune(&self, retention: &Retention) -> Result<u64>;

    /// Notes that a worker serves a storage, and how much room there is; see
    /// [`rules::report_storage`](crate::rules::report_storage). Of machines that report one at once, one is accepted.
    ///
    /// # Errors
    /// `Conflict` if another machine serves it, or if the disk is not the one that is known by this name; `InvalidInput` for a
    /// machine's name that the rule refuses.
    async fn report_storage(&self, report: &StorageReport) -> Result<()>;

    /// Returns the storages that were ever reported, the ones seen last first, at most [`MAX_STORAGES`], and the time.
    async fn storages(&self) -> Result<KnownStorages>;
}
