//! Is everything there that was asked for? The thorough way.

use gitsync_core::model::ObjectId;
use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, ErrorKind, Result};

use crate::id_map::IdSet;
use crate::links::links;
use crate::objects::{Kind, Objects};
use crate::repository::Repository;

/// How many objects are looked at between two looks at the limits.
pub const CHECK_EVERY: usize = 256;

/// Walks from the roots, which are the wants and what else has to be there, through all that is new, and finds out whether
/// anything is missing: what is taken is from then on what we say to have, so what is missing now would never come.
///
/// What is not `new` was there before and is complete, so the cost is that of what is new. What no root reaches does not
/// count, and neither do the parents of commits that are `shallow`.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if something is missing or makes no sense, and the errors of the limits.
pub fn descend(
    repository: &Repository<impl Objects>,
    new: &impl Objects,
    roots: &[ObjectId],
    shallow: &IdSet,
    limits: &CallLimits,
) -> Result<()> {
    let mut seen: IdSet = roots.iter().copied().collect();
    let mut stack = roots.to_vec();
    let mut buffer = Vec::new();
    let mut looked_at = 0_usize;
    while let Some(id) = stack.pop() {
        if looked_at.is_multiple_of(CHECK_EVERY) {
            limits.check()?;
        }
        looked_at += 1;
        match new.kind(&id)? {
            Some(Kind::Blob) => continue,
            Some(_) => {}
            None if repository.objects().exists(&id) => continue,
            None => return Err(missing(&id)),
        }
        let kind = new.read(&id, &mut buffer)?.ok_or_else(|| missing(&id))?;
        let is_shallow = shallow.contains(&id);
        let understood = links(kind, &buffer, repository.format(), is_shallow, |named| {
            if seen.insert(*named) {
                stack.push(*named);
            }
            true
        });
        if !understood {
            return Err(Error::new(ErrorKind::Corrupt, "the upstream sent a tree that makes no sense").with("id", id));
        }
    }
    Ok(())
}

/// The upstream left something out.
pub fn missing(id: &ObjectId) -> Error {
    Error::new(ErrorKind::Corrupt, "the upstream did not send all that was asked for").with("missing", id)
}
