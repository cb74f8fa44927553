//! Between the ids of the core and those of gix.

use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::{Error, ErrorKind, Result};

/// Returns the id as gix has it.
pub fn to_gix(id: &ObjectId) -> gix::ObjectId {
    match id {
        ObjectId::Sha1(bytes) => gix::ObjectId::Sha1(*bytes),
        ObjectId::Sha256(bytes) => gix::ObjectId::Sha256(*bytes),
    }
}

/// Returns the id as the core has it.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if the hash function is one the core does not know.
pub fn from_gix(id: &gix::oid) -> Result<ObjectId> {
    ObjectId::from_bytes(id.as_bytes())
}

/// Returns gix's name of the format.
pub fn hash_kind(format: ObjectFormat) -> gix::hash::Kind {
    match format {
        ObjectFormat::Sha1 => gix::hash::Kind::Sha1,
        ObjectFormat::Sha256 => gix::hash::Kind::Sha256,
    }
}

/// Makes an error of one that reading objects or configuration gave.
pub(crate) fn unreadable(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{what}: {error}")).caused_by(error)
}
