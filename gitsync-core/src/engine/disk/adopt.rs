//! Taking over the objects of another repository.

use std::fs;
use std::io;
use std::path::Path;

use super::manifest::git_directory;
use super::sync::sync_directory;
use crate::error::Result;

/// Gives a repository all objects of another one on the same disk: packs and loose objects are linked, or copied where
/// links are not to be had. Objects never change, so sharing the files is safe, and either may remove its own. What is no
/// repository has none.
///
/// # Errors
/// Those of the file system.
pub fn adopt_objects(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (git_directory(from).join("objects"), git_directory(to).join("objects"));
    let entries = match fs::read_dir(&from) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let holds_objects = name == "pack" || name.len() == 2;
        if holds_objects && entry.file_type()?.is_dir() {
            fs::create_dir_all(to.join(&name))?;
            link_files(&entry.path(), &to.join(&name))?;
        }
    }
    sync_directory(&to)
}

fn link_files(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_file() && !target.exists() && fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), &target)?;
        }
    }
    sync_directory(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_loose_objects_come_along_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for (path, text) in [("pack/pack-1.pack", "p"), ("ab/cdef", "l"), ("info/alternates", "elsewhere")] {
            let path = from.join("objects").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(to.join("objects/pack")).unwrap();
        adopt_objects(&from, &to).unwrap();
        adopt_objects(&from, &to).unwrap();
        adopt_objects(&dir.path().join("nothing"), &to).unwrap();
        assert_eq!(fs::read(to.join("objects/pack/pack-1.pack")).unwrap(), b"p");
        assert_eq!(fs::read(to.join("objects/ab/cdef")).unwrap(), b"l");
        assert!(!to.join("objects/info").exists());
    }
}
