//! What a git library has to bring to be an engine.

use std::fmt::Debug;
use std::io::Write;
use std::path::Path;

use gitsync_core::Result;
use gitsync_core::backend::{Advertisement, Capabilities, FetchRequest, Fetched, ProgressSink};
use gitsync_core::blocking::BatchLimits;
use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::transport::CallLimits;

use crate::objects::Objects;
use crate::quarantine::Quarantine;
use crate::repository::Repository;
use crate::upstream::listing::ListLimits;
use crate::upstream::{Call, Remembered};
use crate::worktree::IndexEntry;

/// A git library: how it opens a repository, lists an upstream, fetches and writes packs. [`Backend`](crate::Backend) makes a
/// [`GitBackend`](gitsync_core::GitBackend) of it.
///
/// Everything here blocks. What is promised is in the contract of [`GitBackend`](gitsync_core::GitBackend).
pub trait Engine: Debug + Send + Sync + Sized + 'static {
    /// What can be set.
    type Options: Debug + Default;

    /// How it reads objects.
    type Objects: Objects;

    /// Creates it.
    fn new(options: Self::Options) -> Self;

    /// Returns its name.
    fn name(&self) -> &'static str;

    /// Tells what it can do.
    fn capabilities(&self) -> Capabilities;

    /// Returns how many calls may be at work at a time, and how many walks beside them.
    fn blocking_threads(&self) -> usize;

    /// Returns how large the batches of a walk become.
    fn batch(&self) -> BatchLimits;

    /// Reads an index, sorted by path. What it says beside entries and their flags may be passed over.
    ///
    /// # Errors
    /// [`Unsupported`](gitsync_core::ErrorKind::Unsupported) if it is written in a way that is not known.
    fn read_index(&self, path: &Path, format: ObjectFormat) -> Result<Vec<IndexEntry>>;

    /// Writes an index, of entries sorted by path, to where no file is.
    fn write_index(&self, path: &Path, format: ObjectFormat, entries: &[IndexEntry]) -> Result<()>;

    /// Opens the repository in a directory, in isolation.
    fn open(&self, dir: &Path) -> Result<Repository<Self::Objects>>;

    /// Asks an upstream for its references, and keeps its greeting for the fetch.
    fn list(&self, call: &Call, remembered: &Remembered) -> Result<Advertisement>;

    /// Fetches what the wants reach.
    fn fetch(
        &self,
        repository: &Repository<Self::Objects>,
        request: &FetchRequest,
        call: &Call,
        progress: &dyn ProgressSink,
        remembered: &Remembered,
    ) -> Result<Fetched>;

    /// Returns how much an upstream may list.
    fn list_limits(&self) -> ListLimits;

    /// Writes a pack, version 2, of exactly these objects, each of which is there and named once. A delta has its base in the
    /// pack.
    ///
    /// The quarantine is a place for what is only needed meanwhile. An error of `out` may come back as any error: the caller
    /// knows it.
    fn write_pack(
        &self,
        repository: &Repository<Self::Objects>,
        quarantine: &Quarantine,
        objects: &[ObjectId],
        out: &mut dyn Write,
        limits: &CallLimits,
    ) -> Result<()>;
}
