//! What an id leads to.

use gitsync_core::Result;
use gitsync_core::backend::Resolved;
use gitsync_core::model::ObjectId;

use crate::objects::{Kind, Objects};
use crate::repository::Repository;

/// The longest chain of tags that is followed; a longer one counts as [`Resolved::Other`].
const MAX_TAG_DEPTH: usize = 1000;

/// What an id leads to through any number of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peeled {
    /// The object, or one that a tag leads to, is not there.
    Missing,
    /// The object that is no tag, and its kind.
    Object(ObjectId, Kind),
    /// A tag that leads nowhere: it names no object, or too many tags.
    Broken,
}

/// Tells what `id` leads to.
///
/// # Errors
/// [`Corrupt`](gitsync_core::ErrorKind::Corrupt) if an object on the way cannot be read.
pub fn resolve(repository: &Repository<impl Objects>, id: &ObjectId) -> Result<Resolved> {
    if id.format() != repository.format() {
        return Ok(Resolved::Missing);
    }
    Ok(match peel(repository, *id)? {
        Peeled::Missing => Resolved::Missing,
        Peeled::Object(id, Kind::Commit) => Resolved::Commit(id),
        Peeled::Object(..) | Peeled::Broken => Resolved::Other,
    })
}

/// Follows tags from `id` to what is no tag.
///
/// # Errors
/// [`Corrupt`](gitsync_core::ErrorKind::Corrupt) if an object on the way cannot be read.
pub fn peel(repository: &Repository<impl Objects>, mut id: ObjectId) -> Result<Peeled> {
    let mut buffer = Vec::new();
    for _ in 0..MAX_TAG_DEPTH {
        // The kind alone is quickly told: most objects need not be read at all.
        match repository.objects().kind(&id)? {
            None => return Ok(Peeled::Missing),
            Some(Kind::Tag) => {}
            Some(kind) => return Ok(Peeled::Object(id, kind)),
        }
        if repository.objects().read(&id, &mut buffer)?.is_none() {
            return Ok(Peeled::Missing);
        }
        match target_of(&buffer) {
            Some(target) if target.format() == repository.format() => id = target,
            _ => return Ok(Peeled::Broken),
        }
    }
    Ok(Peeled::Broken)
}

/// Returns the object that a tag names in its first line.
pub(crate) fn target_of(tag: &[u8]) -> Option<ObjectId> {
    let line = tag.split(|byte| *byte == b'\n').next()?;
    ObjectId::from_hex(line.strip_prefix(b"object ")?).ok()
}
