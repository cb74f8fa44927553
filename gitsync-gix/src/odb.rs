//! The objects of a repository, read by gix.

use std::path::Path;

use gitsync_core::Result;
use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_repository::{Kind, Objects};
use gix::objs::{Exists as _, Find as _};
use gix::odb::{Handle, Header as _};

use crate::convert::{hash_kind, to_gix, unreadable};

/// An object database.
#[derive(Clone)]
pub struct Odb(Handle);

impl std::fmt::Debug for Odb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Odb").finish_non_exhaustive()
    }
}

impl Odb {
    /// Opens a directory of objects.
    ///
    /// # Errors
    /// [`NotFound`](gitsync_core::ErrorKind::NotFound) if it is not there.
    pub fn open(objects: &Path, format: ObjectFormat) -> Result<Self> {
        // Replacements are a list given here, so refs/replace counts for nothing; gix never reads grafts.
        let options = gix::odb::store::init::Options::default();
        Ok(Odb(gix::odb::at_opts(objects.to_owned(), hash_kind(format), None, options)?))
    }

    /// Returns the one that does not look at the disk again for what it does not find.
    #[must_use]
    pub fn that_never_refreshes(&self) -> Self {
        let mut odb = self.clone();
        odb.0.refresh_never();
        odb
    }

    /// Returns gix's own.
    pub fn handle(&self) -> &Handle {
        &self.0
    }
}

impl Objects for Odb {
    fn kind(&self, id: &ObjectId) -> Result<Option<Kind>> {
        let header = self.0.try_header(&to_gix(id));
        let header = header.map_err(|error| unreadable("an object cannot be read", error).with("id", id))?;
        Ok(header.map(|header| kind(header.kind())))
    }

    fn read(&self, id: &ObjectId, buffer: &mut Vec<u8>) -> Result<Option<Kind>> {
        let found = self.0.try_find(&to_gix(id), buffer);
        let found = found.map_err(|error| unreadable("an object cannot be read", error).with("id", id))?;
        Ok(found.map(|object| kind(object.kind)))
    }

    fn exists(&self, id: &ObjectId) -> bool {
        self.0.exists(&to_gix(id))
    }
}

/// Returns the kind as both engines have it.
pub(crate) fn kind(kind: gix::objs::Kind) -> Kind {
    match kind {
        gix::objs::Kind::Commit => Kind::Commit,
        gix::objs::Kind::Tree => Kind::Tree,
        gix::objs::Kind::Blob => Kind::Blob,
        gix::objs::Kind::Tag => Kind::Tag,
    }
}
