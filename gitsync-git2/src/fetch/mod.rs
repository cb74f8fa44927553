//! Fetching objects. No reference changes.

mod meter;
mod workshop;

use gitsync_core::backend::{FetchRequest, Fetched, ProgressSink};
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_repository::descend::{descend, missing};
use gitsync_repository::upstream::{Call, Remembered};
use gitsync_repository::{Haves, Objects as _, Quarantine};

use self::meter::Meter;
use self::workshop::Workshop;
use crate::odb::Odb;
use crate::open::Repository;
use crate::options::Git2Options;
use crate::remote::{Conversation, Greeting, Registered, explain, greet, setup};

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
    let haves = Haves::of(repository)?;
    let quarantine = Quarantine::new(repository.git_dir())?;
    let workshop = Workshop::new(&quarantine, repository, &haves)?;
    let greeting = match remembered.take(&call.source).filter(|_| call.source.scheme().is_http()) {
        Some(greeting) => (Greeting::parse(&greeting, options.list_limits())?, None),
        None => greet(call, options.list_limits())?,
    };
    let (greeting, streams) = greeting;
    check(&greeting, repository, call)?;
    // A little more than the pack comes along with it.
    let max_bytes = request.max_pack_bytes.saturating_add(request.max_pack_bytes / 1000);
    let max_bytes = max_bytes.saturating_add(options.max_prelude_bytes as u64);
    let conversation = Registered::new(Conversation::new(call, &greeting, streams, &wants, max_bytes));
    call.prelude.begin(options.max_prelude_bytes);
    let mut meter = Meter::new(call, progress, request.max_pack_bytes, options.max_pack_objects);
    let done = workshop.download(&conversation.to_string(), &mut meter);
    drop(conversation);
    done.map_err(|error| explain(call, error))?;
    let (objects, bytes) = meter.finish();
    verify(repository, &workshop, &wants, call)?;
    call.limits.check()?;
    let mut fetched = Fetched { objects, bytes, packs: Vec::new() };
    if let Some((pack, index)) = workshop.pack()? {
        drop(workshop);
        fetched.packs.push(quarantine.publish(&pack, &index, request.durability)?);
    }
    Ok(fetched)
}

fn check(greeting: &Greeting, repository: &Repository, call: &Call) -> Result<()> {
    let refused = |kind, what: &str| Err(Error::new(kind, what).with("source", &call.source));
    if greeting.is_shallow() {
        return refused(ErrorKind::Unsupported, "the upstream is a shallow clone, which has no history to fetch");
    }
    if greeting.format() != repository.format() {
        return refused(ErrorKind::Conflict, "the upstream's object format is not that of the repository");
    }
    Ok(())
}

/// Checks that each want is there, and everything that it leads to.
fn verify(
    repository: &Repository,
    workshop: &Workshop,
    wants: &[gitsync_core::model::ObjectId],
    call: &Call,
) -> Result<()> {
    let new = Odb::open(&workshop.objects())?.that_never_refreshes();
    if let Some(want) = wants.iter().find(|want| !new.exists(want) && !repository.objects().exists(want)) {
        return Err(missing(want));
    }
    descend(repository, &new, wants, &call.limits)
}
