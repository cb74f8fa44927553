//! Whether locks on a storage's files (`flock`) can be relied on, as far as that can be told from one machine.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};

/// Where Linux lists what is mounted.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Options of mounts by which other machines do not see locks: of NFS, of SMB, of Lustre, of GFS2 and OCFS2.
const LOCAL_LOCKS: [&str; 6] = ["nolock", "local_lock=flock", "local_lock=all", "nobrl", "localflock", "localflocks"];

/// Finds out whether a lock that is held is refused to who opens the file anew.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if it is not; those of the file system.
pub(super) fn probe(directory: &Path) -> Result<()> {
    // Nobody else has this file, so nobody is waited for.
    let path = directory.join(format!("probe-{}", Uuid::now_v7()));
    let held = File::create(&path)?;
    let refused = refuses_a_second(&held, &path);
    fs::remove_file(&path)?;
    if refused? {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "locks on files do nothing on this file system")
        .with("path", directory.display())
        .hint("put the storage on a file system on which flock works"))
}

fn refuses_a_second(held: &File, path: &Path) -> Result<bool> {
    held.lock()?;
    match File::open(path)?.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Refuses a directory whose mount says that other machines do not see its locks. One that says nothing is believed.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for such a mount; those of the file system.
pub(super) fn refuse_local_locks(directory: &Path) -> Result<()> {
    let device = fs::metadata(directory)?.dev();
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    // Only Linux has it.
    let mounts = fs::read_to_string(MOUNTS).unwrap_or_default();
    match local_locks(&mounts, &device) {
        None => Ok(()),
        Some(option) => Err(Error::new(ErrorKind::Unsupported, "other machines do not see locks on this file system")
            .with("path", directory.display())
            .with("mounted_with", option)
            .hint("mount it without that option, or do not declare the storage shared")),
    }
}

/// Returns the option by which a device, as `major:minor`, is mounted with locks that only this machine sees.
fn local_locks(mounts: &str, device: &str) -> Option<&'static str> {
    let of_device = mounts.lines().filter(|line| line.split(' ').nth(2) == Some(device));
    // The options of the file system come last; some are among those of the mount.
    let mut options = of_device.flat_map(|line| line.split([' ', ',']));
    options.find_map(|option| LOCAL_LOCKS.into_iter().find(|local| *local == option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_work_here_and_a_probe_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        probe(dir.path()).unwrap();
        refuse_local_locks(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_that_nobody_holds_is_not_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        let held = File::create(&one).unwrap();
        File::create(&other).unwrap();
        assert!(!refuses_a_second(&held, &other).unwrap());
        assert!(refuses_a_second(&held, &one).unwrap());
    }

    #[test]
    fn mounts_say_when_locks_stay_on_the_machine() {
        let nfs = |options: &str| {
            format!(
                "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                 90 22 0:52 / /srv/nolock rw,relatime shared:40 - nfs4 server:/export rw,vers=4.2,{options},addr=10.0.0.1\n"
            )
        };
        let find = |options: &str, device: &str| local_locks(&nfs(options), device);
        assert_eq!(find("local_lock=none", "0:52"), None);
        assert_eq!(find("local_lock=posix", "0:52"), None);
        for option in LOCAL_LOCKS {
            assert_eq!(find(option, "0:52"), Some(option));
            assert_eq!(find(option, "8:1"), None);
        }
    }
}
