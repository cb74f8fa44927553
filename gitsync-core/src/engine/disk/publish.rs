//! How repositories appear, are replaced and vanish: whole, or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fence::FenceGuard;
use super::layout::Storage;
use super::manifest::Occupant;
use super::sync::{sync_parent, sync_tree};
use crate::error::{Error, ErrorKind, Result};
use crate::model::RepositoryId;

/// Publishes a finished directory where nothing is. Everything in it is durable first. Holding the guard is the right to.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if something is there.
pub fn publish_new(_permit: &FenceGuard, finished: &Path, published: &Path) -> Result<()> {
    sync_tree(finished)?;
    let organisation = published.parent().unwrap_or(published);
    fs::create_dir_all(organisation)?;
    sync_parent(organisation)?;
    rename_exclusively(finished, published)?;
    sync_parent(published)
}

/// Publishes a finished directory in place of another, which goes to the trash. There is no moment without a repository
/// where the system can exchange two names; elsewhere a journal makes the two renames as good as one.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if another repository's directory is there; those of the file system.
pub fn replace_published(
    _permit: &FenceGuard,
    storage: &Storage,
    repository: RepositoryId,
    finished: &Path,
    published: &Path,
) -> Result<()> {
    let occupant = Occupant::of(published, repository)?;
    if matches!(occupant, Occupant::Other(_)) {
        return Err(occupant.in_the_way(published));
    }
    sync_tree(finished)?;
    match renameat_with(CWD, finished, CWD, published, RenameFlags::EXCHANGE) {
        Ok(()) => {
            sync_parent(published)?;
            sync_parent(finished)?;
            discard(storage, finished)
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            Swap::new(storage, finished, published).carry_out(storage, repository)
        }
        Err(errno) => Err(std::io::Error::from(errno).into()),
    }
}

/// Takes the directory of a repository away, and tells whether nothing is left at its place. A directory that is not the
/// repository's, by its manifest or for want of one, is left alone.
///
/// # Errors
/// Those of the file system.
pub fn remove_published(
    _permit: &FenceGuard,
    storage: &Storage,
    repository: RepositoryId,
    published: &Path,
) -> Result<bool> {
    match Occupant::of(published, repository)? {
        Occupant::Own(_) | Occupant::Damaged => discard(storage, published)?,
        Occupant::Nobody => {}
        Occupant::Other(_) | Occupant::Unmarked => return Ok(false),
    }
    // The organisation's directory goes with its last repository; it is not empty otherwise, and stays.
    if let Some(organisation) = published.parent()
        && organisation != storage.root()
        && fs::remove_dir(organisation).is_ok()
    {
        sync_parent(organisation)?;
    }
    Ok(true)
}

/// Ends a swap that a crash interrupted, if there was one. To be called by whoever holds the fence, before anything else.
pub fn replay_journal(_permit: &FenceGuard, storage: &Storage, repository: RepositoryId) -> Result<()> {
    let journal = storage.journal(repository);
    let bytes = match fs::read(&journal) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    // A journal that was not written to its end was never acted upon.
    if let Ok(swap) = serde_json::from_slice::<Swap>(&bytes) {
        swap.finish()?;
    }
    fs::remove_file(&journal)?;
    sync_parent(&journal)
}

/// Two renames that happen as one: the old directory to the trash, the new one to its place.
#[derive(Debug, Serialize, Deserialize)]
struct Swap {
    finished: PathBuf,
    published: PathBuf,
    trash: PathBuf,
}

impl Swap {
    fn new(storage: &Storage, finished: &Path, published: &Path) -> Self {
        Swap { finished: finished.to_owned(), published: published.to_owned(), trash: unique_trash(storage) }
    }

    fn carry_out(&self, storage: &Storage, repository: RepositoryId) -> Result<()> {
        let journal = storage.journal(repository);
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::new(ErrorKind::Internal, "a journal is not JSON").caused_by(error))?;
        let mut file = fs::File::create(&journal)?;
        file.write_all(&text)?;
        file.sync_all()?;
        sync_parent(&journal)?;
        fs::rename(&self.published, &self.trash)?;
        self.finish()?;
        fs::remove_file(&journal)?;
        sync_parent(&journal)
    }

    /// Puts the new directory in place if the old one has gone; before that the swap has not begun and is dropped.
    fn finish(&self) -> Result<()> {
        if !self.published.exists() && self.finished.exists() {
            rename_exclusively(&self.finished, &self.published)?;
        }
        sync_parent(&self.published)?;
        sync_parent(&self.trash)
    }
}

/// Moves a directory to the trash and empties that. What cannot be removed now is left to the janitor.
///
/// # Errors
/// Those of the file system; that nothing is there is none.
pub fn discard(storage: &Storage, directory: &Path) -> Result<()> {
    if let Some(trash) = move_to_trash(storage, directory)? {
        let _ = fs::remove_dir_all(&trash);
    }
    Ok(())
}

/// Moves a directory to the trash, where the janitor empties it: at its place it is whole or not there at all. Tells where
/// it is now, if it was there.
///
/// # Errors
/// Those of the file system.
pub fn move_to_trash(storage: &Storage, directory: &Path) -> Result<Option<PathBuf>> {
    let trash = unique_trash(storage);
    match fs::rename(directory, &trash) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    sync_parent(directory)?;
    Ok(Some(trash))
}

fn unique_trash(storage: &Storage) -> PathBuf {
    storage.trash().join(Uuid::now_v7().to_string())
}

fn rename_exclusively(from: &Path, to: &Path) -> Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST | Errno::NOTEMPTY) => Err(Occupant::Unmarked.in_the_way(to)),
        // Without the flag, a rename onto a directory fails unless that is empty: nothing is lost either way.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(fs::rename(from, to)?),
        Err(errno) => Err(std::io::Error::from(errno).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::disk::Manifest;
    use crate::model::TaskId;

    struct Disk {
        _dir: tempfile::TempDir,
        storage: Storage,
        guard: FenceGuard,
        published: PathBuf,
    }

    const REPOSITORY: RepositoryId = RepositoryId(1);

    fn disk() -> Disk {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open("default".parse().unwrap(), dir.path()).unwrap();
        let fence = storage.fence(REPOSITORY);
        fence.raise(1).unwrap();
        let guard = fence.hold(1).unwrap();
        let published = dir.path().join("org/repo");
        Disk { _dir: dir, storage, guard, published }
    }

    fn make(storage: &Storage, name: &str) -> PathBuf {
        make_for(REPOSITORY, storage, name)
    }

    fn make_for(repository: RepositoryId, storage: &Storage, name: &str) -> PathBuf {
        let directory = storage.temporaries().join(name);
        fs::create_dir_all(directory.join("objects")).unwrap();
        Manifest::new(repository, TaskId::generate(), None).write(&directory).unwrap();
        fs::write(directory.join("name"), name).unwrap();
        directory
    }

    fn name_in(directory: &Path) -> String {
        fs::read_to_string(directory.join("name")).unwrap()
    }

    fn count(directory: PathBuf) -> usize {
        fs::read_dir(directory).unwrap().count()
    }

    #[test]
    fn a_new_repository_appears_and_never_over_another() {
        let disk = disk();
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        assert_eq!(name_in(&disk.published), "one");
        let second = make(&disk.storage, "two");
        let error = publish_new(&disk.guard, &second, &disk.published).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!((name_in(&disk.published), second.exists()), ("one".into(), true));
    }

    #[test]
    fn a_replacement_takes_the_place_and_the_old_one_goes() {
        let disk = disk();
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        let second = make(&disk.storage, "two");
        replace_published(&disk.guard, &disk.storage, REPOSITORY, &second, &disk.published).unwrap();
        assert_eq!((name_in(&disk.published), second.exists()), ("two".into(), false));
        assert_eq!(count(disk.storage.trash()), 0);
    }

    /// The journalled swap, stopped after each of its steps, as a crash would.
    #[test]
    fn an_interrupted_swap_is_finished_or_dropped_but_the_repository_is_there() {
        for (renames_done, expected) in [(0, "one"), (1, "two"), (2, "two")] {
            let disk = disk();
            publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
            let swap = Swap::new(&disk.storage, &make(&disk.storage, "two"), &disk.published);
            fs::write(disk.storage.journal(REPOSITORY), serde_json::to_vec(&swap).unwrap()).unwrap();
            if renames_done > 0 {
                fs::rename(&swap.published, &swap.trash).unwrap();
            }
            if renames_done > 1 {
                fs::rename(&swap.finished, &swap.published).unwrap();
            }
            replay_journal(&disk.guard, &disk.storage, REPOSITORY).unwrap();
            assert_eq!(name_in(&disk.published), expected, "after {renames_done} renames");
            assert!(!disk.storage.journal(REPOSITORY).exists());
            replay_journal(&disk.guard, &disk.storage, REPOSITORY).unwrap();
        }
    }

    #[test]
    fn a_swap_by_journal_does_what_an_exchange_does() {
        let disk = disk();
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        let second = make(&disk.storage, "two");
        Swap::new(&disk.storage, &second, &disk.published).carry_out(&disk.storage, REPOSITORY).unwrap();
        assert_eq!((name_in(&disk.published), second.exists()), ("two".into(), false));
        assert_eq!(count(disk.storage.trash()), 1, "the janitor empties the trash");
        assert!(!disk.storage.journal(REPOSITORY).exists());
    }

    #[test]
    fn a_torn_journal_was_never_acted_upon() {
        let disk = disk();
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        fs::write(disk.storage.journal(REPOSITORY), "{\"finished\":").unwrap();
        replay_journal(&disk.guard, &disk.storage, REPOSITORY).unwrap();
        assert_eq!(name_in(&disk.published), "one");
    }

    #[test]
    fn a_removed_repository_takes_its_empty_organisation_along() {
        let disk = disk();
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        assert!(remove_published(&disk.guard, &disk.storage, REPOSITORY, &disk.published).unwrap());
        assert!(!disk.published.parent().unwrap().exists());
        assert!(remove_published(&disk.guard, &disk.storage, REPOSITORY, &disk.published).unwrap());
    }

    #[test]
    fn what_is_another_repositorys_is_neither_removed_nor_replaced() {
        let disk = disk();
        let other = make_for(RepositoryId(2), &disk.storage, "other");
        publish_new(&disk.guard, &other, &disk.published).unwrap();
        assert!(!remove_published(&disk.guard, &disk.storage, REPOSITORY, &disk.published).unwrap());
        let ours = make(&disk.storage, "ours");
        let refused = replace_published(&disk.guard, &disk.storage, REPOSITORY, &ours, &disk.published);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!((name_in(&disk.published), name_in(&ours)), ("other".into(), "ours".into()));

        fs::remove_file(disk.published.join("gitsync.json")).unwrap();
        assert!(!remove_published(&disk.guard, &disk.storage, REPOSITORY, &disk.published).unwrap());
        assert_eq!(name_in(&disk.published), "other", "without a manifest it may be anybody's");
    }
}
