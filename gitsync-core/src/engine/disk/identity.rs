//! Which disk it is. A name is what operators call a disk, and two machines may give one name to different disks; the id is
//! on the disk itself.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::fence::DiskFence;
use super::sync::sync_directory;
use crate::error::{Error, ErrorKind, Result};
use crate::model::DiskId;

/// Writes an id into the file unless one is there, and makes that durable. Of processes that do so at once, one writes.
///
/// # Errors
/// Those of the file system; [`ErrorKind::Unavailable`] if somebody holds the lock of the file for more than 30 s.
pub(super) fn identify(path: &Path) -> Result<()> {
    let mut file = DiskFence::new(path.to_owned()).lock()?;
    let mut text = Vec::new();
    (&mut file).take(1024).read_to_end(&mut text)?;
    if parse(&text).is_some() {
        return Ok(());
    }
    // Nothing, or the remains of a crash: nobody has reported an id before it was durable.
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("{}\n", DiskId::generate()).as_bytes())?;
    file.sync_all()?;
    // Its directory, and the storage root, in which that may be new.
    path.ancestors().skip(1).take(2).try_for_each(sync_directory)
}

/// Reads the id.
///
/// # Errors
/// [`ErrorKind::Unavailable`] if it is not there, [`ErrorKind::Corrupt`] if it cannot be understood; those of the file system.
pub(super) fn read(path: &Path) -> Result<DiskId> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Error::new(ErrorKind::Unavailable, "the disk of the storage is not there")
                .with("path", path.display())
                .hint("mount it again, and start the process anew if it is another one"));
        }
        Err(error) => return Err(error.into()),
    };
    parse(&text).ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, "the id of the disk cannot be understood").with("path", path.display())
    })
}

fn parse(text: &[u8]) -> Option<DiskId> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn processes_that_start_at_once_agree_and_so_do_later_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let open = || {
            identify(&path).unwrap();
            read(&path).unwrap()
        };
        let found = thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(found.iter().all(|disk| *disk == found[0]), "{found:?}");
        assert_eq!(open(), found[0]);
    }

    #[test]
    fn remains_of_a_crash_are_no_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::Unavailable);
        for remains in [&b""[..], &[0; 37], b"0198c0de-00", &[0xff; 2000]] {
            fs::write(&path, remains).unwrap();
            assert_eq!(read(&path).unwrap_err().kind(), ErrorKind::Corrupt);
            identify(&path).unwrap();
            let disk = read(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{disk}\n"));
        }
    }
}
