//! gitoxide as the repository crate sees it.

use std::io::Write;
use std::path::Path;

use gitsync_core::Result;
use gitsync_core::backend::{Advertisement, Capabilities, FetchRequest, Fetched, ProgressSink};
use gitsync_core::blocking::BatchLimits;
use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::transport::CallLimits;
use gitsync_repository::upstream::listing::ListLimits;
use gitsync_repository::upstream::{Call, Remembered};
use gitsync_repository::{Backend, Engine, IndexEntry, Quarantine};

use crate::fetch::fetch;
use crate::index;
use crate::odb::Odb;
use crate::open::{Repository, open};
use crate::options::GixOptions;
use crate::push::write_pack;
use crate::remote;

/// The [`GitBackend`](gitsync_core::GitBackend) on gitoxide. Clones share their threads.
pub type GixBackend = Backend<Gix>;

/// What gitoxide does for its backend.
#[derive(Debug)]
pub struct Gix {
    options: GixOptions,
}

impl Engine for Gix {
    type Options = GixOptions;
    type Objects = Odb;

    fn new(options: GixOptions) -> Self {
        Gix { options }
    }

    fn name(&self) -> &'static str {
        "gix"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.sha256 = true;
        capabilities.unborn_head = true;
        capabilities.shallow = true;
        capabilities.worktree = true;
        capabilities.push = true;
        capabilities
    }

    fn blocking_threads(&self) -> usize {
        self.options.blocking_threads
    }

    fn batch(&self) -> BatchLimits {
        self.options.batch
    }

    fn read_index(&self, path: &Path, format: ObjectFormat) -> Result<Vec<IndexEntry>> {
        index::read(path, format)
    }

    fn write_index(&self, path: &Path, format: ObjectFormat, entries: &[IndexEntry]) -> Result<()> {
        index::write(path, format, entries)
    }

    fn open(&self, dir: &Path) -> Result<Repository> {
        open(dir)
    }

    fn list(&self, call: &Call, remembered: &Remembered) -> Result<Advertisement> {
        remote::list(call, self.options.list_limits(), remembered)
    }

    fn fetch(
        &self,
        repository: &Repository,
        request: &FetchRequest,
        call: &Call,
        progress: &dyn ProgressSink,
        remembered: &Remembered,
    ) -> Result<Fetched> {
        fetch(repository, request, call, progress, &self.options, remembered)
    }

    fn list_limits(&self) -> ListLimits {
        self.options.list_limits()
    }

    fn write_pack(
        &self,
        repository: &Repository,
        _quarantine: &Quarantine,
        objects: &[ObjectId],
        out: &mut dyn Write,
        limits: &CallLimits,
    ) -> Result<()> {
        write_pack(repository, objects, out, limits, &self.options)
    }
}
