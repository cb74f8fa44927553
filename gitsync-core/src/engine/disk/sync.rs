//! Making changes of files and directories durable.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::backend::Durability;
use crate::error::Result;

/// Makes the entries of a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<()> {
    Ok(File::open(directory)?.sync_all()?)
}

/// Puts a file in the place of the one of that name, if there is one: after a crash it is the old one or this. Its entry is
/// durable once the directory is.
pub(super) fn replace_file(directory: &Path, name: &str, content: &[u8], durability: Durability) -> Result<()> {
    let temporary = directory.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    if durability == Durability::Engine {
        file.sync_all()?;
    }
    Ok(fs::rename(&temporary, directory.join(name))?)
}

/// Makes the entry of `path` in its directory durable.
pub(super) fn sync_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), sync_directory)
}

/// How many files and directories are made durable at once. File systems do in one go what is asked of them at one time.
const AT_ONCE: usize = 8;

/// Makes a directory with everything below it durable. Symbolic links are not followed.
pub(super) fn sync_tree(directory: &Path) -> Result<()> {
    let mut paths = Vec::new();
    list(directory, &mut paths)?;
    let next = AtomicUsize::new(0);
    let sync_some = || -> Result<()> {
        while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
            File::open(path)?.sync_all()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..AT_ONCE.min(paths.len())).map(|_| scope.spawn(sync_some)).collect();
        let own = sync_some();
        others.into_iter().map(|thread| thread.join().expect("it returns its errors")).fold(own, Result::and)
    })
}

/// Lists a directory after all the files and directories below it.
fn list(directory: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), paths)?;
        } else if kind.is_file() {
            paths.push(entry.path());
        }
    }
    paths.push(directory.to_owned());
    Ok(())
}
