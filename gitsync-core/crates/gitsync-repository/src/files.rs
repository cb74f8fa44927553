//! Lock files as git has them, and writing that survives a crash.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use gitsync_core::backend::Durability;
use gitsync_core::{Error, ErrorKind, Result};

/// How long somebody else's lock is waited for.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);

/// A `<path>.lock` that this process holds. Dropping it removes the file.
#[derive(Debug)]
pub struct Lock {
    /// `None` once the file was renamed away.
    path: Option<PathBuf>,
    target: PathBuf,
}

impl Lock {
    /// Creates the lock file of `target` exclusively, as git does, waiting up to `wait`.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if somebody else holds it all the time.
    pub fn take(target: &Path, wait: Duration) -> Result<Self> {
        let mut path = OsString::from(target);
        path.push(".lock");
        let path = PathBuf::from(path);
        let until = Instant::now() + wait;
        loop {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(Lock { path: Some(path), target: target.to_owned() }),
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
                Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(10)),
                Err(_) => {
                    return Err(Error::new(ErrorKind::Timeout, "another program holds a lock in the repository")
                        .with("file", path.display())
                        .hint(
                            "if no git program is at work in the repository, a crashed one left the file: remove it",
                        ));
                }
            }
        }
    }

    /// Writes what will be the locked file.
    pub fn write(&self, content: &[u8], durability: Durability) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
        file.write_all(content)?;
        sync_file(&file, durability)
    }

    /// Puts what was written in the place of the locked file, and ends the lock.
    pub fn publish(mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, &self.target)?;
            self.path = None;
        }
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nothing can be done about a failure here; the next one to need the lock reports it.
            fs::remove_file(path).ok();
        }
    }
}

/// Fsyncs a directory, so that names made, renamed or removed in it are safe, unless the caller does that.
pub fn sync_dir(dir: &Path, durability: Durability) -> io::Result<()> {
    match durability {
        Durability::Engine => File::open(dir)?.sync_all(),
        Durability::Caller => Ok(()),
    }
}

/// Fsyncs a file, unless the caller does that.
pub fn sync_file(file: &File, durability: Durability) -> io::Result<()> {
    match durability {
        Durability::Engine => file.sync_all(),
        Durability::Caller => Ok(()),
    }
}

/// Writes a file that does not exist.
pub fn write_new(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    sync_file(&file, durability)
}

/// Reads a file that need not be there.
pub fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        // A directory in the place of `a` (for `a/b`), or a file in the place of its parent: no such file either way.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
