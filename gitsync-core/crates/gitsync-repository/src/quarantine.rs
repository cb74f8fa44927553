//! Where a pack is received, out of everybody's sight.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gitsync_core::backend::Durability;
use gitsync_core::{Error, ErrorKind, Result};

use crate::files::{sync_dir, sync_file};

/// How the directories are named. `git prune` takes what begins like this for its own, and removes it when it is old.
const PREFIX: &str = "tmp_objdir-gitsync-";

/// How old a directory that nobody holds must be to count as left by a crash: it is locked right after it is made.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// A directory next to the objects. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub struct Quarantine {
    dir: PathBuf,
    objects: PathBuf,
    /// Tells others that the directory is in use, for as long as the process lives.
    _lock: File,
}

impl Quarantine {
    /// Makes a directory, and removes those that crashes left.
    pub fn new(git_dir: &Path) -> Result<Self> {
        let objects = git_dir.join("objects");
        remove_stale(&objects)?;
        static MADE: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = objects.join(format!("{PREFIX}{}-{now:x}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&dir)?;
        let lock = File::open(&dir)?;
        lock.try_lock().map_err(io::Error::from)?;
        let quarantine = Quarantine { dir, objects, _lock: lock };
        fs::create_dir(quarantine.pack_dir())?;
        Ok(quarantine)
    }

    /// Returns where the pack goes.
    pub fn pack_dir(&self) -> PathBuf {
        self.dir.join("pack")
    }

    /// Returns the directory, which is one of objects: those that were received, and no others.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Moves a pack to the others and returns its name.
    pub fn publish(self, pack: &Path, index: &Path, durability: Durability) -> Result<String> {
        let to = self.objects.join("pack");
        fs::create_dir_all(&to)?;
        let target = |of: &Path| of.file_name().map(|name| to.join(name));
        let (Some(new_pack), Some(new_index)) = (target(pack), target(index)) else {
            return Err(Error::new(ErrorKind::Internal, "a pack has no name"));
        };
        for file in [pack, index] {
            // As git has it: read by whoever may read the repository, written by nobody.
            fs::set_permissions(file, Permissions::from_mode(0o444))?;
            sync_file(&File::open(file)?, durability)?;
        }
        // The index makes it visible, so that comes last.
        fs::rename(pack, &new_pack)?;
        if let Err(error) = fs::rename(index, &new_index) {
            if !new_index.exists() {
                fs::remove_file(&new_pack).ok();
            }
            return Err(error.into());
        }
        sync_dir(&to, durability)?;
        let name = new_pack.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        name.ok_or_else(|| Error::new(ErrorKind::Internal, "a pack has no name"))
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        // What cannot be removed now is removed by a later fetch, or by git.
        fs::remove_dir_all(&self.dir).ok();
    }
}

fn remove_stale(objects: &Path) -> io::Result<()> {
    for entry in fs::read_dir(objects)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            continue;
        }
        let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > STALE_AFTER)
            && let Ok(dir) = File::open(entry.path())
            && dir.try_lock().is_ok()
        {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    Ok(())
}
