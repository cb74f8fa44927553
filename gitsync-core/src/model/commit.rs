//! What is recorded of a commit.

use crate::model::ObjectId;

/// The longest author or committer name or e-mail that is kept, in bytes; longer ones are cut.
pub const MAX_SIGNATURE_FIELD_BYTES: usize = 512;

/// The longest message that is kept, in bytes; longer ones are cut and flagged.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// Who made a commit, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The name, decoded; at most [`MAX_SIGNATURE_FIELD_BYTES`].
    pub name: String,
    /// The e-mail address, decoded; at most [`MAX_SIGNATURE_FIELD_BYTES`].
    pub email: String,
    /// Seconds since the epoch. Git's range is wider than that of any calendar type.
    pub seconds: i64,
    /// The zone's offset from UTC in minutes, as written.
    pub offset_minutes: i32,
}

/// A commit as it is recorded: decoded text, raw ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The commit's id.
    pub id: ObjectId,
    /// The parents' ids, in order.
    pub parents: Vec<ObjectId>,
    /// Who wrote the change.
    pub author: Signature,
    /// Who committed it.
    pub committer: Signature,
    /// The message, decoded by the commit's encoding header; NUL becomes U+FFFD.
    pub message: String,
    /// Whether the message was longer than [`MAX_MESSAGE_BYTES`].
    pub message_cut: bool,
}
