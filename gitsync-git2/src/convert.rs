//! Between the ids of the core and those of libgit2.

use git2::Oid;
use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::{Error, ErrorKind};

/// Returns the id as libgit2 has it; `None` for a hash function that it does not know.
pub(crate) fn to_git2(id: &ObjectId) -> Option<Oid> {
    match id.format() {
        ObjectFormat::Sha1 => Oid::from_bytes(id.as_bytes()).ok(),
        ObjectFormat::Sha256 => None,
    }
}

/// Makes an error of one that reading objects or configuration gave.
pub(crate) fn unreadable(what: &str, error: git2::Error) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what}: {}", error.message())).caused_by(error)
}
