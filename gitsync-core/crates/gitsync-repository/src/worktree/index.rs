//! The index, as engines read and write it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

use gitsync_core::model::ObjectId;

/// What the index says of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The path below the working tree.
    pub path: Vec<u8>,
    /// The kind of the file and whether it is executable, as in trees.
    pub mode: u32,
    /// The content.
    pub id: ObjectId,
    /// The file as it was when it had that content.
    pub stat: Stat,
    /// Whether the entry says nothing else: it is in no conflict, and nobody told git to treat the file in a special way.
    pub is_plain: bool,
}

/// What is remembered of a file, so that its content need not be read to know that it is the same. Numbers are cut to 32
/// bits, as git has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// When its metadata changed, in seconds and nanoseconds.
    pub ctime: (u32, u32),
    /// When its content changed, in seconds and nanoseconds.
    pub mtime: (u32, u32),
    /// The device.
    pub dev: u32,
    /// The number of the file.
    pub ino: u32,
    /// The owner.
    pub uid: u32,
    /// The owner's group.
    pub gid: u32,
    /// The size in bytes.
    pub size: u32,
}

impl Stat {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Stat {
            ctime: (metadata.ctime() as u32, metadata.ctime_nsec() as u32),
            mtime: (metadata.mtime() as u32, metadata.mtime_nsec() as u32),
            dev: metadata.dev() as u32,
            ino: metadata.ino() as u32,
            uid: metadata.uid(),
            gid: metadata.gid(),
            size: metadata.size() as u32,
        }
    }
}
