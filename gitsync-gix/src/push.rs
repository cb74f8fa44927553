//! The packs that are sent to push targets.

use std::io::Write;

use gitsync_core::Result;
use gitsync_core::model::ObjectId;
use gitsync_core::transport::CallLimits;
use gix::parallel::InOrderIter;
use gix::progress::Discard;
use gix_pack::data::Version;
use gix_pack::data::output::bytes::FromEntriesIter;
use gix_pack::data::output::count::PackLocation;
use gix_pack::data::output::entry::iter_from_counts;
use gix_pack::data::output::entry::iter_from_counts::Options;
use gix_pack::data::output::{Count, Entry};

use crate::convert::{hash_kind, to_gix, unreadable};
use crate::open::Repository;
use crate::options::GixOptions;

/// How many entries are made at once by each thread.
const CHUNK: usize = 10;

/// Writes a pack by copying entries of packs that are there, deltas whose base is sent too among them. All else is compressed
/// anew, as a whole.
pub(crate) fn write_pack(
    repository: &Repository,
    objects: &[ObjectId],
    out: &mut dyn Write,
    limits: &CallLimits,
    options: &GixOptions,
) -> Result<()> {
    let written = write(repository, objects, out, limits, options);
    // What the limits say comes first.
    limits.check()?;
    written.map_err(|error| unreadable("the pack cannot be written", error))
}

fn write(
    repository: &Repository,
    objects: &[ObjectId],
    out: &mut dyn Write,
    limits: &CallLimits,
    options: &GixOptions,
) -> gix::Result<()> {
    let mut odb = repository.objects().handle().clone();
    // Where an entry is stays true while it is made.
    odb.prevent_pack_unload();
    let location = PackLocation::NotLookedUp;
    let counts = objects.iter().map(|id| Count { id: to_gix(id), entry_pack_location: location.clone() });
    let pack = Options {
        thread_limit: Some(options.index_threads.max(1)),
        chunk_size: CHUNK,
        version: Version::V2,
        ..Options::default()
    };
    let entries = iter_from_counts(counts.collect(), odb, Box::new(Discard), pack)?;
    // An entry of nothing would be left out silently.
    let entries = InOrderIter::from(entries).map(|entries| {
        let entries: Vec<Entry> = entries?;
        if entries.iter().any(Entry::is_invalid) { Err(gone()) } else { Ok(entries) }
    });
    // How many an engine is given fits: the core counts them.
    let count = u32::try_from(objects.len()).unwrap_or(u32::MAX);
    for written in FromEntriesIter::new(entries, out, count, Version::V2, hash_kind(repository.format())) {
        written?;
        limits.check().map_err(gix::Error::from_error)?;
    }
    Ok(())
}

fn gone() -> gix::Error {
    gix::Error::from_error(gix::error::message("an object is not there any more"))
}
