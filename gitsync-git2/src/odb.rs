//! The objects of a repository, read by libgit2.

use std::path::Path;

use git2::{ErrorCode, ObjectType, OdbLookupFlags};
use gitsync_core::model::ObjectId;
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_repository::{Kind, Objects};

use crate::convert::{to_git2, unreadable};

/// An object database. Nothing but the directory is looked at: no configuration, no replacements.
pub struct Odb {
    odb: git2::Odb<'static>,
    lookup: OdbLookupFlags,
}

impl std::fmt::Debug for Odb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Odb").finish_non_exhaustive()
    }
}

impl Odb {
    /// Opens a directory of objects.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it cannot be read.
    pub fn open(objects: &Path) -> Result<Self> {
        let path = utf8(objects)?;
        let open = || {
            let odb = git2::Odb::new()?;
            odb.add_disk_alternate(path)?;
            Ok(odb)
        };
        let odb = open().map_err(|error| unreadable("the objects cannot be read", error).with("path", path))?;
        Ok(Odb { odb, lookup: OdbLookupFlags::empty() })
    }

    /// Looks at the disk no more for what it does not find.
    #[must_use]
    pub fn that_never_refreshes(mut self) -> Self {
        self.lookup = OdbLookupFlags::NO_REFRESH;
        self
    }
}

impl Objects for Odb {
    fn kind(&self, id: &ObjectId) -> Result<Option<Kind>> {
        let Some(oid) = to_git2(id) else { return Ok(None) };
        if !self.odb.exists_ext(oid, self.lookup) {
            return Ok(None);
        }
        match self.odb.read_header(oid) {
            Ok((_, found)) => kind(found, id).map(Some),
            Err(error) => not_found(error, id),
        }
    }

    fn read(&self, id: &ObjectId, buffer: &mut Vec<u8>) -> Result<Option<Kind>> {
        let Some(oid) = to_git2(id) else { return Ok(None) };
        match self.odb.read(oid) {
            Ok(object) => {
                buffer.clear();
                buffer.extend_from_slice(object.data());
                kind(object.kind(), id).map(Some)
            }
            Err(error) => not_found(error, id),
        }
    }

    fn exists(&self, id: &ObjectId) -> bool {
        to_git2(id).is_some_and(|oid| self.odb.exists_ext(oid, self.lookup))
    }
}

fn not_found<T>(error: git2::Error, id: &ObjectId) -> Result<Option<T>> {
    if error.code() == ErrorCode::NotFound {
        return Ok(None);
    }
    Err(unreadable("an object cannot be read", error).with("id", id))
}

fn kind(kind: ObjectType, id: &ObjectId) -> Result<Kind> {
    match kind {
        ObjectType::Commit => Ok(Kind::Commit),
        ObjectType::Tree => Ok(Kind::Tree),
        ObjectType::Blob => Ok(Kind::Blob),
        ObjectType::Tag => Ok(Kind::Tag),
        _ => Err(Error::new(ErrorKind::Corrupt, "an object is of no kind").with("id", id)),
    }
}

/// Returns a path as libgit2 is given it.
pub(crate) fn utf8(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, "this engine takes directories only whose names are UTF-8")
            .with("path", path.display())
    })
}
