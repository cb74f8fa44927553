//! Whether a file system is one that a database can live on.

use std::path::Path;

use gitsync_core::{Error, ErrorKind, Result};

/// Refuses a directory on a network file system: the database would share memory and locks with processes of other
/// machines, which do not see them.
///
/// # Errors
/// [`ErrorKind::Unsupported`].
pub(crate) fn check_local(directory: &Path) -> Result<()> {
    match network_file_system(directory)? {
        None => Ok(()),
        Some(name) => Err(Error::new(ErrorKind::Unsupported, "the database would be on a network file system")
            .with("directory", directory.display())
            .with("file_system", name)
            .hint("keep it on a local disk; to share it between machines, use the Postgres store")),
    }
}

#[cfg(target_os = "linux")]
fn network_file_system(directory: &Path) -> Result<Option<&'static str>> {
    let kind = rustix::fs::statfs(directory).map_err(|error| Error::from(std::io::Error::from(error)))?.f_type;
    Ok(network_name(kind))
}

/// The magic numbers of statfs(2).
#[cfg(target_os = "linux")]
fn network_name(magic: rustix::fs::FsWord) -> Option<&'static str> {
    // The type of the word differs between machines, its low 32 bits do not.
    match magic as u64 & 0xffff_ffff {
        0x6969 => Some("nfs"),
        0x517b => Some("smb"),
        0xff53_4d42 => Some("cifs"),
        0xfe53_4d42 => Some("smb2"),
        0x00c3_6400 => Some("ceph"),
        0x5346_414f => Some("afs"),
        0x0bd0_0bd0 => Some("lustre"),
        0x4750_4653 => Some("gpfs"),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn network_file_system(_directory: &Path) -> Result<Option<&'static str>> {
    Ok(None)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_directory_is_local_and_nfs_is_not() {
        assert!(check_local(&std::env::temp_dir()).is_ok());
        assert_eq!(network_name(0x6969), Some("nfs"));
        assert_eq!(network_name(0xef53), None, "ext4");
    }
}
