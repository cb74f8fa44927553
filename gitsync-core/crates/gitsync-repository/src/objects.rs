//! The objects of a repository, as an engine reads them.

use gitsync_core::model::ObjectId;
use gitsync_core::{Error, ErrorKind, Result};

/// The kind of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A commit.
    Commit,
    /// A directory.
    Tree,
    /// The content of a file.
    Blob,
    /// An annotated tag.
    Tag,
}

/// Reads the objects of a repository. Replacements and grafts count for nothing.
///
/// Ids are of the repository's own hash function.
pub trait Objects {
    /// Returns the kind of an object, `None` if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it cannot be read.
    fn kind(&self, id: &ObjectId) -> Result<Option<Kind>>;

    /// Reads an object into the buffer, whose content is lost, and returns its kind; `None` if it is not there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it cannot be read.
    fn read(&self, id: &ObjectId, buffer: &mut Vec<u8>) -> Result<Option<Kind>>;

    /// Tells whether an object is there.
    fn exists(&self, id: &ObjectId) -> bool;
}

/// Reads a commit into the buffer.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it is not there, cannot be read or is no commit.
pub fn read_commit(objects: &impl Objects, id: &ObjectId, buffer: &mut Vec<u8>) -> Result<()> {
    let corrupt = |what: &str| Err(Error::new(ErrorKind::Corrupt, what).with("id", id));
    match objects.read(id, buffer)? {
        Some(Kind::Commit) => Ok(()),
        Some(_) => corrupt("an object is no commit"),
        None => corrupt("a commit is missing"),
    }
}
