//! The pack as it comes in: counted, bounded and ended by the limits.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicUsize, Ordering};

use gitsync_core::Result;
use gitsync_core::backend::ProgressSink;
use gitsync_repository::upstream::{Call, PackBounds};

/// How many bytes are received between two reports.
const REPORT_EVERY: u64 = 256 * 1024;

/// The length of a pack's header: a word, the version and the number of objects.
const HEADER_BYTES: usize = 12;

/// Reads a pack and watches it.
pub(super) struct PackReader<'a> {
    inner: &'a mut dyn BufRead,
    call: &'a Call,
    bounds: PackBounds,
    progress: &'a dyn ProgressSink,
    /// How many objects were taken apart.
    objects: &'a AtomicUsize,
    bytes: u64,
    reported: u64,
    header: Vec<u8>,
}

impl<'a> PackReader<'a> {
    pub(super) fn new(
        inner: &'a mut dyn BufRead,
        call: &'a Call,
        bounds: PackBounds,
        progress: &'a dyn ProgressSink,
        objects: &'a AtomicUsize,
    ) -> Self {
        PackReader { inner, call, bounds, progress, objects, bytes: 0, reported: 0, header: Vec::new() }
    }

    /// Reports the totals and returns them: how many objects the pack holds, and its bytes.
    ///
    /// The objects are those of the header, since gix also counts what it adds to complete a thin pack.
    pub(super) fn finish(&self) -> (u64, u64) {
        let objects = self.objects_in_header().unwrap_or(0);
        self.progress.received(objects, self.bytes);
        (objects, self.bytes)
    }

    fn objects_in_header(&self) -> Option<u64> {
        let count = self.header.get(8..HEADER_BYTES)?.try_into().ok()?;
        Some(u32::from_be_bytes(count).into())
    }

    fn count(&mut self, bytes: &[u8]) -> Result<()> {
        if self.bytes == 0 && !bytes.is_empty() {
            self.call.prelude.end();
        }
        let missing = HEADER_BYTES - self.header.len();
        if missing > 0 {
            self.header.extend_from_slice(&bytes[..missing.min(bytes.len())]);
            self.bounds.check_objects(self.objects_in_header().unwrap_or(0))?;
        }
        self.bytes += bytes.len() as u64;
        self.bounds.check_bytes(self.bytes)?;
        if self.bytes - self.reported >= REPORT_EVERY {
            self.reported = self.bytes;
            self.progress.received(self.objects.load(Ordering::Relaxed) as u64, self.bytes);
        }
        Ok(())
    }
}

impl Read for PackReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.call.limits.check().map_err(|error| self.call.failure.keep(error))?;
        let read = self.inner.read(buffer)?;
        let counted = self.count(&buffer[..read]);
        counted.map_err(|error| self.call.failure.keep(error.with("source", &self.call.source)))?;
        Ok(read)
    }
}
