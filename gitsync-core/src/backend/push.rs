//! What goes through [`GitBackend::push_mirror`](super::GitBackend::push_mirror).

use crate::model::{ObjectId, RefName};
use crate::plan::RefMapping;
use crate::source::SourceUrl;

/// What a push target is to have.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// The target.
    pub target: SourceUrl,
    /// Name and unpeeled id of every reference we have, sorted by name. What the mapping does not take is passed over.
    pub refs: Vec<(RefName, ObjectId)>,
    /// Which references of the target are ours to move and to delete.
    pub mapping: RefMapping,
    /// The bound on the bytes of the pack.
    pub max_pack_bytes: u64,
}

/// What was pushed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// References that were created or moved.
    pub updated: u64,
    /// References that were deleted.
    pub deleted: u64,
    /// Objects that were sent.
    pub objects: u64,
    /// Bytes that were sent as pack.
    pub bytes: u64,
    /// What the target would not change, in the order in which it was asked.
    pub refused: Vec<RefusedRef>,
}

/// A reference that a push target would not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRef {
    /// The reference.
    pub name: RefName,
    /// Why, in the words of the target: without secrets, at most 200 characters.
    pub reason: String,
}
