//! Opening a repository in isolation.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gitsync_core::model::{ObjectFormat, ObjectId};
use gitsync_core::{Error, ErrorKind, Result};

use crate::convert::{hash_kind, to_gix, unreadable};

/// An open repository.
///
/// Only the repository's own `config` is read, without what it includes, and of it only what says how objects and
/// references are stored. No other configuration, no environment variable, no hook, replace reference or graft has any
/// effect.
pub struct Repository {
    git_dir: PathBuf,
    format: ObjectFormat,
    shallow: HashSet<gix::ObjectId>,
    odb: gix::odb::Handle,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("git_dir", &self.git_dir)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Opens the repository in `dir`: a bare one, or one with a working tree and a `.git` directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is none, [`ErrorKind::Unsupported`] if it is stored in a way this engine does not
    /// know, [`ErrorKind::Corrupt`] if its configuration or `shallow` file cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let git_dir = [dir.join(".git"), dir.to_owned()]
            .into_iter()
            .find(|candidate| is_git_dir(candidate))
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no git repository").with("path", dir.display()))?;
        let format = stored_format(&git_dir).map_err(|error| error.with("path", dir.display()))?;
        // Replacements are a list given here, so refs/replace counts for nothing; gix never reads grafts.
        let odb = gix::odb::at_opts(
            git_dir.join("objects"),
            hash_kind(format),
            None,
            gix::odb::store::init::Options::default(),
        )?;
        let shallow = read_shallow(&git_dir, format)?;
        Ok(Repository { git_dir, format, shallow, odb })
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
    pub fn shallow(&self) -> &HashSet<gix::ObjectId> {
        &self.shallow
    }

    /// Returns the object database.
    pub fn odb(&self) -> &gix::odb::Handle {
        &self.odb
    }

    /// Returns the id for a lookup in this repository.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is of the other format: gix must not be asked for such an id.
    pub fn local_id(&self, id: &ObjectId) -> Result<gix::ObjectId> {
        if id.format() != self.format {
            return Err(Error::new(ErrorKind::InvalidInput, "the id is not of the repository's object format")
                .with("id", id)
                .with("format", self.format.as_str()));
        }
        Ok(to_gix(id))
    }
}

fn is_git_dir(dir: &Path) -> bool {
    // HEAD may be a dangling symbolic link in very old repositories, hence no `exists`.
    dir.join("HEAD").symlink_metadata().is_ok() && dir.join("objects").is_dir() && dir.join("refs").is_dir()
}

fn stored_format(git_dir: &Path) -> Result<ObjectFormat> {
    let path = git_dir.join("config");
    if !path.exists() {
        return Ok(ObjectFormat::Sha1);
    }
    let config = gix::config::File::from_path_no_includes(path, gix::config::Source::Local)
        .map_err(|error| unreadable("the repository's config cannot be read", error))?;
    let text = |key: &str| config.string(key).map(|value| value.to_string().to_ascii_lowercase());
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

fn read_shallow(git_dir: &Path, format: ObjectFormat) -> Result<HashSet<gix::ObjectId>> {
    let text = match fs::read(git_dir.join("shallow")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(error.into()),
    };
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let ids = lines.map(|line| match ObjectId::from_hex(line.trim_ascii()) {
        Ok(id) if id.format() == format => Ok(to_gix(&id)),
        _ => Err(Error::new(ErrorKind::Corrupt, "the repository's shallow file holds something that is no id")),
    });
    ids.collect()
}
