//! Opening a repository in isolation.

use std::path::Path;

use git2::Config;
use gitsync_core::Result;
use gitsync_core::model::ObjectFormat;
use gitsync_repository::{find_git_dir, require_sha1, stored_format};

use crate::convert::unreadable;
use crate::odb::Odb;

/// An open repository.
///
/// Only the repository's own `config` is read, and of it only what says how objects and references are stored. No other
/// configuration, no environment variable, no hook, replace reference or graft has any effect.
pub type Repository = gitsync_repository::Repository<Odb>;

/// Opens the repository in `dir`: a bare one, or one with a working tree and a `.git` directory.
///
/// # Errors
/// [`NotFound`](gitsync_core::ErrorKind::NotFound) if there is none, [`Unsupported`](gitsync_core::ErrorKind::Unsupported) if
/// it is stored in a way this engine does not know, [`Corrupt`](gitsync_core::ErrorKind::Corrupt) if its configuration or
/// `shallow` file cannot be read.
pub fn open(dir: &Path) -> Result<Repository> {
    let git_dir = find_git_dir(dir)?;
    let format = format_of(&git_dir).and_then(|format| require_sha1(format).map(|()| format));
    let format = format.map_err(|error| error.with("path", dir.display()))?;
    let odb = Odb::open(&git_dir.join("objects"))?;
    Repository::new(git_dir, format, odb)
}

fn format_of(git_dir: &Path) -> Result<ObjectFormat> {
    let path = git_dir.join("config");
    if !path.exists() {
        return Ok(ObjectFormat::Sha1);
    }
    let config = Config::open(&path);
    let config = config.map_err(|error| unreadable("the repository's config cannot be read", error))?;
    stored_format(|key| config.get_string(key).ok())
}
