//! The index, read and written by gix.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use gitsync_core::model::ObjectFormat;
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_repository::{IndexEntry, Stat};
use gix::index::entry::stat::Time;
use gix::index::entry::{Flags, Mode, Stage};
use gix::index::{State, decode, write};

use crate::convert::{from_gix, hash_kind, to_gix};

/// What an entry has that says more than what is staged.
const SPECIAL: Flags = Flags::INTENT_TO_ADD.union(Flags::SKIP_WORKTREE).union(Flags::ASSUME_VALID);

/// Reads an index.
pub(crate) fn read(path: &Path, format: ObjectFormat) -> Result<Vec<IndexEntry>> {
    let index = gix::index::File::at(path, hash_kind(format), false, decode::Options::default());
    let index = index.map_err(|error| {
        Error::new(ErrorKind::Unsupported, format!("the index cannot be read: {error}")).with("path", path.display())
    })?;
    let entry = |entry: &gix::index::Entry| {
        let stat = &entry.stat;
        Ok(IndexEntry {
            path: entry.path(&index).to_vec(),
            mode: entry.mode.bits(),
            id: from_gix(&entry.id)?,
            stat: Stat {
                ctime: (stat.ctime.secs, stat.ctime.nsecs),
                mtime: (stat.mtime.secs, stat.mtime.nsecs),
                dev: stat.dev,
                ino: stat.ino,
                uid: stat.uid,
                gid: stat.gid,
                size: stat.size,
            },
            is_plain: entry.stage() == Stage::Unconflicted && !entry.flags.intersects(SPECIAL),
        })
    };
    index.entries().iter().map(entry).collect()
}

/// Writes an index to where no file is.
pub(crate) fn write(path: &Path, format: ObjectFormat, entries: &[IndexEntry]) -> Result<()> {
    let mut state = State::new(hash_kind(format));
    for entry in entries {
        let stat = gix::index::entry::Stat {
            ctime: Time { secs: entry.stat.ctime.0, nsecs: entry.stat.ctime.1 },
            mtime: Time { secs: entry.stat.mtime.0, nsecs: entry.stat.mtime.1 },
            dev: entry.stat.dev,
            ino: entry.stat.ino,
            uid: entry.stat.uid,
            gid: entry.stat.gid,
            size: entry.stat.size,
        };
        let mode = Mode::from_bits_truncate(entry.mode);
        state.dangerously_push_entry(stat, to_gix(&entry.id), Flags::empty(), mode, entry.path.as_slice().into());
    }
    let index = gix::index::File::from_state(state, path);
    let mut file = BufWriter::new(File::options().write(true).create_new(true).open(path)?);
    let written = index.write_to(&mut file, write::Options::default());
    written.map_err(|error| Error::new(ErrorKind::Internal, format!("the index cannot be written: {error}")))?;
    Ok(file.flush()?)
}
