//! What a checkout is about to do, written down before it is done.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gitsync_core::backend::Durability;
use gitsync_core::model::ObjectId;
use gitsync_core::{Error, ErrorKind, Result};

use crate::files::{read_optional, sync_dir, write_new};

/// The directory of a checkout within the git directory: the journal, and files that are yet to be put in place.
const DIRECTORY: &str = "gitsync-checkout";

/// What stands for no commit.
const NOTHING: &str = "-";

/// From which commit to which a working tree is being brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: Option<ObjectId>,
    pub(super) to: ObjectId,
}

/// The place where a checkout is prepared.
#[derive(Debug)]
pub(super) struct Journal {
    git_dir: PathBuf,
    dir: PathBuf,
}

impl Journal {
    pub(super) fn of(git_dir: &Path) -> Self {
        Journal { git_dir: git_dir.to_owned(), dir: git_dir.join(DIRECTORY) }
    }

    /// Returns a path for a file that is yet to be put in place.
    pub(super) fn prepared(&self, number: usize) -> PathBuf {
        self.dir.join(number.to_string())
    }

    /// Returns a path for the index that is yet to be put in place.
    pub(super) fn prepared_index(&self) -> PathBuf {
        self.dir.join("index")
    }

    /// Tells whether there is anything of a checkout, begun or only prepared.
    pub(super) fn is_there(&self) -> bool {
        self.dir.symlink_metadata().is_ok()
    }

    /// Begins anew with nothing prepared. The journal must have been dealt with.
    pub(super) fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Removes what was prepared, but not the journal.
    pub(super) fn discard_prepared(&self) -> Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path != self.path() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Makes the place.
    pub(super) fn make(&self) -> Result<()> {
        Ok(fs::create_dir(&self.dir)?)
    }

    /// Writes down that the files begin to change.
    pub(super) fn begin(&self, step: Move, durability: Durability) -> Result<()> {
        let from = step.from.map_or_else(|| NOTHING.to_owned(), |id| id.to_string());
        let new = self.dir.join("journal.new");
        write_new(&new, format!("{from} {}\n", step.to).as_bytes(), durability)?;
        fs::rename(&new, self.path())?;
        sync_dir(&self.dir, durability)?;
        Ok(sync_dir(&self.git_dir, durability)?)
    }

    /// Reads which change had begun, if any.
    pub(super) fn read(&self) -> Result<Option<Move>> {
        let Some(text) = read_optional(&self.path())? else { return Ok(None) };
        let corrupt = || Error::new(ErrorKind::Corrupt, "the journal of a checkout cannot be understood");
        let text = String::from_utf8(text).map_err(|error| corrupt().caused_by(error))?;
        let (from, to) = text.trim_end().split_once(' ').ok_or_else(corrupt)?;
        let from = if from == NOTHING { None } else { Some(from.parse()?) };
        Ok(Some(Move { from, to: to.parse()? }))
    }

    /// Writes down that the change is over, before anything else is removed.
    pub(super) fn end(&self, durability: Durability) -> Result<()> {
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            Err(_) => {}
            Ok(()) => sync_dir(&self.dir, durability)?,
        }
        self.clear()?;
        Ok(sync_dir(&self.git_dir, durability)?)
    }

    fn path(&self) -> PathBuf {
        self.dir.join("journal")
    }
}
