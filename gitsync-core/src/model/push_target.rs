//! Push targets: where a repository is mirrored to.

use crate::clock::Timestamp;
use crate::model::{RepositoryId, StoredError};
use crate::plan::Digest;
use crate::source::SourceUrl;

/// A place that a repository is pushed to after its syncs. It is known by its address, of which a repository has each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushTarget {
    /// The repository.
    pub repository: RepositoryId,
    /// Where it is pushed to.
    pub url: SourceUrl,
    /// When it was added.
    pub added_at: Timestamp,
    /// The [digest](crate::plan::push_digest) of what the target has for certain; `None` if that is not known.
    pub has: Option<Digest>,
    /// When it was last brought in step.
    pub pushed_at: Option<Timestamp>,
    /// What the last push did that reached it, be it all or not.
    pub last: PushCounts,
    /// Why the last push failed.
    pub error: Option<StoredError>,
    /// How many pushes in a row have failed.
    pub failures: u32,
    /// When it may be tried again.
    pub retry_at: Option<Timestamp>,
}

impl PushTarget {
    /// Returns how it stands with the target.
    pub fn status(&self) -> PushStatus {
        match (&self.error, self.pushed_at) {
            (Some(_), _) => PushStatus::Failed,
            (None, Some(_)) => PushStatus::Pushed,
            (None, None) => PushStatus::Waiting,
        }
    }

    /// Tells whether it is to be pushed to: it may lack something of what it is to have, and need not be left alone.
    pub fn is_due(&self, digest: Digest, now: Timestamp) -> bool {
        self.has != Some(digest) && self.retry_at.is_none_or(|at| at <= now)
    }
}

/// How it stands with a push target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushStatus {
    /// It was never pushed to.
    Waiting,
    /// The last push brought it in step.
    Pushed,
    /// The last push failed.
    Failed,
}

/// What a push did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushCounts {
    /// References that were created or moved.
    pub updated: u64,
    /// References that were deleted.
    pub deleted: u64,
    /// Objects that were sent.
    pub objects: u64,
    /// Bytes that were sent as pack.
    pub bytes: u64,
}
