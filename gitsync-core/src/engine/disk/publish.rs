//! How repositories appear, are replaced and vanish: whole, or not at all.

use std::collections::HashSet;
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

/// What becomes of a directory that another one replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldFiles {
    /// All that matters was carried over: it goes to the trash.
    Discard,
    /// It may hold what could not be carried over: it is put where gitsync removes nothing.
    SetAside,
}

/// Publishes a finished directory in place of another, and tells where that was set aside. There is no moment without a
/// repository where the system can exchange two names and the old directory goes to the trash; else a journal makes the two
/// renames as good as one.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if another repository's directory is there; those of the file system.
pub fn replace_published(
    _permit: &FenceGuard,
    storage: &Storage,
    repository: RepositoryId,
    finished: &Path,
    published: &Path,
    old: OldFiles,
) -> Result<Option<PathBuf>> {
    let occupant = Occupant::of(published, repository)?;
    if matches!(occupant, Occupant::Other(_)) {
        return Err(occupant.in_the_way(published));
    }
    sync_tree(finished)?;
    if old == OldFiles::SetAside {
        let aside = storage.aside(repository);
        Swap::new(storage, finished, published, &aside)?.carry_out(storage, repository)?;
        return Ok(Some(aside));
    }
    match renameat_with(CWD, finished, CWD, published, RenameFlags::EXCHANGE) {
        Ok(()) => {
            sync_parent(published)?;
            sync_parent(finished)?;
            discard(storage, finished)?;
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            Swap::new(storage, finished, published, &unique_trash(storage))?.carry_out(storage, repository)?;
        }
        Err(errno) => return Err(std::io::Error::from(errno).into()),
    }
    Ok(None)
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
///
/// # Errors
/// Those of the file system.
pub fn replay_journal(_permit: &FenceGuard, storage: &Storage, repository: RepositoryId) -> Result<()> {
    let journal = storage.journal(repository);
    // A journal that was not written to its end was never acted upon.
    match read_journal(&journal)? {
        None => return Ok(()),
        Some(None) => {}
        Some(Some(swap)) => swap.finish(storage)?,
    }
    fs::remove_file(&journal)?;
    sync_parent(&journal)
}

/// Returns the directories that unfinished swaps are about: they are nobody else's to remove.
///
/// A swap writes its journal before it moves anything. What was seen in the trash or among the temporary directories before
/// this is called, and is not named now, is in no swap.
///
/// # Errors
/// Those of the file system.
pub fn journalled(storage: &Storage) -> Result<HashSet<PathBuf>> {
    let mut paths = HashSet::new();
    for entry in fs::read_dir(storage.journals())? {
        if let Some(Some(swap)) = read_journal(&entry?.path())? {
            paths.extend([swap.finished, swap.old].map(|path| storage.root().join(path)));
        }
    }
    Ok(paths)
}

/// Reads a journal; `None` if there is none, `Some(None)` if it was not written to its end.
fn read_journal(journal: &Path) -> Result<Option<Option<Swap>>> {
    match fs::read(journal) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).ok())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Two renames that happen as one: the old directory out of the way, the new one to its place.
///
/// The paths are those below the storage's root, which need not be the same whenever and wherever the journal is read.
#[derive(Debug, Serialize, Deserialize)]
struct Swap {
    finished: PathBuf,
    published: PathBuf,
    /// Where the old directory goes.
    old: PathBuf,
}

impl Swap {
    fn new(storage: &Storage, finished: &Path, published: &Path, old: &Path) -> Result<Self> {
        let below_root = |path: &Path| {
            path.strip_prefix(storage.root()).map(Path::to_owned).map_err(|error| {
                Error::new(ErrorKind::Internal, "a swap is outside of its storage")
                    .with("path", path.display())
                    .caused_by(error)
            })
        };
        Ok(Swap { finished: below_root(finished)?, published: below_root(published)?, old: below_root(old)? })
    }

    fn carry_out(&self, storage: &Storage, repository: RepositoryId) -> Result<()> {
        let journal = storage.journal(repository);
        let text = serde_json::to_vec(self)
            .map_err(|error| Error::new(ErrorKind::Internal, "a journal is not JSON").caused_by(error))?;
        let mut file = fs::File::create(&journal)?;
        file.write_all(&text)?;
        file.sync_all()?;
        sync_parent(&journal)?;
        let root = storage.root();
        fs::rename(root.join(&self.published), root.join(&self.old))?;
        self.finish(storage)?;
        fs::remove_file(&journal)?;
        sync_parent(&journal)
    }

    /// Puts the new directory in place if the old one has gone, and the old one back if the new one is not there any more or
    /// cannot be moved. While the old one is there the swap has not begun and is dropped.
    fn finish(&self, storage: &Storage) -> Result<()> {
        let [finished, published, old] =
            [&self.finished, &self.published, &self.old].map(|path| storage.root().join(path));
        if !published.exists() {
            let placed = if finished.exists() { rename_exclusively(&finished, &published) } else { Ok(()) };
            if !published.exists() && old.exists() {
                rename_exclusively(&old, &published)?;
            }
            placed?;
        }
        sync_parent(&published)?;
        sync_parent(&finished)?;
        sync_parent(&old)
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
        replace_published(&disk.guard, &disk.storage, REPOSITORY, &second, &disk.published, OldFiles::Discard).unwrap();
        assert_eq!((name_in(&disk.published), second.exists()), ("two".into(), false));
        assert_eq!(count(disk.storage.trash()), 0);
    }

    #[test]
    fn what_is_set_aside_stays() {
        let disk = disk();
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        let second = make(&disk.storage, "two");
        let old = OldFiles::SetAside;
        let aside = replace_published(&disk.guard, &disk.storage, REPOSITORY, &second, &disk.published, old).unwrap();
        assert_eq!((name_in(&disk.published), name_in(&aside.unwrap())), ("two".into(), "one".into()));
        assert!(!disk.storage.journal(REPOSITORY).exists());
    }

    /// Begins a journalled swap of "one" by "two" and stops after some of its renames, as a crash would.
    fn interrupt(disk: &Disk, renames_done: usize) -> Swap {
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        let swap = Swap::new(&disk.storage, &make(&disk.storage, "two"), &disk.published, &unique_trash(&disk.storage))
            .unwrap();
        fs::write(disk.storage.journal(REPOSITORY), serde_json::to_vec(&swap).unwrap()).unwrap();
        let root = disk.storage.root();
        if renames_done > 0 {
            fs::rename(root.join(&swap.published), root.join(&swap.old)).unwrap();
        }
        if renames_done > 1 {
            fs::rename(root.join(&swap.finished), root.join(&swap.published)).unwrap();
        }
        swap
    }

    #[test]
    fn an_interrupted_swap_is_finished_or_dropped_but_the_repository_is_there() {
        for (renames_done, expected) in [(0, "one"), (1, "two"), (2, "two")] {
            let disk = disk();
            interrupt(&disk, renames_done);
            replay_journal(&disk.guard, &disk.storage, REPOSITORY).unwrap();
            assert_eq!(name_in(&disk.published), expected, "after {renames_done} renames");
            assert!(!disk.storage.journal(REPOSITORY).exists());
            replay_journal(&disk.guard, &disk.storage, REPOSITORY).unwrap();
        }
    }

    /// The second rename failed, and the attempt removed its temporary directory when it ended.
    #[test]
    fn an_interrupted_swap_whose_new_directory_is_gone_brings_the_old_one_back() {
        let disk = disk();
        let swap = interrupt(&disk, 1);
        fs::remove_dir_all(disk.storage.root().join(&swap.finished)).unwrap();
        replay_journal(&disk.guard, &disk.storage, REPOSITORY).unwrap();
        assert_eq!(name_in(&disk.published), "one");
        assert!(!disk.storage.journal(REPOSITORY).exists());
    }

    #[test]
    fn what_a_journal_names_is_known_wherever_the_storage_is() {
        let mut disk = disk();
        let swap = interrupt(&disk, 1);
        let named = [&swap.finished, &swap.old].map(|path| disk.storage.root().join(path));
        assert_eq!(journalled(&disk.storage).unwrap(), HashSet::from(named));

        let moved = tempfile::tempdir().unwrap();
        let root = moved.path().join("root");
        fs::rename(disk.storage.root(), &root).unwrap();
        disk.storage = Storage::open("default".parse().unwrap(), &root).unwrap();
        replay_journal(&disk.guard, &disk.storage, REPOSITORY).unwrap();
        assert_eq!(name_in(&root.join("org/repo")), "two");
        assert!(journalled(&disk.storage).unwrap().is_empty());
    }

    #[test]
    fn a_swap_by_journal_does_what_an_exchange_does() {
        let disk = disk();
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        let second = make(&disk.storage, "two");
        Swap::new(&disk.storage, &second, &disk.published, &unique_trash(&disk.storage))
            .unwrap()
            .carry_out(&disk.storage, REPOSITORY)
            .unwrap();
        assert_eq!((name_in(&disk.published), second.exists()), ("two".into(), false));
        assert_eq!(count(disk.storage.trash()), 1, "the janitor empties the trash");
        assert!(!disk.storage.journal(REPOSITORY).exists());
    }

    #[test]
    fn a_swap_whose_new_directory_cannot_be_moved_puts_the_old_one_back() {
        let disk = disk();
        publish_new(&disk.guard, &make(&disk.storage, "one"), &disk.published).unwrap();
        // A directory, here the root, cannot be moved into itself.
        let swap =
            Swap::new(&disk.storage, disk.storage.root(), &disk.published, &unique_trash(&disk.storage)).unwrap();
        swap.carry_out(&disk.storage, REPOSITORY).unwrap_err();
        assert_eq!(name_in(&disk.published), "one");
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
        let refused =
            replace_published(&disk.guard, &disk.storage, REPOSITORY, &ours, &disk.published, OldFiles::Discard);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!((name_in(&disk.published), name_in(&ours)), ("other".into(), "ours".into()));

        fs::remove_file(disk.published.join("gitsync.json")).unwrap();
        assert!(!remove_published(&disk.guard, &disk.storage, REPOSITORY, &disk.published).unwrap());
        assert_eq!(name_in(&disk.published), "other", "without a manifest it may be anybody's");
    }
}
