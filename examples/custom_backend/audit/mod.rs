//! A database of which every change is noted in a file: for whoever has to be able to tell later what happened when.
//!
//! It wraps a store, a queue, or what is both, and adds to the calls that write; `store_suite!` and `queue_suite!` tell
//! whether what comes out is still a store and a queue.

mod queue;
mod store;

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gitsync_core::{Clock, Error, ErrorKind, Result};

/// A file that only grows, one line a change.
#[derive(Debug)]
pub(crate) struct AuditLog {
    file: Mutex<File>,
    clock: Arc<dyn Clock>,
}

impl AuditLog {
    /// Opens the file, and makes it if need be.
    pub(crate) fn open(path: &Path, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let file = File::options().append(true).create(true).open(path)?;
        Ok(AuditLog { file: Mutex::new(file), clock })
    }

    fn write(&self, change: fmt::Arguments<'_>) -> Result<()> {
        let line = format!("{} {change}\n", self.clock.now());
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // In one piece, so that lines of several processes do not mix.
        file.write_all(line.as_bytes()).map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the change cannot be noted in the audit log").caused_by(error)
        })
    }
}

/// A store, a queue, or both, with an audit log.
#[derive(Debug)]
pub(crate) struct Audited<D> {
    database: D,
    log: AuditLog,
}

impl<D> Audited<D> {
    pub(crate) fn new(database: D, log: AuditLog) -> Self {
        Audited { database, log }
    }

    /// Notes a change that was made, and hands its result on. What was refused changed nothing and is not noted.
    ///
    /// A change that cannot be noted has happened all the same. Its caller is told that the database is away, which never
    /// says whether anything happened: all callers can live with that, and workers do the same once more.
    fn noted<T>(&self, result: Result<T>, change: impl FnOnce(&T) -> Option<String>) -> Result<T> {
        if let Ok(value) = &result
            && let Some(change) = change(value)
        {
            self.log.write(format_args!("{change}"))?;
        }
        result
    }
}
