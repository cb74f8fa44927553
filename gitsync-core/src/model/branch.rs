//! Branches, and the references the last finished task recorded.

use crate::model::{ObjectId, RefName};

/// A branch as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The full name.
    pub name: RefName,
    /// The commit at its tip.
    pub commit: ObjectId,
    /// Whether `HEAD` points to it.
    pub is_default: bool,
}

/// A branch or tag as the last finished task recorded it. Together they are the baseline of the next sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedRef {
    /// The full name.
    pub name: RefName,
    /// The id as advertised, unpeeled.
    pub id: ObjectId,
    /// The commit it leads to; `None` for a tag on a tree or a blob.
    pub commit: Option<ObjectId>,
}
