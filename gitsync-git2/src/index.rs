//! The index, read and written by libgit2.

use std::path::Path;

use git2::{Index, IndexTime};
use gitsync_core::model::ObjectId;
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_repository::{IndexEntry, Stat};

use crate::convert::to_git2;

/// The bits of an entry's flags that tell its part in a conflict, and that git was told to take the file for unchanged.
const STAGE_OR_ASSUMED_VALID: u16 = 0x3000 | 0x8000;

/// The bits of an entry's further flags by which it is not really staged, or its file not to be there.
const INTENT_TO_ADD_OR_SKIPPED: u16 = 1 << 13 | 1 << 14;

/// Reads an index.
pub(crate) fn read(path: &Path) -> Result<Vec<IndexEntry>> {
    let failed = |error: git2::Error| {
        Error::new(ErrorKind::Unsupported, format!("the index cannot be read: {}", error.message()))
            .with("path", path.display())
            .caused_by(error)
    };
    let index = Index::open(path).map_err(failed)?;
    let entry = |entry: git2::IndexEntry| {
        Ok(IndexEntry {
            mode: entry.mode,
            id: ObjectId::from_bytes(entry.id.as_bytes())?,
            stat: Stat {
                ctime: time_of(&entry.ctime),
                mtime: time_of(&entry.mtime),
                dev: entry.dev,
                ino: entry.ino,
                uid: entry.uid,
                gid: entry.gid,
                size: entry.file_size,
            },
            is_plain: entry.flags & STAGE_OR_ASSUMED_VALID == 0 && entry.flags_extended & INTENT_TO_ADD_OR_SKIPPED == 0,
            path: entry.path,
        })
    };
    index.iter().map(entry).collect()
}

/// Writes an index to where no file is.
pub(crate) fn write(path: &Path, entries: &[IndexEntry]) -> Result<()> {
    let failed = |error: git2::Error| {
        Error::new(ErrorKind::Internal, format!("the index cannot be written: {}", error.message())).caused_by(error)
    };
    let mut index = Index::open(path).map_err(failed)?;
    for entry in entries {
        let id = to_git2(&entry.id).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "this engine does not know SHA-256").with("id", entry.id)
        })?;
        let time = |(seconds, nanoseconds): (u32, u32)| IndexTime::new(seconds as i32, nanoseconds);
        let entry = git2::IndexEntry {
            ctime: time(entry.stat.ctime),
            mtime: time(entry.stat.mtime),
            dev: entry.stat.dev,
            ino: entry.stat.ino,
            mode: entry.mode,
            uid: entry.stat.uid,
            gid: entry.stat.gid,
            file_size: entry.stat.size,
            id,
            flags: 0,
            flags_extended: 0,
            path: entry.path.clone(),
        };
        index.add(&entry).map_err(failed)?;
    }
    index.write().map_err(failed)
}

fn time_of(time: &IndexTime) -> (u32, u32) {
    (time.seconds() as u32, time.nanoseconds())
}
