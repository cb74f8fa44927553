//! Who may publish: a number on disk that only rises, read and compared under a file lock.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::sync::sync_parent;
use crate::backend::PublishPermit;
use crate::error::{Error, ErrorKind, Result};

/// How long somebody else's file work is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// How often a held lock is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The fence of one repository.
///
/// A task raises it to the number its start was given before it reads anything, and takes the lock and compares again
/// before everything it publishes. A worker that was outrun finds a higher number and changes nothing. The file stays when
/// its repository goes, since ids are not given twice: a worker that wakes up after the deletion finds its end there.
#[derive(Clone, Debug)]
pub struct DiskFence {
    path: PathBuf,
}

/// The lock of a fence, held until dropped: the right to publish.
#[derive(Debug)]
pub struct FenceGuard {
    locked: File,
    number: Option<i64>,
}

impl PublishPermit for FenceGuard {}

impl FenceGuard {
    /// Returns the number on disk, which does not change while the lock is held: attempts below it publish nothing more.
    pub fn number(&self) -> Option<i64> {
        self.number
    }

    /// Returns the locked file, for a program that is to hold the lock as long as it runs.
    pub(crate) fn into_lock(self) -> File {
        self.locked
    }
}

impl DiskFence {
    pub(super) fn new(path: PathBuf) -> Self {
        DiskFence { path }
    }

    /// Raises the fence to `number` and makes that durable.
    ///
    /// # Errors
    /// [`ErrorKind::LeaseLost`] if it is higher already; [`ErrorKind::Unavailable`] if somebody holds the lock for more
    /// than 30 s.
    pub fn raise(&self, number: i64) -> Result<()> {
        let mut file = self.lock()?;
        let found = read_number(&mut file)?;
        if found.is_some_and(|found| found > number) {
            return Err(outrun(number, found));
        }
        file.seek(SeekFrom::Start(0))?;
        // One small write of fixed width: after a crash the old or the new number is there.
        file.write_all(format!("{number:020}\n").as_bytes())?;
        file.sync_all()?;
        sync_parent(&self.path)
    }

    /// Takes the lock if the fence is still at `number`.
    ///
    /// # Errors
    /// As [`DiskFence::raise`].
    pub fn hold(&self, number: i64) -> Result<FenceGuard> {
        let mut file = self.lock()?;
        let found = read_number(&mut file)?;
        if found != Some(number) {
            return Err(outrun(number, found));
        }
        Ok(FenceGuard { locked: file, number: found })
    }

    /// Takes the lock whatever the number is, the right to tidy up while nobody publishes; `None` if somebody does.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn hold_for_upkeep(&self) -> Result<Option<FenceGuard>> {
        let Some(mut file) = self.try_lock()? else { return Ok(None) };
        let number = read_number(&mut file)?;
        Ok(Some(FenceGuard { locked: file, number }))
    }

    /// Returns where the number is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock of the file, which is made if it is not there.
    pub(super) fn lock(&self) -> Result<File> {
        let give_up_at = Instant::now() + LOCK_PATIENCE;
        loop {
            if let Some(file) = self.try_lock()? {
                return Ok(file);
            }
            if Instant::now() >= give_up_at {
                return Err(Error::new(ErrorKind::Unavailable, "another worker is busy with the repository's files")
                    .with("lock", self.path.display())
                    .hint("it is tried again; if it stays so, look for a hanging process that has this file open"));
            }
            thread::sleep(LOCK_RETRY);
        }
    }

    fn try_lock(&self) -> Result<Option<File>> {
        loop {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&self.path)?;
            match file.try_lock() {
                // Locked, but perhaps a file that somebody removed meanwhile: then the fence is another one.
                Ok(()) if self.is_at_path(&file)? => return Ok(Some(file)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
    }

    fn is_at_path(&self, file: &File) -> Result<bool> {
        let ours = file.metadata()?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok(there.ino() == ours.ino() && there.dev() == ours.dev()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn read_number(file: &mut File) -> Result<Option<i64>> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(64).read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

fn outrun(number: i64, found: Option<i64>) -> Error {
    let error = Error::new(ErrorKind::LeaseLost, "another worker has taken over the repository").with("fence", number);
    match found {
        Some(found) => error.with("found", found),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fence() -> (tempfile::TempDir, DiskFence) {
        let dir = tempfile::tempdir().unwrap();
        let fence = DiskFence::new(dir.path().join("7"));
        (dir, fence)
    }

    #[test]
    fn the_number_only_rises() {
        let (_dir, fence) = fence();
        fence.raise(1).unwrap();
        fence.raise(5).unwrap();
        fence.raise(5).unwrap();
        assert_eq!(fence.raise(4).unwrap_err().kind(), ErrorKind::LeaseLost);
        assert!(fence.hold(5).is_ok());
        assert_eq!(fence.hold(4).unwrap_err().kind(), ErrorKind::LeaseLost);
    }

    #[test]
    fn nobody_raises_while_somebody_publishes() {
        let (_dir, fence) = fence();
        fence.raise(1).unwrap();
        let guard = fence.hold(1).unwrap();
        let other = thread::spawn({
            let fence = fence.clone();
            move || fence.raise(2)
        });
        assert!(File::open(&fence.path).unwrap().try_lock().is_err());
        drop(guard);
        other.join().unwrap().unwrap();
        assert_eq!(fence.hold(1).unwrap_err().kind(), ErrorKind::LeaseLost);
    }

    #[test]
    fn upkeep_waits_for_nobody_and_sees_the_number() {
        let (_dir, fence) = fence();
        fence.raise(3).unwrap();
        let guard = fence.hold_for_upkeep().unwrap().unwrap();
        assert_eq!(guard.number(), Some(3));
        assert!(fence.hold_for_upkeep().unwrap().is_none());
    }

    #[test]
    fn a_fence_that_somebody_removed_is_nobodys_right() {
        let (_dir, fence) = fence();
        fence.raise(3).unwrap();
        fs::remove_file(&fence.path).unwrap();
        assert_eq!(fence.hold(3).unwrap_err().kind(), ErrorKind::LeaseLost);
        fence.raise(4).unwrap();
        assert!(fence.hold(4).is_ok());
    }
}
