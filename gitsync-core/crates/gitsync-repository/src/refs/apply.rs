//! Changing references: any number of them in one rename.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gitsync_core::backend::{Durability, Head, RefTransaction};
use gitsync_core::model::{ObjectId, RefName};
use gitsync_core::{Error, ErrorKind, Result};

use super::packed::{PackedRef, PackedRefs};
use super::read::{Loose, follow, parse_loose, read_loose, read_packed};
use crate::files::{LOCK_WAIT, Lock, read_optional, sync_dir, write_new};
use crate::objects::{Kind, Objects};
use crate::peel::{Peeled, peel};
use crate::repository::Repository;

/// What came of a change.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// References that somebody else created by hand while the change was made: theirs are in force.
    pub raced: Vec<RefName>,
}

/// Applies a change of references, `HEAD` and the shallow boundary: all of it or, on an error before anything was
/// published, none.
///
/// All new values go into `packed-refs` under its lock, so readers see every reference either as it was or as it is to be.
/// Then the loose files of the changed names are removed, each under a lock taken beforehand. The packed lock is held until
/// they are gone: otherwise a `git pack-refs` in between would pack an old loose value over the new one.
///
/// # Errors
/// [`ErrorKind::Conflict`] if a reference has not the expected old id or a name collides with another,
/// [`ErrorKind::Corrupt`] if a new id is not there, [`ErrorKind::InvalidInput`] if a name is changed twice,
/// [`ErrorKind::Timeout`] if another program holds a lock for too long.
pub fn apply(
    repository: &Repository<impl Objects>,
    change: &RefTransaction,
    durability: Durability,
) -> Result<Applied> {
    let git_dir = repository.git_dir();
    let shallow = change.shallow.as_deref();
    let shallow_lock = shallow.map(|ids| prepare_shallow(repository, ids, durability)).transpose()?;
    let head_lock = change.head.as_ref().map(|head| prepare_head(repository, head, durability)).transpose()?;
    if change.edits.is_empty() {
        publish_shallow(git_dir, shallow, shallow_lock, durability)?;
        publish_head(git_dir, head_lock, durability)?;
        return Ok(Applied::default());
    }
    let packed_lock = Lock::take(&git_dir.join("packed-refs"), LOCK_WAIT)?;
    let mut loose = read_loose(git_dir, repository.format())?;
    let loose_locks = lock_loose(repository, change, &mut loose)?;
    let mut packed = read_packed(git_dir, repository.format())?;
    check_old(change, &loose, &packed)?;
    edit(repository, change, &mut packed)?;
    check_names(change, &loose, &packed)?;

    publish_shallow(git_dir, shallow, shallow_lock, durability)?;
    publish_packed(git_dir, &packed, durability)?;
    let mut emptied = HashSet::new();
    for (path, lock) in loose_locks {
        remove_if_there(&path)?;
        drop(lock);
        emptied.extend(path.parent().map(Path::to_owned));
    }
    drop(packed_lock);
    publish_head(git_dir, head_lock, durability)?;
    for dir in &emptied {
        tidy(git_dir, dir, durability)?;
    }
    // Creating a reference by hand takes only that reference's own lock, which is not held for names that had no loose file.
    let path_exists =
        |name: &RefName| path_of(git_dir, name.as_bytes()).symlink_metadata().is_ok_and(|meta| meta.is_file());
    let raced = change.edits.iter().map(|edit| &edit.name).filter(|name| path_exists(name)).cloned().collect();
    Ok(Applied { raced })
}

/// Locks the loose files of changed names and reads them again, now that they stand still.
fn lock_loose<O>(
    repository: &Repository<O>,
    change: &RefTransaction,
    loose: &mut BTreeMap<Vec<u8>, Loose>,
) -> Result<HashMap<PathBuf, Lock>> {
    let mut locks = HashMap::new();
    for edit in &change.edits {
        let name = edit.name.as_bytes();
        let path = path_of(repository.git_dir(), name);
        // A file with nonsense in it is no reference, but it would hide the packed one, so the file counts, not the value.
        if !path.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) || locks.contains_key(&path) {
            continue;
        }
        let lock = match Lock::take(&path, LOCK_WAIT) {
            Ok(lock) => lock,
            // `git pack-refs` has removed the file meanwhile, and its directory.
            Err(_) if path.parent().is_some_and(|parent| !parent.exists()) => {
                loose.remove(name);
                continue;
            }
            Err(error) => return Err(error),
        };
        match read_optional(&path)?.and_then(|text| parse_loose(&text, repository.format())) {
            Some(value) => loose.insert(name.to_owned(), value),
            None => loose.remove(name),
        };
        locks.insert(path, lock);
    }
    Ok(locks)
}

fn check_old(change: &RefTransaction, loose: &BTreeMap<Vec<u8>, Loose>, packed: &PackedRefs) -> Result<()> {
    let mut seen = HashSet::new();
    let show = |id: Option<ObjectId>| id.map_or_else(|| "nothing".to_owned(), |id| id.to_string());
    for edit in &change.edits {
        if !seen.insert(&edit.name) {
            return Err(Error::new(ErrorKind::InvalidInput, "a reference is changed twice").with("ref", &edit.name));
        }
        let current = follow(edit.name.as_bytes(), loose, packed);
        if current != edit.old {
            return Err(Error::new(ErrorKind::Conflict, "a reference was changed by somebody else")
                .with("ref", &edit.name)
                .with("is", show(current))
                .with("expected", show(edit.old)));
        }
    }
    Ok(())
}

/// Makes the new content of `packed-refs`.
fn edit(repository: &Repository<impl Objects>, change: &RefTransaction, packed: &mut PackedRefs) -> Result<()> {
    if !packed.fully_peeled {
        // The header written claims that every tag is peeled, so what an older git left out is made up for.
        for entry in packed.refs.values_mut().filter(|entry| entry.peeled.is_none()) {
            entry.peeled = peeled_tag(repository, &entry.id)?.flatten();
        }
        packed.fully_peeled = true;
    }
    for edit in &change.edits {
        let Some(id) = edit.new else {
            packed.refs.remove(edit.name.as_bytes());
            continue;
        };
        let Some(peeled) = peeled_tag(repository, &id)? else {
            return Err(missing(&id).with("ref", &edit.name));
        };
        packed.refs.insert(edit.name.as_bytes().to_owned(), PackedRef { id, peeled });
    }
    Ok(())
}

/// Returns what a tag leads to: `None` if something is not there, `Some(None)` for what is no tag.
fn peeled_tag(repository: &Repository<impl Objects>, id: &ObjectId) -> Result<Option<Option<ObjectId>>> {
    if id.format() != repository.format() {
        return Ok(None);
    }
    match peel(repository, *id)? {
        Peeled::Missing => Ok(None),
        Peeled::Broken => Ok(Some(None)),
        Peeled::Object(target, _) => Ok(Some(Some(target).filter(|target| target != id))),
    }
}

fn missing(id: &ObjectId) -> Error {
    Error::new(ErrorKind::Corrupt, "a reference would lead to an object that is not there").with("id", id)
}

/// Refuses names of which one is a directory of another.
fn check_names(change: &RefTransaction, loose: &BTreeMap<Vec<u8>, Loose>, packed: &PackedRefs) -> Result<()> {
    let deleted: HashSet<&[u8]> =
        change.edits.iter().filter(|edit| edit.new.is_none()).map(|edit| edit.name.as_bytes()).collect();
    let stays = |name: &[u8]| loose.contains_key(name) && !deleted.contains(name);
    for edit in change.edits.iter().filter(|edit| edit.new.is_some()) {
        let collides = |with: &[u8]| {
            Error::new(ErrorKind::Conflict, "the name of a reference collides with another")
                .with("ref", &edit.name)
                .with("other", with.escape_ascii())
        };
        if let Some(parent) = edit.name.parents().find(|parent| packed.refs.contains_key(*parent) || stays(parent)) {
            return Err(collides(parent));
        }
        // Neighbours in the order of names do not tell ("a", "a-b", "a/c"), hence the search from "a/" on.
        let below = [edit.name.as_bytes(), b"/"].concat();
        let in_packed = packed.refs.range(below.clone()..).map(|(name, _)| name).next();
        let in_loose = loose.range(below.clone()..).map(|(name, _)| name);
        let in_loose = in_loose.take_while(|name| name.starts_with(&below)).find(|name| stays(name));
        if let Some(name) = in_packed.filter(|name| name.starts_with(&below)).or(in_loose) {
            return Err(collides(name));
        }
    }
    Ok(())
}

/// Puts the new `packed-refs` in place. The lock file stays what it is, a lock, so that it can be held on to afterwards.
fn publish_packed(git_dir: &Path, packed: &PackedRefs, durability: Durability) -> Result<()> {
    let new = git_dir.join("packed-refs.new");
    // Whoever made such a file held the lock, so one that is there now was left by a crash.
    remove_if_there(&new)?;
    let written =
        write_new(&new, &packed.to_text(), durability).and_then(|()| fs::rename(&new, git_dir.join("packed-refs")));
    if let Err(error) = written {
        fs::remove_file(&new).ok();
        return Err(error.into());
    }
    Ok(sync_dir(git_dir, durability)?)
}

/// Locks the `shallow` file and writes what it will be.
fn prepare_shallow<O>(repository: &Repository<O>, ids: &[ObjectId], durability: Durability) -> Result<Lock> {
    let lines = ids.iter().map(|id| Ok(format!("{}\n", repository.local_id(id)?))).collect::<Result<String>>()?;
    let lock = Lock::take(&repository.git_dir().join("shallow"), LOCK_WAIT)?;
    lock.write(lines.as_bytes(), durability)?;
    Ok(lock)
}

/// Puts the new `shallow` file in place; to git a repository without a boundary has none.
fn publish_shallow(git_dir: &Path, ids: Option<&[ObjectId]>, lock: Option<Lock>, durability: Durability) -> Result<()> {
    match (ids, lock) {
        (Some([]), _) => remove_if_there(&git_dir.join("shallow"))?,
        (_, Some(lock)) => lock.publish()?,
        _ => return Ok(()),
    }
    Ok(sync_dir(git_dir, durability)?)
}

/// Locks `HEAD` and writes what it will be.
fn prepare_head(repository: &Repository<impl Objects>, head: &Head, durability: Durability) -> Result<Lock> {
    let text = match head {
        Head::Branch(name) => [b"ref: ", name.as_bytes(), b"\n"].concat(),
        Head::Detached(id) => {
            if !matches!(peel(repository, repository.local_id(id)?)?, Peeled::Object(_, Kind::Commit)) {
                return Err(missing(id).with("ref", "HEAD"));
            }
            format!("{id}\n").into_bytes()
        }
    };
    let lock = Lock::take(&repository.git_dir().join("HEAD"), LOCK_WAIT)?;
    lock.write(&text, durability)?;
    Ok(lock)
}

fn publish_head(git_dir: &Path, lock: Option<Lock>, durability: Durability) -> Result<()> {
    if let Some(lock) = lock {
        lock.publish()?;
        sync_dir(git_dir, durability)?;
    }
    Ok(())
}

/// Makes removals in `dir` durable, and removes it and its parents as far as they are empty.
fn tidy(git_dir: &Path, dir: &Path, durability: Durability) -> io::Result<()> {
    let refs = git_dir.join("refs");
    let kept = [refs.join("heads"), refs.join("tags"), refs.clone()];
    let mut dir = dir.to_owned();
    while dir.starts_with(&refs) && !kept.contains(&dir) && fs::remove_dir(&dir).is_ok() {
        dir.pop();
    }
    // Another program may have removed it at the same time.
    if dir.is_dir() { sync_dir(&dir, durability) } else { Ok(()) }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn path_of(git_dir: &Path, name: &[u8]) -> PathBuf {
    git_dir.join(OsStr::from_bytes(name))
}
