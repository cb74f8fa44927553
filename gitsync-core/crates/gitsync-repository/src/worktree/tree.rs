//! The files of a commit.

use std::collections::{BTreeMap, HashSet};

use gitsync_core::model::{CommitObject, ObjectId};
use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, ErrorKind, Result};

use super::component::defect;
use crate::links::{KIND_OF_ENTRY, SUBMODULE, is_empty_tree, tree_entries};
use crate::objects::{Kind, Objects, read_commit};
use crate::repository::Repository;

/// How many files and directories a commit may have to be checked out: a few small trees can name any number.
const MAX_ENTRIES: usize = 1_000_000;

/// How long a path may be, in bytes. Systems take no longer ones.
const MAX_PATH_BYTES: usize = 4_000;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    File,
    Executable,
    Symlink,
    /// A commit of another repository: an empty directory stands for it.
    Submodule,
}

impl Mode {
    /// Returns the mode as git writes it.
    pub(super) fn bits(self) -> u32 {
        match self {
            Mode::File => 0o100_644,
            Mode::Executable => 0o100_755,
            Mode::Symlink => 0o120_000,
            Mode::Submodule => SUBMODULE,
        }
    }
}

/// A file of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TreeEntry {
    pub(super) mode: Mode,
    pub(super) id: ObjectId,
}

/// The files of a commit by their paths.
pub(super) type Tree = BTreeMap<Vec<u8>, TreeEntry>;

/// Reads the files of a commit.
///
/// # Errors
/// [`ErrorKind::SourceRefused`] if there is a path that must not be written, [`ErrorKind::LimitExceeded`] if there are too
/// many, [`ErrorKind::Corrupt`] if an object is missing or makes no sense.
pub(super) fn read_tree(repository: &Repository<impl Objects>, commit: &ObjectId, limits: &CallLimits) -> Result<Tree> {
    let mut buffer = Vec::new();
    read_commit(repository.objects(), commit, &mut buffer)?;
    let root = CommitObject::new(&buffer).tree();
    let root = root.ok_or_else(|| Error::new(ErrorKind::Corrupt, "a commit has no tree").with("id", commit))?;
    let (mut tree, mut stack, mut count) = (Tree::new(), vec![(Vec::new(), root)], 0);
    while let Some((prefix, id)) = stack.pop() {
        limits.check()?;
        if !is_empty_tree(&id)
            && repository.objects().read(&repository.local_id(&id)?, &mut buffer)? != Some(Kind::Tree)
        {
            return Err(Error::new(ErrorKind::Corrupt, "a tree is missing").with("id", id));
        }
        let data = if is_empty_tree(&id) { &[][..] } else { &buffer };
        let mut failed = None;
        let understood = tree_entries(data, repository.format(), |mode, name, id| {
            count += 1;
            let added = add(&prefix, mode, name, id, &mut tree, &mut stack);
            failed = added.and_then(|()| within_bounds(count)).err();
            failed.is_none()
        });
        if let Some(error) = failed {
            return Err(error.with("commit", commit));
        }
        if !understood {
            return Err(Error::new(ErrorKind::Corrupt, "a tree makes no sense").with("id", id));
        }
    }
    check_beside_each_other(&tree)?;
    Ok(tree)
}

fn within_bounds(count: usize) -> Result<()> {
    if count > MAX_ENTRIES {
        return Err(Error::new(ErrorKind::LimitExceeded, "the commit has too many files").with("limit", MAX_ENTRIES));
    }
    Ok(())
}

fn add(
    prefix: &[u8],
    mode: u32,
    name: &[u8],
    id: &ObjectId,
    tree: &mut Tree,
    stack: &mut Vec<(Vec<u8>, ObjectId)>,
) -> Result<()> {
    let path = [prefix, name].concat();
    let refused = |why: &str| {
        Err(Error::new(ErrorKind::SourceRefused, format!("the commit has a path that is not written: {why}"))
            .with("path", path.escape_ascii()))
    };
    if let Some(defect) = defect(name) {
        return refused(defect);
    }
    if path.len() > MAX_PATH_BYTES {
        return refused("it is too long");
    }
    let mode = match mode & KIND_OF_ENTRY {
        0o040_000 => {
            stack.push(([&path[..], b"/"].concat(), *id));
            return Ok(());
        }
        0o100_000 if mode & 0o100 == 0 => Mode::File,
        0o100_000 => Mode::Executable,
        // A link there could make git read anything for the settings of submodules.
        0o120_000 if name.eq_ignore_ascii_case(b".gitmodules") => return refused("it is a link in place of settings"),
        0o120_000 => Mode::Symlink,
        SUBMODULE => Mode::Submodule,
        _ => return refused("it is of no known kind"),
    };
    if tree.insert(path.clone(), TreeEntry { mode, id: *id }).is_some() {
        return refused("it is there twice");
    }
    Ok(())
}

/// Refuses a file where a directory is: no git makes such a tree.
fn check_beside_each_other(tree: &Tree) -> Result<()> {
    for path in tree.keys() {
        if let Some(parent) = parents(path).find(|parent| tree.contains_key(*parent)) {
            return Err(Error::new(ErrorKind::SourceRefused, "the commit has a file and a directory of one name")
                .with("path", parent.escape_ascii()));
        }
    }
    Ok(())
}

/// Returns the directories that lead to a path, outer ones first.
pub(super) fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at])
}

/// Refuses files of which a file system that folds case can have only one.
///
/// # Errors
/// [`ErrorKind::Unsupported`].
pub(super) fn check_folded(tree: &Tree) -> Result<()> {
    let mut seen = HashSet::new();
    for path in tree.keys() {
        if !seen.insert(String::from_utf8_lossy(path).to_lowercase()) {
            return Err(Error::new(ErrorKind::Unsupported, "two files of the commit are one to this file system")
                .with("path", path.escape_ascii()));
        }
    }
    Ok(())
}

/// A path that differs between two commits, with what is there before and after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Difference<'a> {
    pub(super) path: &'a [u8],
    pub(super) old: Option<TreeEntry>,
    pub(super) new: Option<TreeEntry>,
}

/// Lists the paths that differ, sorted.
pub(super) fn differences<'a>(old: &'a Tree, new: &'a Tree) -> Vec<Difference<'a>> {
    let mut all: BTreeMap<&[u8], Difference<'a>> = BTreeMap::new();
    for (path, entry) in old {
        all.insert(path, Difference { path, old: Some(*entry), new: None });
    }
    for (path, entry) in new {
        all.entry(path).or_insert(Difference { path, old: None, new: None }).new = Some(*entry);
    }
    all.into_values().filter(|difference| difference.old != difference.new).collect()
}
