//! The progress that libgit2 reports, and the bounds on it.

use gitsync_core::Result;
use gitsync_core::backend::ProgressSink;
use gitsync_repository::upstream::{Call, PackBounds};

/// How many bytes are received between two reports.
const REPORT_EVERY: u64 = 256 * 1024;

/// Watches a fetch.
pub(super) struct Meter<'a> {
    call: &'a Call,
    progress: &'a dyn ProgressSink,
    bounds: PackBounds,
    objects: u64,
    bytes: u64,
    reported: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(call: &'a Call, progress: &'a dyn ProgressSink, bounds: PackBounds) -> Self {
        Meter { call, progress, bounds, objects: 0, bytes: 0, reported: 0 }
    }

    /// What libgit2 is to call.
    pub(super) fn callbacks(&mut self) -> git2::RemoteCallbacks<'_> {
        let mut callbacks = git2::RemoteCallbacks::new();
        callbacks.transfer_progress(|progress| match self.count(&progress) {
            Ok(()) => true,
            Err(error) => {
                self.call.failure.keep(error.with("source", &self.call.source));
                false
            }
        });
        callbacks
    }

    /// Tells whether anything of a pack came in.
    pub(super) fn has_begun(&self) -> bool {
        self.bytes > 0 || self.objects > 0
    }

    /// Reports the totals and returns them: how many objects the pack holds, and its bytes.
    pub(super) fn finish(&self) -> (u64, u64) {
        self.progress.received(self.objects, self.bytes);
        (self.objects, self.bytes)
    }

    fn count(&mut self, progress: &git2::Progress<'_>) -> Result<()> {
        self.call.prelude.end();
        self.call.limits.check()?;
        self.bounds.check_objects(progress.total_objects() as u64)?;
        self.bounds.check_bytes(progress.received_bytes() as u64)?;
        (self.objects, self.bytes) = (progress.total_objects() as u64, progress.received_bytes() as u64);
        if self.bytes - self.reported >= REPORT_EVERY {
            self.reported = self.bytes;
            self.progress.received(progress.received_objects() as u64, self.bytes);
        }
        Ok(())
    }
}
