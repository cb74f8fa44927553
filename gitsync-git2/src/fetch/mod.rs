//! Fetching objects. No reference changes.

mod meter;

use git2::ErrorClass;
use gitsync_core::backend::{FetchRequest, Fetched, ProgressSink};
use gitsync_core::model::ObjectId;
use gitsync_core::transport::Service;
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_repository::descend::{descend, missing};
use gitsync_repository::upstream::{Call, Greeting, PackBounds, Remembered, greet};
use gitsync_repository::{Boundary, Haves, Objects as _, Quarantine};

use self::meter::Meter;
use crate::odb::Odb;
use crate::open::Repository;
use crate::options::Git2Options;
use crate::remote::{Conversation, Registered, explain, setup};
use crate::workshop::Workshop;

/// What libgit2 takes for no limit of the depth.
const DEPTH_AS_IT_IS: i32 = 0;

/// What libgit2 and upstreams take for the whole history, also where there is a boundary.
const DEPTH_OF_ALL: i32 = i32::MAX;

/// Fetches what the wants reach.
///
/// The pack is received and indexed in a quarantine. It moves in when it is complete, durable as asked for, and found to lead
/// everywhere it must; before that, nothing of it is visible, and an error takes it all away.
pub(crate) fn fetch(
    repository: &Repository,
    request: &FetchRequest,
    call: &Call,
    progress: &dyn ProgressSink,
    options: &Git2Options,
    remembered: &Remembered,
) -> Result<Fetched> {
    if request.wants.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "a fetch wants nothing"));
    }
    setup()?;
    let wants = request.wants.iter().map(|id| repository.local_id(id)).collect::<Result<Vec<_>>>()?;
    let quarantine = Quarantine::new(repository.git_dir())?;
    let fetch = Fetch { repository, request, wants, call, options, remembered, quarantine: &quarantine };
    let haves = Haves::of(repository)?;
    let received = match fetch.receive(&haves, progress)? {
        Some(received) => Some(received),
        None => fetch.receive(&Haves::default(), progress)?,
    };
    let Some((workshop, mut fetched)) = received else {
        return Err(Error::new(ErrorKind::Internal, "libgit2 cannot read a history of which it was told nothing"));
    };
    let boundary = Boundary::new(repository, workshop.boundary()?);
    let new = Odb::open(&workshop.objects())?.that_never_refreshes();
    fetch.verify(&new, &boundary)?;
    fetched.shallow = boundary.publishable(repository, &new, &fetch.wants, &call.limits)?;
    drop(new);
    call.limits.check()?;
    // Where only the boundary moves there is nothing in the pack.
    if fetched.objects > 0
        && let Some((pack, index)) = workshop.pack()?
    {
        drop(workshop);
        fetched.packs.push(quarantine.publish(&pack, &index, request.durability)?);
    }
    Ok(fetched)
}

/// One fetch.
struct Fetch<'a> {
    repository: &'a Repository,
    request: &'a FetchRequest,
    wants: Vec<ObjectId>,
    call: &'a Call,
    options: &'a Git2Options,
    remembered: &'a Remembered,
    quarantine: &'a Quarantine,
}

impl Fetch<'_> {
    /// Receives what the wants reach and the haves do not; `None` if libgit2 cannot read the commits that the haves lead to: it
    /// understands fewer than git does, those with an absurd date for one. With no haves everything comes again.
    fn receive(&self, haves: &Haves, progress: &dyn ProgressSink) -> Result<Option<(Workshop, Fetched)>> {
        let (call, options) = (self.call, self.options);
        let bounds = PackBounds::new(self.request, self.quarantine.dir())?;
        let workshop = Workshop::new(self.quarantine, self.repository, haves)?;
        let (greeting, streams) = match self.remembered.take(&call.source).filter(|_| call.source.scheme().is_http()) {
            Some(greeting) => (Greeting::parse(&greeting, options.list_limits(), call)?, None),
            None => greet(call, Service::UploadPack, options.list_limits())?,
        };
        check(&greeting, self.repository, self.depth() != DEPTH_AS_IT_IS, call)?;
        // A little more than the pack comes along with it.
        let max_bytes = self.request.max_pack_bytes.saturating_add(self.request.max_pack_bytes / 1000);
        let max_bytes = max_bytes.saturating_add(options.max_prelude_bytes as u64);
        let conversation = Registered::new(Conversation::new(call, &greeting, streams, &self.wants, max_bytes));
        call.prelude.begin(options.max_prelude_bytes);
        let mut meter = Meter::new(call, progress, bounds);
        let done = workshop.download(&conversation.to_string(), self.depth(), meter.callbacks());
        drop(conversation);
        match done {
            Ok(()) => {}
            Err(error) if error.class() == ErrorClass::Invalid && !meter.has_begun() && !haves.is_empty() => {
                return Ok(None);
            }
            Err(error) => return Err(explain(call, error)),
        }
        let (objects, bytes) = meter.finish();
        Ok(Some((workshop, Fetched { objects, bytes, ..Fetched::default() })))
    }

    /// Returns what libgit2 is to do about the depth.
    fn depth(&self) -> i32 {
        match self.request.depth {
            Some(depth) => i32::try_from(depth.get().get()).unwrap_or(DEPTH_OF_ALL),
            None if self.repository.shallow().is_empty() => DEPTH_AS_IT_IS,
            None => DEPTH_OF_ALL,
        }
    }

    /// Checks that each want is there, and everything that it and what is at the boundary no more lead to.
    fn verify(&self, new: &Odb, boundary: &Boundary) -> Result<()> {
        let roots = [&self.wants[..], &boundary.regained(self.repository)?].concat();
        if let Some(root) = roots.iter().find(|root| !new.exists(root) && !self.repository.objects().exists(root)) {
            return Err(missing(root));
        }
        descend(self.repository, new, &roots, boundary.ids(), &self.call.limits)
    }
}

fn check(greeting: &Greeting, repository: &Repository, is_limited: bool, call: &Call) -> Result<()> {
    let refused = |kind, what: &str| Err(Error::new(kind, what).with("source", &call.source));
    if greeting.is_shallow() {
        return refused(ErrorKind::Unsupported, "the upstream is a shallow clone, which has no history to fetch");
    }
    if greeting.format() != repository.format() {
        return refused(ErrorKind::Conflict, "the upstream's object format is not that of the repository");
    }
    if is_limited && !greeting.capabilities().any(|(name, _)| name == b"shallow") {
        return refused(ErrorKind::Unsupported, "the upstream cannot limit the depth of what it sends");
    }
    Ok(())
}
