//! Fetching objects. No reference changes.

mod closed;
mod meter;
mod negotiation;
mod pack;
mod verify;

use std::io::BufReader;
use std::sync::Arc;

use gitsync_core::backend::{FetchRequest, Fetched, ProgressSink};
use gitsync_core::model::Depth;
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_repository::upstream::{Call, PackBounds, Remembered};
use gitsync_repository::{Boundary, Haves, IdSet, Quarantine, copy_shallow};
use gix::odb::pack::Bundle;
use gix::odb::pack::bundle::write;
use gix::protocol::fetch::response::ShallowUpdate;
use gix::protocol::fetch::{Context, Options, Outcome, Shallow, Tags};

use self::meter::Meter;
use self::negotiation::Negotiation;
use self::pack::PackReader;
use crate::convert::{from_gix, hash_kind};
use crate::odb::Odb;
use crate::open::Repository;
use crate::options::GixOptions;
use crate::remote::{AGENT, Opening, Session, explain};

/// How much of the pack is read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Fetches what the wants reach.
///
/// The pack is received and indexed in a quarantine. It moves in when it is complete, durable as asked for, and found to lead
/// everywhere it must; before that, nothing of it is visible, and an error takes it all away.
pub(crate) fn fetch(
    repository: &Repository,
    request: &FetchRequest,
    call: &Call,
    progress: &dyn ProgressSink,
    options: &GixOptions,
    remembered: &Remembered,
) -> Result<Fetched> {
    if request.wants.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "a fetch wants nothing"));
    }
    let wants = request.wants.iter().map(|id| repository.local_id(id)).collect::<Result<Vec<_>>>()?;
    let haves = Haves::of(repository)?;
    let quarantine = Quarantine::new(repository.git_dir())?;
    let bounds = PackBounds::new(request, quarantine.dir())?;
    let is_limited = request.depth.is_some() || !repository.shallow().is_empty();
    let mut session = open(call, repository, is_limited, options, remembered)?;
    // Nearly all that is looked up is either there or not to come: no look at the disk for each miss.
    let odb = repository.objects().that_never_refreshes();
    let odb = odb.handle();
    let mut negotiation = Negotiation::new(&wants, &haves, odb, &session, repository.format(), is_limited);
    let (objects, interrupt) = (Arc::default(), call.limits.cancellation.flag());
    let (mut fetched, mut written) = (Fetched::default(), None);
    // A copy, which gix tells the upstream, and writes as it sees fit.
    let told = copy_shallow(repository, quarantine.dir())?;
    let (handshake, transport) = session.parts();
    call.prelude.begin(options.max_prelude_bytes);
    let done = gix::protocol::fetch(
        &mut negotiation,
        |pack, meter, interrupt| {
            let pack = PackReader::new(pack, call, bounds, progress, &objects);
            let mut pack = BufReader::with_capacity(BUFFER_BYTES, pack);
            let outcome = Bundle::write_to_directory(
                &mut pack,
                Some(&quarantine.pack_dir()),
                meter,
                interrupt,
                // With a lookup every entry is rewritten; without haves there are no thin packs.
                (!haves.is_empty()).then(|| odb.clone()),
                hash_kind(repository.format()),
                write::Options {
                    thread_limit: Some(options.index_threads.max(1)),
                    alloc_limit_bytes: Some(options.max_object_bytes),
                    ..write::Options::default()
                },
            );
            (fetched.objects, fetched.bytes) = pack.get_ref().finish();
            written = Some(outcome?);
            Ok(true)
        },
        Meter::new(&objects, &call.failure),
        &interrupt,
        Context { handshake, transport, user_agent: ("agent", Some(AGENT.into())), trace_packetlines: false },
        Options {
            shallow_file: quarantine.dir().join("shallow"),
            shallow: &deepening(request.depth, repository),
            tags: Tags::None,
            reject_shallow_remote: true,
        },
    );
    let outcome = done.map_err(|error| explain(call, error))?;
    session.close();
    let boundary = Boundary::new(repository, boundary_after(told, outcome.as_ref())?);
    let index = written.as_ref().and_then(|outcome| outcome.index_path.as_deref());
    let roots = [&wants[..], &boundary.regained(repository)?].concat();
    verify::verify(repository, &quarantine, index, &roots, &boundary, &call.limits, options)?;
    let new = Odb::open(quarantine.dir(), repository.format())?.that_never_refreshes();
    fetched.shallow = boundary.publishable(repository, &new, &wants, &call.limits)?;
    call.limits.check()?;
    if let Some((Some(pack), Some(index))) = written.map(|outcome| (outcome.data_path, outcome.index_path)) {
        fetched.packs.push(quarantine.publish(&pack, &index, request.durability)?);
    }
    Ok(fetched)
}

/// Returns how the boundary is to be moved.
fn deepening(depth: Option<Depth>, repository: &Repository) -> Shallow {
    match depth {
        Some(depth) => Shallow::DepthAtRemote(depth.get()),
        None if repository.shallow().is_empty() => Shallow::NoChange,
        None => Shallow::undo(),
    }
}

/// Returns what was told of the boundary after what the upstream said of it. There was one round, so that its last answer
/// says all.
fn boundary_after(mut told: IdSet, outcome: Option<&Outcome>) -> Result<IdSet> {
    for update in outcome.iter().flat_map(|outcome| outcome.last_response.shallow_updates()) {
        match update {
            ShallowUpdate::Shallow(id) => told.insert(from_gix(id)?),
            ShallowUpdate::Unshallow(id) => told.remove(&from_gix(id)?),
        };
    }
    Ok(told)
}

fn open(
    call: &Call,
    repository: &Repository,
    is_limited: bool,
    options: &GixOptions,
    remembered: &Remembered,
) -> Result<Session> {
    let greeting = if call.source.scheme().is_http() { remembered.take(&call.source) } else { None };
    let opening = greeting.map_or(Opening::Original, Opening::Replay);
    let (session, listing) = Session::open(call, opening, options.list_limits())?;
    let refused = |kind, what: &str| Err(Error::new(kind, what).with("source", &call.source));
    if listing.is_some_and(|listing| listing.is_shallow()) {
        return refused(ErrorKind::Unsupported, "the upstream is a shallow clone, which has no history to fetch");
    }
    if session.format()? != repository.format() {
        return refused(ErrorKind::Conflict, "the upstream's object format is not that of the repository");
    }
    if is_limited && !session.knows_depth() {
        return refused(ErrorKind::Unsupported, "the upstream cannot limit the depth of what it sends");
    }
    Ok(session)
}
