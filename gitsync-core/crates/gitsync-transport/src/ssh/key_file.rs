//! Where the ssh program finds the private key.

use std::fs::File;
use std::path::{Path, PathBuf};

use gitsync_core::Result;
use secrecy::{ExposeSecret as _, SecretString};

use super::private_file;

/// The name of the file, where there has to be one.
const NAME: &str = "key";

/// A private key that the ssh program can open, as long as this is there.
///
/// Where that is possible it is in memory alone, and gone with the process, however that ends. Elsewhere it is a file in the
/// directory in which the program works.
pub(super) struct KeyFile {
    path: PathBuf,
    _memory: Option<File>,
}

impl KeyFile {
    /// Puts a key into memory, or else into the directory.
    pub(super) fn new(key: &SecretString, directory: &Path) -> Result<Self> {
        let key = key.expose_secret().as_bytes();
        if let Some((path, file)) = in_memory(key) {
            return Ok(KeyFile { path, _memory: Some(file) });
        }
        private_file(&directory.join(NAME), key)?;
        Ok(KeyFile { path: NAME.into(), _memory: None })
    }

    /// Returns the name by which the program opens it, from the directory in which it works.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a file that is on no disk, and returns it with the name by which programs of this user open it; `None` if they cannot.
///
/// The name leads through this process: the program closes whatever it would inherit.
#[cfg(target_os = "linux")]
fn in_memory(content: &[u8]) -> Option<(PathBuf, File)> {
    use std::fs::Permissions;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use rustix::fs::{MemfdFlags, memfd_create};

    let mut file = File::from(memfd_create("gitsync-key", MemfdFlags::CLOEXEC).ok()?);
    // The program takes no key that others may read.
    file.set_permissions(Permissions::from_mode(0o600)).ok()?;
    let process = PathBuf::from(format!("/proc/{}/fd", std::process::id()));
    let path = process.join(file.as_raw_fd().to_string());
    // It may be the `/proc` of other processes, or one that shows others nothing of this.
    let (found, ours) = (path.metadata().ok()?, file.metadata().ok()?);
    let is_shown = process.metadata().ok()?.uid() == rustix::process::geteuid().as_raw();
    let is_it = (found.dev(), found.ino()) == (ours.dev(), ours.ino());
    if !is_shown || !is_it {
        return None;
    }
    file.write_all(content).ok()?;
    Some((path, file))
}

#[cfg(not(target_os = "linux"))]
fn in_memory(_content: &[u8]) -> Option<(PathBuf, File)> {
    None
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn another_program_reads_the_key_as_long_as_it_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyFile::new(&"the key\n".into(), directory.path()).unwrap();
        let path = directory.path().join(key.path());
        let read = || Command::new("cat").arg(&path).output().unwrap();
        for _ in 0..2 {
            assert_eq!(read().stdout, b"the key\n");
        }
        if cfg!(target_os = "linux") {
            assert_eq!(directory.path().read_dir().unwrap().count(), 0, "it is in no directory");
            drop(key);
            assert_ne!(read().stdout, b"the key\n");
        }
    }
}
