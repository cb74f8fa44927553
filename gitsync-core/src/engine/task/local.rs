//! What an attempt looks up and sets up on its own disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Attempt;
use crate::backend::{Durability, PublishPermit};
use crate::engine::disk::{Manifest, Occupant, Storage, discard};
use crate::engine::parts::blocking;
use crate::error::Result;
use crate::model::TaskId;

/// A directory that goes with the last of its clones, unless it was published, which moves it away.
///
/// A future that is dropped leaves its threads behind. Each thread that could make the directory public, or that writes
/// into it without being stopped, owns a clone: what is published is never being removed. An engine's thread that fetches
/// into it may find it gone, or leave something where it was; nobody publishes that, for the next attempt has a name of its
/// own, and the janitor removes it.
#[derive(Clone)]
pub(super) struct Temporary(Arc<Directory>);

struct Directory {
    storage: Storage,
    path: PathBuf,
}

/// The right to change a directory that nobody else knows yet.
impl PublishPermit for Temporary {
    fn durability(&self) -> Durability {
        Durability::Caller
    }
}

impl Temporary {
    fn new(storage: Storage, path: PathBuf) -> Self {
        Temporary(Arc::new(Directory { storage, path }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed now, or after a crash, is left to the janitor.
        let _ = discard(&self.storage, &self.path);
    }
}

impl Attempt {
    /// Makes this attempt's own directory, outside of what is published.
    pub(super) async fn temporary(&self) -> Result<Temporary> {
        let path = self.storage.temporary(self.started.task.id, self.started.work.fence);
        let temporary = Temporary::new(self.storage.clone(), path);
        blocking(move || {
            fs::create_dir_all(temporary.path())?;
            Ok(temporary)
        })
        .await
    }

    /// Finds out whose the directory is that is where the repository is published.
    pub(super) async fn occupant(&self) -> Result<Occupant> {
        let (published, repository) = (self.published.clone(), self.started.repository.id);
        blocking(move || Occupant::of(&published, repository)).await
    }

    /// Returns what the published directory says of itself; `None` if nothing of ours is there.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) if it cannot be understood,
    /// [`ErrorKind::AlreadyExists`](crate::ErrorKind::AlreadyExists) if the directory is another repository's.
    pub(super) async fn manifest(&self) -> Result<Option<Manifest>> {
        match self.occupant().await? {
            Occupant::Own(manifest) => Ok(Some(manifest)),
            Occupant::Nobody | Occupant::Unmarked => Ok(None),
            other @ (Occupant::Other(_) | Occupant::Damaged) => Err(other.in_the_way(&self.published)),
        }
    }

    /// Tells whether an earlier attempt at this task got as far as publishing.
    pub(super) async fn is_published_by_this_task(&self) -> Result<bool> {
        Ok(self.manifest().await?.is_some_and(|manifest| manifest.task == self.started.task.id))
    }

    /// Adds up the sizes of the repository's files.
    pub(super) async fn size_on_disk(&self) -> Result<i64> {
        let published = self.published.clone();
        blocking(move || Ok(i64::try_from(size_of_tree(&published)?).unwrap_or(i64::MAX))).await
    }
}

/// Removes what earlier attempts at a task left unfinished. They are over: the fence has been raised.
pub(super) fn remove_temporaries_of(storage: &Storage, task: TaskId) -> Result<()> {
    let prefix = format!("{task}-");
    for entry in fs::read_dir(storage.temporaries())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            // What cannot be removed now is left to the janitor.
            let _ = discard(storage, &entry.path());
        }
    }
    Ok(())
}

fn size_of_tree(directory: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // A file that vanishes meanwhile (git's own upkeep, by hand) counts nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        total += if metadata.is_dir() { size_of_tree(&entry.path()).unwrap_or(0) } else { metadata.len() };
    }
    Ok(total)
}
