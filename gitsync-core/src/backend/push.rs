//! What goes through [`GitBackend::push_mirror`](super::GitBackend::push_mirror).

use crate::error::Result;
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

/// The right to send a push, asked for at the last moment: while the target said what it has, somebody else may have taken over
/// the repository and pushed what is newer.
///
/// It is not held while the push is sent, which may take long. What is sent later than somebody else's push changes nothing of
/// it, since a target compares what a reference is to be changed from.
pub trait PushPermit: Send {
    /// Asks whether the push may still be sent. Blocks for as long as others work on the repository's files.
    ///
    /// # Errors
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost) if somebody else has the repository by now,
    /// [`Cancelled`](crate::ErrorKind::Cancelled) if whoever pushes was told to stop; those of the file system.
    fn check(&self) -> Result<()>;
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
