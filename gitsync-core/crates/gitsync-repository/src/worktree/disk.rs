//! The files of a working tree. Nothing is ever reached through a symbolic link.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use gitsync_core::backend::Durability;
use gitsync_core::{Error, ErrorKind, Result};

use super::tree::{Mode, TreeEntry, parents};
use crate::files::sync_file;
use crate::objects::{Kind, Objects};

/// The directory that holds the files.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    /// Which directories are real ones, as far as it was looked. Only for as long as nothing is changed.
    directories: HashMap<PathBuf, bool>,
}

impl Disk {
    pub(super) fn new(root: PathBuf) -> Self {
        Disk { root, directories: HashMap::new() }
    }

    pub(super) fn path(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    /// Looks what is at a path; `None` if nothing is, or if a link or a file is on the way there.
    pub(super) fn look(&mut self, path: &[u8]) -> Result<Option<Metadata>> {
        for parent in parents(path) {
            let directory = self.path(parent);
            let is_real = match self.directories.get(&directory) {
                Some(is_real) => *is_real,
                None => {
                    let is_real = metadata(&directory)?.is_some_and(|found| found.is_dir());
                    self.directories.insert(directory, is_real);
                    is_real
                }
            };
            if !is_real {
                return Ok(None);
            }
        }
        metadata(&self.path(path))
    }

    /// Forgets what was seen, since it is being changed.
    pub(super) fn forget(&mut self) {
        self.directories.clear();
    }

    /// Tells whether a file is as a commit has it.
    pub(super) fn is(&self, path: &[u8], found: &Metadata, entry: &TreeEntry, objects: &impl Objects) -> Result<bool> {
        let path = self.path(path);
        match entry.mode {
            Mode::Submodule => Ok(found.is_dir()),
            Mode::Symlink if found.is_symlink() => {
                Ok(read_blob(entry, objects)? == fs::read_link(&path)?.into_os_string().into_vec())
            }
            Mode::File | Mode::Executable if found.is_file() => {
                let is_executable = found.permissions().mode() & 0o100 != 0;
                if is_executable != (entry.mode == Mode::Executable) {
                    return Ok(false);
                }
                let blob = read_blob(entry, objects)?;
                Ok(found.len() == blob.len() as u64 && has_content(&path, &blob)?)
            }
            _ => Ok(false),
        }
    }

    /// Makes the directories that lead to a path. Nothing but directories may be on the way.
    pub(super) fn make_parents(&self, path: &[u8]) -> Result<()> {
        for parent in parents(path) {
            let directory = self.path(parent);
            match metadata(&directory)? {
                Some(found) if found.is_dir() => {}
                Some(_) => return Err(in_the_way(parent)),
                None => DirBuilder::new().create(&directory)?,
            }
        }
        Ok(())
    }

    /// Removes the directories that lead to a path, as far as they are empty.
    pub(super) fn remove_empty_parents(&self, path: &[u8]) {
        let mut directories: Vec<&[u8]> = parents(path).collect();
        while let Some(directory) = directories.pop() {
            if fs::remove_dir(self.path(directory)).is_err() {
                break;
            }
        }
    }
}

/// Something is where a file of the commit is to be.
pub(super) fn in_the_way(path: &[u8]) -> Error {
    Error::new(ErrorKind::Conflict, "something that git does not track is in the way of a checkout")
        .with("path", path.escape_ascii())
        .hint("move it away, or commit it to another branch")
}

/// Looks what is at a path, without following a link there.
pub(super) fn metadata(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes what a commit has at a path to where nothing is, to be moved from there.
pub(super) fn write_entry(to: &Path, entry: &TreeEntry, objects: &impl Objects, durability: Durability) -> Result<()> {
    let mode = match entry.mode {
        Mode::Submodule => return Ok(fs::create_dir(to)?),
        Mode::Symlink => {
            let target = read_blob(entry, objects)?;
            if target.is_empty() || target.contains(&0) {
                return Err(Error::new(ErrorKind::SourceRefused, "the commit has a symbolic link that cannot be made")
                    .with("id", entry.id));
            }
            return Ok(symlink(OsStr::from_bytes(&target), to)?);
        }
        Mode::File => 0o666,
        Mode::Executable => 0o777,
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
    file.write_all(&read_blob(entry, objects)?)?;
    Ok(sync_file(&file, durability)?)
}

fn read_blob(entry: &TreeEntry, objects: &impl Objects) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    match objects.read(&entry.id, &mut content)? {
        Some(Kind::Blob) => Ok(content),
        _ => Err(Error::new(ErrorKind::Corrupt, "the content of a file is missing").with("id", entry.id)),
    }
}

fn has_content(path: &Path, mut expected: &[u8]) -> Result<bool> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        match expected.split_at_checked(read) {
            Some((part, rest)) if part == &buffer[..read] => expected = rest,
            _ => return Ok(false),
        }
        if read == 0 {
            return Ok(expected.is_empty());
        }
    }
}
