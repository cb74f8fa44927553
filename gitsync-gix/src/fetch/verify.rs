//! Is everything there that was asked for?

use std::path::Path;

use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, ErrorKind, Result};
use gix::hashtable::HashSet as IdSet;
use gix::objs::{Exists as _, Find as _, Kind};
use gix::odb::Header as _;

use super::closed::is_closed;
use super::links::links;
use super::quarantine::Quarantine;
use crate::convert::unreadable;
use crate::open::Repository;
use crate::options::GixOptions;

/// How many objects are looked at between two looks at the limits.
pub(super) const CHECK_EVERY: usize = 256;

/// Checks that each want is there, and everything that it leads to: what is taken is from then on what we say to have, so
/// what is missing now would never come.
///
/// What lies outside of the quarantine was there before and is complete, so the cost is that of what is new.
pub(super) fn verify(
    repository: &Repository,
    quarantine: &Quarantine,
    index: Option<&Path>,
    wants: &[gix::ObjectId],
    limits: &CallLimits,
    options: &GixOptions,
) -> Result<()> {
    let new = quarantine.odb(repository)?;
    if let Some(want) = wants.iter().find(|want| !new.exists(want) && !repository.odb().exists(want)) {
        return Err(missing(want));
    }
    match index {
        // Not closed is seldom and may be right: a server sent more than was asked for, and what the surplus names is missing.
        Some(index) if !is_closed(repository, index, limits, options)? => descend(repository, new, wants, limits),
        _ => Ok(()),
    }
}

/// Walks from the wants through all that is new: slow, but what no want reaches does not count.
fn descend(
    repository: &Repository,
    mut new: gix::odb::Handle,
    wants: &[gix::ObjectId],
    limits: &CallLimits,
) -> Result<()> {
    // Nothing more comes in there: no look at the disk for each id that is not new.
    new.refresh_never();
    let mut seen: IdSet<gix::ObjectId> = wants.iter().copied().collect();
    let mut stack = wants.to_vec();
    let mut buffer = Vec::new();
    let mut looked_at = 0_usize;
    while let Some(id) = stack.pop() {
        if looked_at.is_multiple_of(CHECK_EVERY) {
            limits.check()?;
        }
        looked_at += 1;
        let header = new.try_header(&id).map_err(|error| unreadable("a received object is broken", error))?;
        match header.map(|header| header.kind()) {
            Some(Kind::Blob) => continue,
            Some(_) => {}
            None if repository.odb().exists(&id) => continue,
            None => return Err(missing(&id)),
        }
        let found = new.try_find(&id, &mut buffer).map_err(|error| unreadable("a received object is broken", error))?;
        let object = found.ok_or_else(|| missing(&id))?;
        let is_shallow = repository.shallow().contains(&id);
        let understood = links(object.kind, object.data, repository.format(), is_shallow, |named| {
            if seen.insert(named.to_owned()) {
                stack.push(named.to_owned());
            }
            true
        });
        if !understood {
            return Err(Error::new(ErrorKind::Corrupt, "the upstream sent a tree that makes no sense").with("id", id));
        }
    }
    Ok(())
}

fn missing(id: &gix::oid) -> Error {
    Error::new(ErrorKind::Corrupt, "the upstream did not send all that was asked for").with("missing", id)
}
