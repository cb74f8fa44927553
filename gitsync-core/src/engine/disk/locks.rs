//! Locks that a dead process left in a repository.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::fence::FenceGuard;
use super::manifest::git_directory;
use crate::backend::CHECKOUT_LOCK_MARK;
use crate::error::Result;

/// How old a lock file must be to count as left behind. Git holds its own for moments.
///
/// The successor of a worker that died holding a lock comes when the lease is over, 60 s after the last heartbeat. The next
/// heartbeat was due 15 s after that one and never came, so the lock is at least 45 s old by then. Half a lease leaves
/// something for clocks that differ: a successor that took the lock for a live one would lose its attempt by it.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(30);

/// Removes old lock files of references, `HEAD` and the configuration, and of the index if an engine made it. Holding the
/// guard means that none of them is a live worker's; the age spares a git program that somebody runs by hand.
///
/// # Errors
/// Those of the file system.
pub fn remove_stale_locks(_permit: &FenceGuard, repository: &Path) -> Result<()> {
    let git_dir = git_directory(repository);
    for name in ["HEAD.lock", "packed-refs.lock", "packed-refs.new", "config.lock", "shallow.lock"] {
        remove_if_stale(&git_dir.join(name), STALE_AFTER);
    }
    let index_lock = git_dir.join("index.lock");
    if fs::read(&index_lock).is_ok_and(|content| content == CHECKOUT_LOCK_MARK) {
        remove_if_stale(&index_lock, STALE_AFTER);
    }
    remove_below(&git_dir.join("refs"))
}

fn remove_below(directory: &Path) -> Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_below(&entry.path())?;
        } else if entry.path().extension().is_some_and(|extension| extension == "lock") {
            remove_if_stale(&entry.path(), STALE_AFTER);
        }
    }
    Ok(())
}

/// Removes a file if it is there and old. One that cannot be removed is reported by whoever needs the lock.
pub(super) fn remove_if_stale(path: &Path, after: Duration) {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    if modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age >= after)) {
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::engine::EngineOptions;
    use crate::engine::disk::Storage;
    use crate::model::RepositoryId;

    #[test]
    fn the_locks_of_a_dead_worker_are_stale_when_its_lease_is_over() {
        let options = EngineOptions::default();
        assert!(STALE_AFTER < options.lease - options.heartbeat_interval);
    }

    #[test]
    fn only_old_locks_go() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open("default".parse().unwrap(), dir.path()).unwrap();
        let fence = storage.fence(RepositoryId(1));
        fence.raise(1).unwrap();
        let repository = dir.path().join("r");
        fs::create_dir_all(repository.join("refs/heads/a")).unwrap();
        let old = SystemTime::now() - STALE_AFTER;
        for (name, is_old) in
            [("packed-refs.lock", true), ("refs/heads/a/b.lock", true), ("HEAD.lock", false), ("HEAD", true)]
        {
            let file = fs::File::create(repository.join(name)).unwrap();
            if is_old {
                file.set_modified(old).unwrap();
            }
        }
        let guard = fence.hold(1).unwrap();
        remove_stale_locks(&guard, &repository).unwrap();
        let there = |name: &str| repository.join(name).exists();
        assert!(!there("packed-refs.lock") && !there("refs/heads/a/b.lock"));
        assert!(there("HEAD.lock") && there("HEAD"));

        for (content, is_old, stays) in
            [(CHECKOUT_LOCK_MARK, true, false), (b"", true, true), (CHECKOUT_LOCK_MARK, false, true)]
        {
            fs::write(repository.join("index.lock"), content).unwrap();
            if is_old {
                fs::File::options().write(true).open(repository.join("index.lock")).unwrap().set_modified(old).unwrap();
            }
            remove_stale_locks(&guard, &repository).unwrap();
            assert_eq!(there("index.lock"), stays, "{}", content.escape_ascii());
        }
    }
}
