//! The quick way to tell that nothing is missing: every object of a pack in its order, instead of from the wants down.

use std::path::Path;

use gitsync_core::Result;
use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::transport::CallLimits;
use gitsync_repository::descend::CHECK_EVERY;
use gitsync_repository::{IdSet, Kind, Objects as _, links};
use gix::odb::pack::Bundle;
use gix::odb::pack::cache::delta::Tree;
use gix::odb::pack::cache::delta::traverse::{self, Context};
use gix::odb::pack::data::entry::Header;
use gix::progress::Discard;

use crate::convert::{from_gix, hash_kind, to_gix};
use crate::odb::{Odb, kind};
use crate::open::Repository;
use crate::options::GixOptions;

/// How many ids that are in the repository are remembered by each thread.
const MAX_REMEMBERED: usize = 1 << 18;

/// Tells whether the pack and the repository have every object that an object of the pack names, but for the parents of commits
/// that are `shallow`.
///
/// If so, nothing that is reached from the pack is missing. If not, it may be that what is missing is needed by no want.
/// Deltas are resolved from their bases on, each once and by several threads, and blobs not at all: walking from the wants
/// takes trees in an order for which a pack is not made, and costs several times as much.
///
/// # Errors
/// What the limits say. A pack that cannot be read counts as one that lacks something.
pub(super) fn is_closed(
    repository: &Repository,
    index: &Path,
    shallow: &IdSet,
    limits: &CallLimits,
    options: &GixOptions,
) -> Result<bool> {
    let outcome = check(repository, index, shallow, limits, options);
    limits.check()?;
    Ok(outcome.is_ok_and(|closed| closed))
}

fn check(
    repository: &Repository,
    index: &Path,
    shallow: &IdSet,
    limits: &CallLimits,
    options: &GixOptions,
) -> gix::Result<bool> {
    let bundle = Bundle::at(index, hash_kind(repository.format()))?;
    let Some(offsets) = of_objects_with_links(&bundle)? else { return Ok(false) };
    if offsets.is_empty() {
        return Ok(true);
    }
    let interrupt = limits.cancellation.flag();
    let tree = Tree::from_offsets_in_pack(
        bundle.pack.path(),
        offsets.into_iter(),
        &|offset| *offset,
        &|id| Ok(offset_of(&bundle, id)),
        &mut Discard,
        &interrupt,
        bundle.index.object_hash(),
    )?;
    let mut check = Check {
        bundle: &bundle,
        odb: repository.objects().clone(),
        remembered: IdSet::default(),
        format: repository.format(),
        shallow,
        limits,
        looked_at: 0,
    };
    tree.traverse(
        |slice, pack| pack.entry_slice(slice),
        &bundle.pack,
        bundle.pack.pack_end() as u64,
        move |_offset, _progress, object: Context<'_>| check.object(&object),
        traverse::Options {
            object_progress: Box::new(Discard),
            size_progress: &mut Discard,
            thread_limit: Some(options.index_threads.max(1)),
            should_interrupt: &interrupt,
            object_hash: bundle.index.object_hash(),
            alloc_limit_bytes: Some(options.max_object_bytes),
        },
    )?;
    Ok(true)
}

/// The place of an object in the pack, by its id.
fn offset_of(bundle: &Bundle, id: &gix::oid) -> Option<u64> {
    bundle.index.lookup(id).map(|at| bundle.index.pack_offset_at_index(at))
}

/// Returns where the commits, trees and tags are, ascending; `None` if the pack makes no sense.
fn of_objects_with_links(bundle: &Bundle) -> gix::Result<Option<Vec<u64>>> {
    #[derive(Clone, Copy)]
    enum Entry {
        Blob,
        WithLinks,
        /// A delta, and at which place its base is.
        Delta(usize),
    }
    let offsets = bundle.index.sorted_offsets();
    let mut entries = Vec::with_capacity(offsets.len());
    for offset in &offsets {
        let base = match bundle.pack.entry(*offset)?.header {
            Header::Blob => Err(Entry::Blob),
            Header::Commit | Header::Tree | Header::Tag => Err(Entry::WithLinks),
            Header::OfsDelta { base_distance } => Ok(offset.checked_sub(base_distance)),
            Header::RefDelta { base_id } => Ok(offset_of(bundle, &base_id)),
        };
        entries.push(match base {
            Err(entry) => entry,
            Ok(base) => match base.and_then(|base| offsets.binary_search(&base).ok()) {
                Some(at) => Entry::Delta(at),
                None => return Ok(None),
            },
        });
    }
    // A delta is of the kind of its base. What was found out is noted on the whole way there, so no step is made twice.
    for start in 0..entries.len() {
        let (mut at, mut steps) = (start, 0);
        while let Entry::Delta(base) = entries[at] {
            at = base;
            steps += 1;
            if steps > entries.len() {
                return Ok(None);
            }
        }
        let found = entries[at];
        at = start;
        while let Entry::Delta(base) = entries[at] {
            entries[at] = found;
            at = base;
        }
    }
    let with_links = offsets.into_iter().zip(entries).filter(|(_, entry)| matches!(entry, Entry::WithLinks));
    Ok(Some(with_links.map(|(offset, _)| offset).collect()))
}

/// Looks at objects; each thread has its own.
#[derive(Clone)]
struct Check<'a> {
    bundle: &'a Bundle,
    odb: Odb,
    remembered: IdSet,
    format: ObjectFormat,
    shallow: &'a IdSet,
    limits: &'a CallLimits,
    looked_at: usize,
}

impl Check<'_> {
    fn object(&mut self, object: &Context<'_>) -> gix::Result {
        if self.looked_at.is_multiple_of(CHECK_EVERY) {
            self.limits.check().map_err(gix::Error::from_error)?;
        }
        self.looked_at += 1;
        let Some(its_kind) = object.entry.header.as_kind() else { return Err(open()) };
        let is_shallow = kind(its_kind) == Kind::Commit && !self.shallow.is_empty() && {
            let id = gix::objs::compute_hash(self.bundle.index.object_hash(), its_kind, object.decompressed)?;
            from_gix(&id).is_ok_and(|id| self.shallow.contains(&id))
        };
        let closed = links(kind(its_kind), object.decompressed, self.format, is_shallow, |id| self.is_there(id));
        if closed { Ok(()) } else { Err(open()) }
    }

    fn is_there(&mut self, id: &ObjectId) -> bool {
        if self.bundle.index.lookup(to_gix(id)).is_some() || self.remembered.contains(id) {
            return true;
        }
        let exists = self.odb.exists(id);
        if exists {
            if self.remembered.len() >= MAX_REMEMBERED {
                self.remembered.clear();
            }
            self.remembered.insert(*id);
        }
        exists
    }
}

fn open() -> gix::Error {
    gix::Error::from_error(gix::error::message("something that the pack names is missing"))
}
