//! What can be set.

use std::thread;

use gitsync_core::blocking::BatchLimits;
use gitsync_repository::upstream::listing::ListLimits;

/// The settings of a [`Git2Backend`](crate::Git2Backend).
///
/// ```
/// use gitsync_git2::{Git2Backend, Git2Options};
///
/// let mut options = Git2Options::default();
/// options.blocking_threads = 4;
/// let backend = Git2Backend::new(options);
/// # let _ = backend;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Git2Options {
    /// How many calls may be at work at a time, and how many commit walks beside them. Twice the cores, at least 4.
    pub blocking_threads: usize,
    /// How large the batches of a commit walk become.
    pub batch: BatchLimits,
    /// How many references an upstream may list. A million.
    pub max_listed_refs: usize,
    /// How many bytes an upstream's list of references may have. 256 MiB.
    pub max_listing_bytes: usize,
    /// How many bytes an upstream may send in a fetch before the pack. 16 MiB.
    pub max_prelude_bytes: usize,
}

impl Git2Options {
    pub(crate) fn list_limits(&self) -> ListLimits {
        ListLimits { refs: self.max_listed_refs, bytes: self.max_listing_bytes }
    }
}

impl Default for Git2Options {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Git2Options {
            blocking_threads: (2 * cores).max(4),
            batch: BatchLimits::default(),
            max_listed_refs: 1_000_000,
            max_listing_bytes: 256 << 20,
            max_prelude_bytes: 16 << 20,
        }
    }
}
