//! How a branch or tag moved between two recordings.

use crate::model::{ObjectId, RefName};

/// What happened to a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MovementKind {
    /// It is new.
    Created,
    /// The new tip contains the old one.
    FastForward,
    /// The old tip is not part of the new one; tags always move like that. Where the depth is limited, and what lies between
    /// the two was never fetched, nobody can tell, and it counts as this.
    Forced,
    /// It is gone.
    Deleted,
}

impl MovementKind {
    /// Every kind, in declaration order.
    pub const ALL: &[MovementKind] =
        &[MovementKind::Created, MovementKind::FastForward, MovementKind::Forced, MovementKind::Deleted];

    /// Returns the stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            MovementKind::Created => "created",
            MovementKind::FastForward => "fast_forward",
            MovementKind::Forced => "forced",
            MovementKind::Deleted => "deleted",
        }
    }

    /// Returns the kind that has this stable name, if there is one.
    pub fn from_name(name: &str) -> Option<MovementKind> {
        MovementKind::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// One movement of a branch or tag. Ids are unpeeled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The branch or tag.
    pub name: RefName,
    /// Where it was, `None` if it is new.
    pub old: Option<ObjectId>,
    /// Where it is, `None` if it is gone.
    pub new: Option<ObjectId>,
    /// What happened.
    pub kind: MovementKind,
}
