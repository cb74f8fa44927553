//! What an upstream says before the pack.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gitsync_core::{Error, ErrorKind, Result};

/// How much an upstream may still send before the pack: a few lines, unless it floods us, since engines keep them all. Without
/// bound, unless a pack is awaited. Clones share it.
#[derive(Clone, Debug)]
pub struct Prelude(Arc<AtomicU64>);

impl Prelude {
    /// Bounds all that comes from now on.
    pub fn begin(&self, max_bytes: usize) {
        self.0.store(max_bytes as u64, Ordering::Relaxed);
    }

    /// Lifts the bound: the pack has begun, and has its own.
    pub fn end(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// Counts what came in.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] if it was too much.
    pub fn count(&self, bytes: usize) -> Result<()> {
        let less = |left: u64| left.checked_sub(bytes as u64);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .map(|_| ())
            .map_err(|_| Error::new(ErrorKind::LimitExceeded, "the upstream sends more before the pack than allowed"))
    }
}

impl Default for Prelude {
    fn default() -> Self {
        Prelude(Arc::new(AtomicU64::new(u64::MAX)))
    }
}
