//! A repository that an engine has opened.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::{Error, ErrorKind, Result};

use crate::id_map::IdSet;

/// An open repository, with the engine's way to its objects.
pub struct Repository<O> {
    git_dir: PathBuf,
    format: ObjectFormat,
    shallow: IdSet,
    objects: O,
}

impl<O> std::fmt::Debug for Repository<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("git_dir", &self.git_dir)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl<O> Repository<O> {
    /// Takes a directory that [`find_git_dir`] found, and what the engine made of it.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the `shallow` file cannot be understood.
    pub fn new(git_dir: PathBuf, format: ObjectFormat, objects: O) -> Result<Self> {
        let shallow = read_shallow(&git_dir, format)?;
        Ok(Repository { git_dir, format, shallow, objects })
    }

    /// Returns the directory that holds `HEAD`, `refs` and `objects`.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// Returns the hash function the objects are named with.
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Returns the commits whose parents were left out when a limited depth was fetched.
    pub fn shallow(&self) -> &IdSet {
        &self.shallow
    }

    /// Returns the objects.
    pub fn objects(&self) -> &O {
        &self.objects
    }

    /// Returns the id for a lookup in this repository.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is of the other format: no engine must be asked for such an id.
    pub fn local_id(&self, id: &ObjectId) -> Result<ObjectId> {
        if id.format() != self.format {
            return Err(Error::new(ErrorKind::InvalidInput, "the id is not of the repository's object format")
                .with("id", id)
                .with("format", self.format.as_str()));
        }
        Ok(*id)
    }
}

/// Finds the repository in `dir`: a bare one, or one with a working tree and a `.git` directory.
///
/// # Errors
/// [`ErrorKind::NotFound`] if there is none.
pub fn find_git_dir(dir: &Path) -> Result<PathBuf> {
    [dir.join(".git"), dir.to_owned()]
        .into_iter()
        .find(|candidate| is_git_dir(candidate))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no git repository").with("path", dir.display()))
}

fn is_git_dir(dir: &Path) -> bool {
    // HEAD may be a dangling symbolic link in very old repositories, hence no `exists`.
    dir.join("HEAD").symlink_metadata().is_ok() && dir.join("objects").is_dir() && dir.join("refs").is_dir()
}

/// Tells what the objects are named with, from the settings of the repository's own `config`: `setting` returns one, such as
/// `core.repositoryFormatVersion`.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if it is stored in a way that no engine knows.
pub fn stored_format(setting: impl Fn(&str) -> Option<String>) -> Result<ObjectFormat> {
    let text = |key: &str| setting(key).map(|value| value.to_ascii_lowercase());
    let unsupported = |what: &str, value: &str| {
        Err(Error::new(ErrorKind::Unsupported, format!("the repository's {what} is not supported"))
            .with("value", value))
    };
    // Extensions count from version 1 on.
    match text("core.repositoryFormatVersion").as_deref() {
        None | Some("0") => return Ok(ObjectFormat::Sha1),
        Some("1") => {}
        Some(other) => return unsupported("format version", other),
    }
    match text("extensions.refStorage").as_deref() {
        None | Some("files") => {}
        Some(other) => return unsupported("reference storage", other),
    }
    match text("extensions.objectFormat").as_deref() {
        None | Some("sha1") => Ok(ObjectFormat::Sha1),
        Some("sha256") => Ok(ObjectFormat::Sha256),
        Some(other) => unsupported("object format", other),
    }
}

/// Refuses SHA-256, for engines that do not know it.
///
/// # Errors
/// [`ErrorKind::Unsupported`].
pub fn require_sha1(format: ObjectFormat) -> Result<()> {
    match format {
        ObjectFormat::Sha1 => Ok(()),
        ObjectFormat::Sha256 => Err(Error::new(ErrorKind::Unsupported, "this engine does not know SHA-256")
            .hint("use the engine gix for repositories whose object format is sha256")),
    }
}

/// Reads the `shallow` file of a repository, which need not be there.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if it cannot be understood.
pub fn read_shallow(git_dir: &Path, format: ObjectFormat) -> Result<IdSet> {
    let text = match fs::read(git_dir.join("shallow")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(IdSet::default()),
        Err(error) => return Err(error.into()),
    };
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let ids = lines.map(|line| match ObjectId::from_hex(line.trim_ascii()) {
        Ok(id) if id.format() == format => Ok(id),
        _ => Err(Error::new(ErrorKind::Corrupt, "the repository's shallow file holds something that is no id")),
    });
    ids.collect()
}
