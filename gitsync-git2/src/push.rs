//! The packs that are sent to push targets.

use std::io::Write;

use gitsync_core::model::ObjectId;
use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_repository::{Haves, Quarantine};

use crate::convert::{to_git2, unreadable};
use crate::open::Repository;
use crate::remote::setup;
use crate::workshop::Workshop;

/// How many objects are taken in between two looks at the limits.
const CHECK_EVERY: usize = 1024;

/// Writes a pack in which libgit2 looks for deltas anew.
pub(crate) fn write_pack(
    repository: &Repository,
    quarantine: &Quarantine,
    objects: &[ObjectId],
    out: &mut dyn Write,
    limits: &CallLimits,
) -> Result<()> {
    setup()?;
    let workshop = Workshop::new(quarantine, repository, &Haves::default())?;
    let written = write(&workshop, objects, out, limits);
    // libgit2 knows only that it was to end.
    limits.check()?;
    written
}

fn write(workshop: &Workshop, objects: &[ObjectId], out: &mut dyn Write, limits: &CallLimits) -> Result<()> {
    let failed = |error| unreadable("the pack cannot be written", error);
    let mut builder = workshop.pack_builder().map_err(failed)?;
    for (number, id) in objects.iter().enumerate() {
        if number.is_multiple_of(CHECK_EVERY) {
            limits.check()?;
        }
        let oid = to_git2(id).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "this engine knows ids of one hash function only").with("id", id)
        })?;
        builder.insert_object(oid, None).map_err(failed)?;
    }
    builder.set_progress_callback(|_, _, _| limits.check().is_ok()).map_err(failed)?;
    builder.foreach(|bytes| out.write_all(bytes).is_ok()).map_err(failed)
}
