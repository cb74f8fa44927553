//! The pack that is sent to a push target.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use gitsync_core::model::ObjectId;
use gitsync_core::{Error, ErrorKind, Result};

use crate::engine::Engine;
use crate::quarantine::Quarantine;
use crate::repository::Repository;
use crate::upstream::Call;

/// A pack on disk. It goes with the value.
pub(super) struct PackFile {
    path: PathBuf,
    pub(super) objects: u64,
    pub(super) bytes: u64,
    _quarantine: Quarantine,
}

impl PackFile {
    /// Writes a pack of some objects. On disk, and not straight to the target: a target that is slow or gone keeps no library
    /// waiting, and the bound is found out before anything is sent.
    pub(super) fn write<E: Engine>(
        engine: &E,
        repository: &Repository<E::Objects>,
        quarantine: Quarantine,
        objects: &[ObjectId],
        max_bytes: u64,
        call: &Call,
    ) -> Result<Self> {
        let path = quarantine.dir().join("push.pack");
        let file = io::BufWriter::new(File::create_new(&path)?);
        let mut out = Bounded { file, bytes: 0, max_bytes, call };
        let written = engine.write_pack(repository, &quarantine, objects, &mut out, &call.limits);
        written.map_err(|error| call.failure.take().unwrap_or(error))?;
        out.flush()?;
        Ok(PackFile { path, objects: objects.len() as u64, bytes: out.bytes, _quarantine: quarantine })
    }

    pub(super) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

/// Counts what is written, and ends it by the limits.
struct Bounded<'a, W> {
    file: W,
    bytes: u64,
    max_bytes: u64,
    call: &'a Call,
}

impl<W: Write> Write for Bounded<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let keep = |error| self.call.failure.keep(error);
        self.call.limits.check().map_err(keep)?;
        let written = self.file.write(bytes).map_err(|error| keep(error.into()))?;
        self.bytes += written as u64;
        if self.bytes > self.max_bytes {
            let error = Error::new(ErrorKind::LimitExceeded, "there is more to push than the limit on bytes allows");
            return Err(keep(error.with("limit", self.max_bytes)));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
