//! Making an empty repository.

use std::fs;
use std::io;
use std::path::Path;

use gitsync_core::backend::{Durability, InitOptions};
use gitsync_core::model::ObjectFormat;
use gitsync_core::{Error, ErrorKind, Result};

use crate::files::{sync_dir, write_new};

/// Makes an empty repository in `dir`.
///
/// Nothing comes from templates: no hook, no description, no exclude list.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if there is something in `dir`.
pub fn init(dir: &Path, options: &InitOptions) -> Result<()> {
    fs::create_dir_all(dir)?;
    if fs::read_dir(dir)?.next().is_some() {
        return Err(Error::new(ErrorKind::AlreadyExists, "the directory is not empty").with("path", dir.display()));
    }
    let git_dir = if options.bare { dir.to_owned() } else { dir.join(".git") };
    for name in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        fs::create_dir_all(git_dir.join(name))?;
    }
    write_new(&git_dir.join("config"), config(options).as_bytes(), options.durability)?;
    let head = [b"ref: ", options.head.as_bytes(), b"\n"].concat();
    // HEAD comes last: without it the directory is no repository yet.
    write_new(&git_dir.join("HEAD"), &head, options.durability)?;
    sync_all(&git_dir, dir, options.durability)?;
    Ok(())
}

fn config(options: &InitOptions) -> String {
    let version = match options.format {
        ObjectFormat::Sha1 => 0,
        ObjectFormat::Sha256 => 1,
    };
    let mut text =
        format!("[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = {}\n", options.bare);
    if !options.bare {
        text.push_str("\tlogallrefupdates = true\n");
    }
    if options.format == ObjectFormat::Sha256 {
        text.push_str("[extensions]\n\tobjectformat = sha256\n");
    }
    text
}

/// Makes the new directories survive a crash, inner ones first.
fn sync_all(git_dir: &Path, dir: &Path, durability: Durability) -> io::Result<()> {
    for name in ["objects/info", "objects/pack", "objects", "refs/heads", "refs/tags", "refs"] {
        sync_dir(&git_dir.join(name), durability)?;
    }
    sync_dir(git_dir, durability)?;
    sync_dir(dir, durability)?;
    // An empty parent means a relative path of one component.
    dir.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), |parent| sync_dir(parent, durability))
}
