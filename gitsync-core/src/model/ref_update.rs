//! The log of movements of branches and tags.

use crate::clock::Timestamp;
use crate::model::{RepositoryId, TaskId};
use crate::plan::Movement;

/// An entry of the append-only log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// Rises with every entry.
    pub id: i64,
    /// The repository.
    pub repository: RepositoryId,
    /// The task that saw the movement.
    pub task: TaskId,
    /// When it was recorded.
    pub at: Timestamp,
    /// What was seen.
    pub change: RefChange,
}

/// What an entry of the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefChange {
    /// A branch or tag moved.
    Moved(Movement),
    /// A first clone brought this many branches and tags; they are not listed one by one.
    Cloned {
        /// How many.
        refs: u64,
    },
}
