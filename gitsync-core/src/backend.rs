//! The seam to git engines: [`GitBackend`] and what goes through it.
//!
//! An engine is a set of primitives. It takes no decision: which references change, what is kept and what is walked is
//! in the [plan](crate::plan), so two engines that keep this contract cannot disagree.

mod push;

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::Stream;

pub use self::push::{PushPermit, PushRequest, Pushed, RefusedRef};
use crate::error::Result;
use crate::model::{Commit, Depth, ObjectFormat, ObjectId, RefName};
use crate::source::SourceUrl;
use crate::transport::{CallLimits, Transport};

/// What an engine can do. What it cannot do it refuses with [`Unsupported`](crate::ErrorKind::Unsupported).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Reads and writes SHA-256 repositories.
    pub sha256: bool,
    /// Learns where an unborn `HEAD` points (protocol v2).
    pub unborn_head: bool,
    /// Fetches a limited depth.
    pub shallow: bool,
    /// Pushes to targets, see [`GitBackend::push_mirror`].
    pub push: bool,
    /// Checks out and moves a working tree.
    pub worktree: bool,
}

/// Where `HEAD` points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// To a branch, which need not exist yet (unborn).
    Branch(RefName),
    /// Straight to a commit.
    Detached(ObjectId),
}

/// A reference as an upstream advertises it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdvertisedRef {
    /// The full name.
    pub name: RefName,
    /// The id it has, unpeeled.
    pub id: ObjectId,
    /// The object an annotated tag leads to, if the upstream said so.
    pub peeled: Option<ObjectId>,
}

/// What an upstream advertises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advertisement {
    /// The references, sorted by name, each name once; never `HEAD`.
    pub refs: Vec<AdvertisedRef>,
    /// Where `HEAD` points, if the upstream said so.
    pub head: Option<Head>,
    /// The upstream's hash function.
    pub format: ObjectFormat,
    /// How many advertised names git would not accept; they are left out, as git does.
    pub refused_names: usize,
}

/// The references of a local repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRefs {
    /// Name and unpeeled id of every reference, sorted by name; a symbolic one appears with the id it leads to.
    pub refs: Vec<(RefName, ObjectId)>,
    /// Where `HEAD` points.
    pub head: Head,
    /// The repository's hash function.
    pub format: ObjectFormat,
    /// The shallow boundary: commits that count as having no parents, because a limited depth was fetched. Sorted.
    pub shallow: Vec<ObjectId>,
}

/// What an id leads to in a local repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The object, or one that a tag leads to, is not there.
    Missing,
    /// A commit: the id itself, or where the tag leads in the end.
    Commit(ObjectId),
    /// A tree or a blob, or a tag that leads to one.
    Other,
}

/// The change of one reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefEdit {
    /// The reference.
    pub name: RefName,
    /// The id it must have before, `None` if it must not exist.
    pub old: Option<ObjectId>,
    /// The id it has afterwards, `None` to delete it.
    pub new: Option<ObjectId>,
}

/// A change of references that happens as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefTransaction {
    /// The changes; each name at most once.
    pub edits: Vec<RefEdit>,
    /// Where `HEAD` points afterwards, if that changes.
    pub head: Option<Head>,
    /// The shallow boundary afterwards, if that changes. It changes before the references do.
    pub shallow: Option<Vec<ObjectId>>,
}

/// What an engine writes into `index.lock` while it checks out, so that one that a crash left can be told from git's own, which
/// somebody may hold for as long as an editor is open.
pub const CHECKOUT_LOCK_MARK: &[u8] = b"gitsync\n";

/// A working tree on its way from one commit to another, and the references that change with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// What `HEAD` leads to now; `None` if it is unborn.
    pub from: Option<ObjectId>,
    /// The commit that is to be checked out.
    pub to: ObjectId,
    /// The references that change as one, once the files have; `HEAD` has to lead to `to` by them.
    pub change: RefTransaction,
}

/// Who makes the changes of a call survive a loss of power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The engine: everything is fsynced when the call returns.
    #[default]
    Engine,
    /// The caller, who fsyncs the whole directory before anybody else gets to know it. The engine need not wait for the disk.
    Caller,
}

/// How a new repository is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitOptions {
    /// Whether it has no working tree.
    pub bare: bool,
    /// Its hash function.
    pub format: ObjectFormat,
    /// Where `HEAD` points, unborn.
    pub head: RefName,
    /// Who makes it durable.
    pub durability: Durability,
}

/// What to fetch.
#[derive(Clone, Debug)]
pub struct FetchRequest {
    /// The upstream.
    pub source: SourceUrl,
    /// The advertised ids that are wanted, each once; at least one.
    pub wants: Vec<ObjectId>,
    /// The most bytes of the pack.
    pub max_pack_bytes: u64,
    /// The most objects of the pack.
    pub max_pack_objects: u64,
    /// How many bytes have to stay free on the disk: less before the pack comes in, or while it does, and the fetch ends.
    pub min_free_bytes: u64,
    /// How many generations of commits each want brings; `None` for all.
    ///
    /// With a depth, and where the repository has a boundary, the wants have to be all tips, also those that are there: the
    /// boundary is counted from all of them.
    pub depth: Option<Depth>,
    /// Who makes the objects durable.
    pub durability: Durability,
}

/// What was fetched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Objects received, without those added to complete a thin pack.
    pub objects: u64,
    /// Bytes received as pack.
    pub bytes: u64,
    /// The packs that were added: a hint for [`GitBackend::walk_commits`], meaningful to the same engine only. None where the
    /// shallow boundary changes.
    pub packs: Vec<String>,
    /// The shallow boundary that belongs to the wants, if it is not the one on disk: to be written by
    /// [`GitBackend::update_refs`] before anything else is asked of what was fetched. It serves the references that are
    /// there, too.
    pub shallow: Option<Vec<ObjectId>>,
}

/// Which commits to walk: all that the tips reach, less all that the hidden ones reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitWalk {
    /// Where the walk begins. An id that is not a commit is an error.
    pub tips: Vec<ObjectId>,
    /// What is left out, with everything it reaches.
    pub hidden: Vec<ObjectId>,
    /// Packs of which every commit is certainly not reachable from `hidden` (see [`Fetched::packs`]); may be empty.
    pub fresh_packs: Vec<String>,
}

/// Where progress is reported. Calls are cheap and may come from any thread.
pub trait ProgressSink: Send + Sync {
    /// Reports the totals received so far: objects and bytes.
    fn received(&self, objects: u64, bytes: u64);
}

/// Reports nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl ProgressSink for NoProgress {
    fn received(&self, _objects: u64, _bytes: u64) {}
}

/// What every call that may take long is given.
#[derive(Clone)]
pub struct CallContext {
    /// The way to upstreams.
    pub transport: Arc<dyn Transport>,
    /// Cancellation, deadline and byte bound.
    pub limits: CallLimits,
    /// Where progress goes.
    pub progress: Arc<dyn ProgressSink>,
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallContext").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Commits in batches. Dropping it ends the walk.
pub type CommitStream = Pin<Box<dyn Stream<Item = Result<Vec<Commit>>> + Send>>;

/// The right to change what is published, held for as long as the value lives.
///
/// The engine moves it to the thread that does the work and drops it when that is finished, so that an abandoned call
/// keeps others out until it has really ended.
pub trait PublishPermit: Send {
    /// Tells who makes the change durable.
    fn durability(&self) -> Durability {
        Durability::Engine
    }
}

/// A git engine: local primitives, and listing, fetching and pushing through a [`Transport`].
///
/// **All** implementations:
///
/// - open repositories in isolation from system, user and environment configuration; hooks never run; replace references
///   and grafts are ignored;
/// - run blocking work on a bounded set of threads, and end by the [`CallLimits`] with
///   [`Cancelled`](crate::ErrorKind::Cancelled) or [`Timeout`](crate::ErrorKind::Timeout);
/// - take every fact about upstream from the transport and connect to nothing themselves;
/// - return [`NotFound`](crate::ErrorKind::NotFound) for a directory that is no repository and
///   [`Corrupt`](crate::ErrorKind::Corrupt) for one that contradicts itself.
///
/// # Your own
///
/// A [`BlockingPool`](crate::blocking::BlockingPool) does the second point, and the suite in `testing::backend_suite`
/// (feature `testing`) tells whether the engine is right. Often a wrapper around an engine is enough; this one takes
/// nothing from upstreams that were not looked at:
///
/// ```
/// use std::path::Path;
///
/// use async_trait::async_trait;
/// use gitsync_core::backend::*;
/// use gitsync_core::model::ObjectId;
/// use gitsync_core::source::SourceUrl;
/// use gitsync_core::{Error, ErrorKind, GitBackend, Result};
///
/// #[derive(Debug)]
/// struct Reviewed<E> {
///     engine: E,
///     sources: Vec<SourceUrl>,
/// }
///
/// #[async_trait]
/// impl<E: GitBackend> GitBackend for Reviewed<E> {
///     async fn fetch(&self, dir: &Path, request: &FetchRequest, context: &CallContext) -> Result<Fetched> {
///         if !self.sources.contains(&request.source) {
///             return Err(Error::new(ErrorKind::SourceRefused, "nobody looked at this upstream"));
///         }
///         self.engine.fetch(dir, request, context).await
///     }
///
///     // All else is the engine's.
///     fn name(&self) -> &'static str {
///         self.engine.name()
///     }
///     fn capabilities(&self) -> Capabilities {
///         self.engine.capabilities()
///     }
///     async fn init(&self, dir: &Path, options: &InitOptions) -> Result<()> {
///         self.engine.init(dir, options).await
///     }
///     async fn list_remote(&self, source: &SourceUrl, context: &CallContext) -> Result<Advertisement> {
///         self.engine.list_remote(source, context).await
///     }
///     async fn read_refs(&self, dir: &Path) -> Result<LocalRefs> {
///         self.engine.read_refs(dir).await
///     }
///     async fn update_refs(&self, dir: &Path, change: RefTransaction, permit: Box<dyn PublishPermit>) -> Result<()> {
///         self.engine.update_refs(dir, change, permit).await
///     }
///     async fn check_out(
///         &self,
///         dir: &Path,
///         checkout: Checkout,
///         permit: Box<dyn PublishPermit>,
///         context: &CallContext,
///     ) -> Result<()> {
///         self.engine.check_out(dir, checkout, permit, context).await
///     }
///     async fn recover_checkout(&self, dir: &Path, permit: Box<dyn PublishPermit>, context: &CallContext) -> Result<()> {
///         self.engine.recover_checkout(dir, permit, context).await
///     }
///     async fn resolve(&self, dir: &Path, ids: &[ObjectId]) -> Result<Vec<Resolved>> {
///         self.engine.resolve(dir, ids).await
///     }
///     async fn is_ancestor(
///         &self,
///         dir: &Path,
///         pairs: &[(ObjectId, ObjectId)],
///         context: &CallContext,
///     ) -> Result<Vec<bool>> {
///         self.engine.is_ancestor(dir, pairs, context).await
///     }
///     async fn walk_commits(&self, dir: &Path, walk: CommitWalk, context: &CallContext) -> Result<CommitStream> {
///         self.engine.walk_commits(dir, walk, context).await
///     }
///     async fn push_mirror(
///         &self,
///         dir: &Path,
///         request: &PushRequest,
///         permit: Box<dyn PushPermit>,
///         context: &CallContext,
///     ) -> Result<Pushed> {
///         self.engine.push_mirror(dir, request, permit, context).await
///     }
/// }
/// ```
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait GitBackend: fmt::Debug + Send + Sync {
    /// Returns the engine's name, such as `gix`.
    fn name(&self) -> &'static str;

    /// Tells what the engine can do.
    fn capabilities(&self) -> Capabilities;

    /// Makes an empty repository in `dir`, which must not exist or be empty.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if there is something in `dir`.
    async fn init(&self, dir: &Path, options: &InitOptions) -> Result<()>;

    /// Asks an upstream for its references: one request, and a second by protocol v2 only where the first told nothing
    /// of `HEAD`.
    ///
    /// # Errors
    /// Those of the [`Transport`]; `Corrupt` if the answer is not git's protocol, `LimitExceeded` if it is too long.
    async fn list_remote(&self, source: &SourceUrl, context: &CallContext) -> Result<Advertisement>;

    /// Fetches objects so that everything the wants reach is in `dir`. No reference changes.
    ///
    /// Objects become visible together, as durable as was asked for, after the last byte; a failed fetch leaves none behind.
    /// The shallow boundary on disk is left alone: see [`Fetched::shallow`].
    ///
    /// # Errors
    /// Those of the [`Transport`]; `LimitExceeded` past a bound, while the pack comes in; `DiskFull` if less room would be left
    /// than asked for; `Corrupt` if the pack is broken or incomplete; `Unsupported` if the engine or the upstream knows no depth.
    async fn fetch(&self, dir: &Path, request: &FetchRequest, context: &CallContext) -> Result<Fetched>;

    /// Reads all references and `HEAD`.
    async fn read_refs(&self, dir: &Path) -> Result<LocalRefs>;

    /// Applies a change of references: all of it or, on an error, none.
    ///
    /// Deletions come before creations, so `a` can make way for `a/b`. Everything is fsynced when this returns, unless the
    /// permit says that the caller does that.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) if a reference has not the expected old id or a name collides with
    /// another; `Corrupt` if a new id is not there.
    async fn update_refs(&self, dir: &Path, change: RefTransaction, permit: Box<dyn PublishPermit>) -> Result<()>;

    /// Brings the working tree and the index from one commit to another, and then changes references. Only an engine with
    /// the capability `worktree` does.
    ///
    /// Files hold what was committed, byte for byte: no filter and no hook runs, whatever attributes and configuration
    /// say. Submodules become empty directories. Nothing is written outside of the tree, through a symbolic link, or into
    /// the repository itself. A crash leaves what [`recover_checkout`](GitBackend::recover_checkout) takes back.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) if `HEAD` is not at `from`, if a tracked file or the index was changed, or if
    /// something that is not tracked, ignored or not, is in the way; `SourceRefused` if the commit has a path that must not
    /// be written; `LimitExceeded` if it is too large. Then nothing was touched. Those of
    /// [`update_refs`](GitBackend::update_refs), and then the next call begins by taking the files back.
    async fn check_out(
        &self,
        dir: &Path,
        checkout: Checkout,
        permit: Box<dyn PublishPermit>,
        context: &CallContext,
    ) -> Result<()>;

    /// Takes back what a crash left of a [`check_out`](GitBackend::check_out) that did not get as far as changing references:
    /// each file that is as that one put it becomes what it was. What was changed since stays. Nothing to do is no error.
    ///
    /// # Errors
    /// [`Timeout`](crate::ErrorKind::Timeout) if another program holds the index.
    async fn recover_checkout(&self, dir: &Path, permit: Box<dyn PublishPermit>, context: &CallContext) -> Result<()>;

    /// Tells for each id, in order, what it leads to.
    async fn resolve(&self, dir: &Path, ids: &[ObjectId]) -> Result<Vec<Resolved>>;

    /// Tells for each pair `(old, new)` of commits, in order, whether `old` is `new` or one of its ancestors. In a shallow
    /// repository it is so as far as the commits tell that are there, also those beyond the boundary.
    async fn is_ancestor(&self, dir: &Path, pairs: &[(ObjectId, ObjectId)], context: &CallContext)
    -> Result<Vec<bool>>;

    /// Walks commits, each exactly once, in no particular order, in batches bounded by count and bytes. Nothing beyond the
    /// shallow boundary is reached.
    ///
    /// Broken commits (missing fields, wrong encodings, absurd dates) are decoded as well as possible, never refused.
    ///
    /// # Errors
    /// `Corrupt`, in the stream, if a commit that the walk needs is missing.
    async fn walk_commits(&self, dir: &Path, walk: CommitWalk, context: &CallContext) -> Result<CommitStream>;

    /// Makes a push target have what we have: of what the mapping manages, references are created, moved and deleted, by
    /// force, as [`plan_push`](crate::plan::plan_push) says. Nothing changes in `dir`.
    ///
    /// Only what the target lacks is sent, and a target that has everything is asked for its references and no more. What it
    /// refuses, by a hook or because a branch is protected, is in the answer, and all else is done. `HEAD` of the target stays
    /// where it is. Many changes are not one: whoever looks at the target meanwhile may see some of them.
    ///
    /// The permit is asked once the target has said what it has, with everything ready to be sent and nothing sent yet. If it
    /// refuses, the target is left as it is.
    ///
    /// An engine that cannot push answers `Unsupported`, and says so by its capabilities. There is no method that does that for
    /// it: a wrapper that forgot this one would contradict the engine in it.
    ///
    /// # Errors
    /// Those of the [`Transport`] and of the permit; `Conflict` if the target's hash function is another one, `LimitExceeded` past the bound,
    /// `Corrupt` if the answer is not git's protocol or an object of ours is missing, `Unsupported` for an engine that cannot
    /// push, and for a history of limited depth on either side.
    async fn push_mirror(
        &self,
        dir: &Path,
        request: &PushRequest,
        permit: Box<dyn PushPermit>,
        context: &CallContext,
    ) -> Result<Pushed>;
}
