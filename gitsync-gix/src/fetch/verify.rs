//! Is everything there that was asked for?

use gitsync_core::model::{CommitObject, ObjectId};
use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, ErrorKind, Result};
use gix::hashtable::HashSet as IdSet;
use gix::objs::{Exists as _, Find as _, Kind};

use super::quarantine::Quarantine;
use crate::convert::{hash_kind, to_gix, unreadable};
use crate::open::Repository;
use crate::resolve::target_of;

/// How many objects are looked at between two looks at the limits.
const CHECK_EVERY: usize = 256;

/// Checks that each want is there, and every parent, tree and tagged object that a new commit or tag names.
///
/// What lies outside of the quarantine was there before and is complete. The content of trees is not looked at: that
/// would double the work, and it is what upkeep checks.
pub(super) fn verify(
    repository: &Repository,
    quarantine: &Quarantine,
    wants: &[gix::ObjectId],
    limits: &CallLimits,
) -> Result<()> {
    let new = quarantine.odb(repository)?;
    let mut seen: IdSet<gix::ObjectId> = wants.iter().copied().collect();
    let mut stack = wants.to_vec();
    let mut buffer = Vec::new();
    let mut looked_at = 0_usize;
    while let Some(id) = stack.pop() {
        if looked_at.is_multiple_of(CHECK_EVERY) {
            limits.check()?;
        }
        looked_at += 1;
        let found = new.try_find(&id, &mut buffer);
        let Some(object) = found.map_err(|error| unreadable("a received object is broken", error))? else {
            if repository.odb().exists(&id) {
                continue;
            }
            return Err(missing(&id));
        };
        let need = |id: ObjectId| {
            let id = to_gix(&id);
            if id.kind() == hash_kind(repository.format()) && seen.insert(id) {
                stack.push(id);
            }
        };
        match object.kind {
            Kind::Commit => {
                let commit = CommitObject::new(object.data);
                let tree = commit.tree().filter(|id| id.format() == repository.format()).map(|id| to_gix(&id));
                if let Some(tree) = tree.filter(|tree| !new.exists(tree) && !repository.odb().exists(tree)) {
                    return Err(missing(&tree));
                }
                if !repository.shallow().contains(&id) {
                    commit.parents().for_each(need);
                }
            }
            Kind::Tag => target_of(object.data).into_iter().for_each(need),
            Kind::Tree | Kind::Blob => {}
        }
    }
    Ok(())
}

fn missing(id: &gix::oid) -> Error {
    Error::new(ErrorKind::Corrupt, "the upstream did not send all that was asked for").with("missing", id)
}
