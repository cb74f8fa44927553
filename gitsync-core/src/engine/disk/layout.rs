//! Where things are on a storage.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::fence::DiskFence;
use super::flock;
use super::identity;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{DiskId, Repository, RepositoryId, Slug, StorageName, TaskId};

/// A disk that holds repositories: a name that all processes know, and the directory it has on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    name: StorageName,
    root: PathBuf,
    is_shared: bool,
}

impl Storage {
    /// Opens a storage, makes its directories and gives the disk an id if it has none.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the root is not absolute or is no directory; [`ErrorKind::Unsupported`] if a lock (`flock`)
    /// that is held there is given to a second as well; those of the file system.
    pub fn open(name: StorageName, root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        if !root.is_absolute() {
            return Err(Error::new(ErrorKind::InvalidInput, "a storage root is an absolute path")
                .with("storage", name)
                .with("path", root.display()));
        }
        let storage = Storage { name, root, is_shared: false };
        for directory in ["fence", "tmp", "journal", "trash", "aside"] {
            fs::create_dir_all(storage.control(directory))?;
        }
        flock::probe(&storage.temporaries())?;
        identity::identify(&storage.control("disk"))?;
        Ok(storage)
    }

    /// Declares that machines share the storage: locks on its files (`flock`) have to work among all of them. That is believed,
    /// except of a mount whose options say that they do not.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for such a mount; those of the file system.
    pub fn shared(self) -> Result<Self> {
        flock::refuse_local_locks(&self.root)?;
        Ok(Storage { is_shared: true, ..self })
    }

    /// Tells whether machines share the storage.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Returns which disk is there now: another one may have been mounted since the storage was opened, or none.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if there is none, [`ErrorKind::Corrupt`] if its id cannot be understood; those of the file
    /// system.
    pub fn disk(&self) -> Result<DiskId> {
        identity::read(&self.control("disk"))
    }

    /// Returns how many bytes this process could still write.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn free_bytes(&self) -> Result<u64> {
        let room = rustix::fs::statvfs(&self.root).map_err(io::Error::from)?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }

    /// Returns the name.
    pub fn name(&self) -> &StorageName {
        &self.name
    }

    /// Returns the directory that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns where a repository is published.
    pub fn published(&self, repository: &Repository, organisation: &Slug) -> PathBuf {
        repository.path(&self.root, organisation)
    }

    /// Returns the fence of a repository.
    pub fn fence(&self, repository: RepositoryId) -> DiskFence {
        DiskFence::new(self.control("fence").join(repository.to_string()))
    }

    /// Returns where a task makes its clone. Another attempt of the task has another fence, so it never finds remains.
    pub fn temporary(&self, task: TaskId, fence: i64) -> PathBuf {
        self.control("tmp").join(format!("{task}-{fence}"))
    }

    /// Returns the directory of all clones in the making.
    pub(crate) fn temporaries(&self) -> PathBuf {
        self.control("tmp")
    }

    /// Returns the directory of what is being removed.
    pub(crate) fn trash(&self) -> PathBuf {
        self.control("trash")
    }

    /// Returns a place where the old directory of a repository can be set aside. Nothing is there yet, and nothing is removed
    /// from there.
    pub(crate) fn aside(&self, repository: RepositoryId) -> PathBuf {
        self.control("aside").join(format!("{repository}-{}", Uuid::now_v7()))
    }

    /// Returns the directory of all journals.
    pub(crate) fn journals(&self) -> PathBuf {
        self.control("journal")
    }

    /// Returns where the journal of a repository's swap is.
    pub(crate) fn journal(&self, repository: RepositoryId) -> PathBuf {
        self.journals().join(repository.to_string())
    }

    fn control(&self, directory: &str) -> PathBuf {
        self.root.join(".gitsync").join(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_root_is_refused() {
        let error = Storage::open("default".parse().unwrap(), "repos").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_disk_is_itself_wherever_it_is_mounted() {
        let root = tempfile::tempdir().unwrap();
        let open = |name: &str| Storage::open("default".parse().unwrap(), root.path().join(name)).unwrap();
        let disk = open("a").disk().unwrap();
        fs::rename(root.path().join("a"), root.path().join("b")).unwrap();
        assert_eq!(open("b").disk().unwrap(), disk);
        assert_ne!(open("a").disk().unwrap(), disk);
    }

    #[test]
    fn a_disk_that_went_away_is_missed() {
        let root = tempfile::tempdir().unwrap();
        let storage = Storage::open("default".parse().unwrap(), root.path()).unwrap();
        fs::rename(root.path().join(".gitsync"), root.path().join("elsewhere")).unwrap();
        assert_eq!(storage.disk().unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn there_is_some_room() {
        let root = tempfile::tempdir().unwrap();
        let storage = Storage::open("default".parse().unwrap(), root.path()).unwrap();
        let free = storage.free_bytes().unwrap();
        assert!(free > 0 && free < 1 << 60, "{free}");
    }

    #[test]
    fn two_attempts_never_share_a_temporary_directory() {
        let root = tempfile::tempdir().unwrap();
        let storage = Storage::open("default".parse().unwrap(), root.path()).unwrap();
        let task = TaskId::generate();
        assert_ne!(storage.temporary(task, 1), storage.temporary(task, 2));
        assert!(storage.temporary(task, 1).starts_with(root.path().join(".gitsync/tmp")));
    }
}
