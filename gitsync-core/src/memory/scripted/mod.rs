//! A git engine without git: commits are made up, upstreams are scripted.

mod files;
mod world;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::files::Files;
use self::world::World;
use crate::backend::{
    Advertisement, CallContext, Capabilities, Checkout, CommitStream, CommitWalk, FetchRequest, Fetched, GitBackend,
    Head, InitOptions, LocalRefs, PublishPermit, PushPermit, PushRequest, Pushed, RefTransaction, RefusedRef, Resolved,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectId, RefName};
use crate::plan::plan_push;
use crate::source::SourceUrl;

/// The calls a script can make fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`GitBackend::list_remote`].
    List,
    /// [`GitBackend::fetch`].
    Fetch,
    /// [`GitBackend::update_refs`].
    UpdateRefs,
    /// [`GitBackend::check_out`].
    CheckOut,
    /// [`GitBackend::walk_commits`].
    Walk,
    /// [`GitBackend::push_mirror`].
    Push,
}

/// A [`GitBackend`] for tests of everything around one: it needs no git program, no network and no time.
///
/// Commits live in memory and have only parents and a message; upstreams are what a test says they are. Repositories are
/// directories with one file of references and an empty file per object, so they can be renamed, swapped and found damaged
/// like real ones. Clones share one script.
///
/// ```
/// use gitsync_core::memory::ScriptedBackend;
/// use gitsync_core::source::SourceUrl;
///
/// let backend = ScriptedBackend::new();
/// let source = SourceUrl::parse("https://example.com/a.git")?.url;
/// let first = backend.commit(&[], "first");
/// let second = backend.commit(&[first], "second");
/// backend.set_ref(&source, "refs/heads/main", Some(second))?;
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScriptedBackend {
    world: Arc<Mutex<World>>,
}

impl ScriptedBackend {
    /// Creates an engine that knows no commits and no upstreams.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes up a commit.
    pub fn commit(&self, parents: &[ObjectId], message: &str) -> ObjectId {
        self.world().commit(parents, message)
    }

    /// Sets a reference of an upstream, or removes it. The upstream exists from the first call on; its `HEAD` is at
    /// `refs/heads/main`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if git would not accept the name.
    pub fn set_ref(&self, source: &SourceUrl, name: &str, id: Option<ObjectId>) -> Result<()> {
        let name = RefName::new(name)?;
        let mut world = self.world();
        let upstream = world.upstream_mut(source)?;
        match id {
            Some(id) => upstream.refs.insert(name, id),
            None => upstream.refs.remove(&name),
        };
        Ok(())
    }

    /// Sets where `HEAD` of an upstream points.
    ///
    /// # Errors
    /// As [`ScriptedBackend::set_ref`].
    pub fn set_head(&self, source: &SourceUrl, head: Head) -> Result<()> {
        self.world().upstream_mut(source)?.head = head;
        Ok(())
    }

    /// Makes an upstream refuse every change of a reference by a push, with a reason; or no longer, without one.
    ///
    /// # Errors
    /// As [`ScriptedBackend::set_ref`].
    pub fn protect(&self, target: &SourceUrl, name: &str, reason: Option<&str>) -> Result<()> {
        let name = RefName::new(name)?;
        let mut world = self.world();
        let protected = &mut world.upstream_mut(target)?.protected;
        match reason {
            Some(reason) => protected.insert(name, reason.to_owned()),
            None => protected.remove(&name),
        };
        Ok(())
    }

    /// Returns the references of an upstream, by name; none if there is no such upstream.
    pub fn upstream_refs(&self, source: &SourceUrl) -> Vec<(RefName, ObjectId)> {
        self.world().refs_of(source)
    }

    /// Makes the next call of a kind fail, once for each time this is called.
    pub fn fail_next(&self, call: Call, error: Error) {
        self.world().failures.push_back((call, error));
    }

    /// Tells how often a call was made.
    pub fn count(&self, call: Call) -> usize {
        self.world().calls.iter().filter(|made| **made == call).count()
    }

    /// Makes the working tree of a repository one that somebody changed.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no repository.
    pub fn make_dirty(&self, directory: &Path) -> Result<()> {
        Files::open(directory)?.check_out(self.commit(&[], "changes that nobody committed"))
    }

    /// Returns what is in the working tree of a repository, if anything is.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no repository.
    pub fn checked_out(&self, directory: &Path) -> Result<Option<ObjectId>> {
        Files::open(directory)?.checked_out()
    }

    /// Counts what `git rev-list --count --branches --tags` would count in a directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no repository.
    pub fn count_commits(&self, directory: &Path) -> Result<usize> {
        let refs = Files::open(directory)?.read()?.refs;
        let tips = refs.into_iter().filter(|(name, _)| name.is_branch() || name.is_tag()).map(|(_, id)| id);
        Ok(self.world().reach(tips).len())
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call, and fails it if the script says so.
    fn enter(&self, call: Call, context: Option<&CallContext>) -> Result<MutexGuard<'_, World>> {
        if let Some(context) = context {
            context.limits.check()?;
        }
        let mut world = self.world();
        world.calls.push(call);
        match world.take_failure(call) {
            Some(error) => Err(error),
            None => Ok(world),
        }
    }
}

#[async_trait]
impl GitBackend for ScriptedBackend {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { unborn_head: true, push: true, worktree: true, ..Capabilities::default() }
    }

    async fn init(&self, dir: &Path, options: &InitOptions) -> Result<()> {
        Files::init(dir, options)
    }

    async fn list_remote(&self, source: &SourceUrl, context: &CallContext) -> Result<Advertisement> {
        self.enter(Call::List, Some(context))?.advertise(source)
    }

    async fn fetch(&self, dir: &Path, request: &FetchRequest, context: &CallContext) -> Result<Fetched> {
        if request.depth.is_some() {
            return Err(Error::new(ErrorKind::Unsupported, "a script has no depth"));
        }
        let objects = self.enter(Call::Fetch, Some(context))?.reach(request.wants.iter().copied());
        Files::open(dir)?.add_objects(&objects)?;
        Ok(Fetched { objects: objects.len() as u64, ..Fetched::default() })
    }

    async fn read_refs(&self, dir: &Path) -> Result<LocalRefs> {
        let state = Files::open(dir)?.read()?;
        Ok(LocalRefs {
            refs: state.refs.into_iter().collect(),
            head: state.head,
            format: state.format,
            shallow: Vec::new(),
        })
    }

    async fn update_refs(&self, dir: &Path, change: RefTransaction, permit: Box<dyn PublishPermit>) -> Result<()> {
        drop(self.enter(Call::UpdateRefs, None)?);
        Files::open(dir)?.apply(change)?;
        drop(permit);
        Ok(())
    }

    async fn check_out(
        &self,
        dir: &Path,
        checkout: Checkout,
        permit: Box<dyn PublishPermit>,
        context: &CallContext,
    ) -> Result<()> {
        drop(self.enter(Call::CheckOut, Some(context))?);
        let files = Files::open(dir)?;
        if files.checked_out()? != checkout.from || files.read()?.head_id() != checkout.from {
            return Err(Error::new(ErrorKind::Conflict, "the working tree is not clean"));
        }
        files.apply(checkout.change)?;
        files.check_out(checkout.to)?;
        drop(permit);
        Ok(())
    }

    async fn recover_checkout(
        &self,
        _dir: &Path,
        _permit: Box<dyn PublishPermit>,
        _context: &CallContext,
    ) -> Result<()> {
        Ok(())
    }

    async fn resolve(&self, dir: &Path, ids: &[ObjectId]) -> Result<Vec<Resolved>> {
        let files = Files::open(dir)?;
        Ok(ids.iter().map(|id| if files.has(*id) { Resolved::Commit(*id) } else { Resolved::Missing }).collect())
    }

    async fn is_ancestor(
        &self,
        _dir: &Path,
        pairs: &[(ObjectId, ObjectId)],
        _context: &CallContext,
    ) -> Result<Vec<bool>> {
        let world = self.world();
        Ok(pairs.iter().map(|(old, new)| world.reach([*new]).contains(old)).collect())
    }

    async fn walk_commits(&self, _dir: &Path, walk: CommitWalk, context: &CallContext) -> Result<CommitStream> {
        let world = self.enter(Call::Walk, Some(context))?;
        let hidden = world.reach(walk.hidden);
        let seen = world.reach(walk.tips);
        let commits: Vec<_> = seen.difference(&hidden).map(|id| world.record(*id)).collect();
        // Small batches, so that tests can stop between them.
        let batches: Vec<_> = commits.chunks(3).map(|batch| Ok(batch.to_vec())).collect();
        Ok(Box::pin(Batches(batches.into_iter())))
    }

    async fn push_mirror(
        &self,
        dir: &Path,
        request: &PushRequest,
        permit: Box<dyn PushPermit>,
        context: &CallContext,
    ) -> Result<Pushed> {
        let files = Files::open(dir)?;
        let mut world = self.enter(Call::Push, Some(context))?;
        let advertised = world.advertise(&request.target)?.refs;
        permit.check()?;
        let mut pushed = Pushed::default();
        for edit in plan_push(&request.mapping, &request.refs, &advertised) {
            let there = world.upstream_mut(&request.target)?;
            if let Some(reason) = there.protected.get(&edit.name) {
                pushed.refused.push(RefusedRef { name: edit.name, reason: reason.clone() });
                continue;
            }
            match edit.new {
                Some(new) if !files.has(new) => {
                    return Err(Error::new(ErrorKind::Corrupt, "the object is not there").with("id", new));
                }
                Some(new) => {
                    there.refs.insert(edit.name, new);
                    pushed.updated += 1;
                }
                None => {
                    there.refs.remove(&edit.name);
                    pushed.deleted += 1;
                }
            }
        }
        Ok(pushed)
    }
}

/// A stream of batches that are all there.
struct Batches(std::vec::IntoIter<Result<Vec<crate::model::Commit>>>);

impl futures_core::Stream for Batches {
    type Item = Result<Vec<crate::model::Commit>>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.next())
    }
}
