//! Working trees: from one commit to another, as a whole or, after a crash, back.
//!
//! A checkout is refused before anything is touched, or it is carried out. All contents are written beside the tree first.
//! Then a journal says what is going to happen, the files are renamed to their places, the index follows, and the references
//! come last. Whoever finds a journal whose commit `HEAD` did not reach takes back the files that are exactly as that commit
//! has them; what somebody else changed meanwhile is left to them.
//!
//! Files hold what was committed, byte for byte: no filter, no conversion of line ends and no hook is ever run, whatever
//! attributes and configuration say. Submodules are empty directories.

mod component;
mod disk;
mod index;
mod journal;
mod tree;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use gitsync_core::backend::{CHECKOUT_LOCK_MARK, Checkout, Durability, Head};
use gitsync_core::model::ObjectId;
use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, ErrorKind, Result};

use self::disk::{Disk, in_the_way, metadata, write_entry};
pub use self::index::{IndexEntry, Stat};
use self::journal::{Journal, Move};
use self::tree::{Difference, Mode, Tree, TreeEntry, check_folded, differences, parents, read_tree};
use crate::engine::Engine;
use crate::files::{LOCK_WAIT, Lock, sync_dir, sync_file};
use crate::refs::{self, Applied};
use crate::repository::Repository;

/// How many files are looked at between two looks at the limits.
const CHECK_EVERY: usize = 256;

/// How many bytes one checkout may write: a small pack can hold any number of them. 16 GiB.
const MAX_BYTES: u64 = 16 << 30;

/// Brings a working tree from one commit to another, and then changes references.
///
/// # Errors
/// [`ErrorKind::Conflict`] if `HEAD` is not where it is expected, if a tracked file or the index was changed, or if something
/// untracked is in the way; then nothing was touched. [`ErrorKind::SourceRefused`] if the commit has a path that must not be
/// written, [`ErrorKind::LimitExceeded`] if it is too large.
pub(crate) fn check_out<E: Engine>(
    engine: &E,
    repository: &Repository<E::Objects>,
    checkout: &Checkout,
    limits: &CallLimits,
    durability: Durability,
) -> Result<Applied> {
    let mut worktree = Worktree::lock(engine, repository, durability)?;
    worktree.recover(limits)?;
    if head_of(repository)? != checkout.from {
        return Err(Error::new(ErrorKind::Conflict, "HEAD was moved by somebody else"));
    }
    let old = worktree.tree_of(checkout.from, limits)?;
    let new = read_tree(repository, &checkout.to, limits)?;
    if folds_case(repository.git_dir()) {
        check_folded(&new)?;
    }
    let known = worktree.check_clean(&old, limits)?;
    let steps = differences(&old, &new);
    for step in &steps {
        worktree.check_free(step, &old)?;
    }
    let prepared = worktree.prepare(&steps, limits)?;
    worktree.journal.begin(Move { from: checkout.from, to: checkout.to }, durability)?;
    worktree.put_in_place(&steps, Obstacles::Refused)?;
    worktree.write_index(&new, &known, &prepared)?;
    let applied = refs::apply(repository, &checkout.change, durability)?;
    worktree.journal.end(durability)?;
    Ok(applied)
}

/// Takes back what a crash left of a checkout. That there is nothing is no error.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if a commit of the journal is not there any more; [`ErrorKind::Timeout`] if another program holds
/// the index.
pub(crate) fn recover<E: Engine>(
    engine: &E,
    repository: &Repository<E::Objects>,
    limits: &CallLimits,
    durability: Durability,
) -> Result<()> {
    if !Journal::of(repository.git_dir()).is_there() {
        return Ok(());
    }
    Worktree::lock(engine, repository, durability)?.recover(limits)
}

/// What is done about something that is where a file is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Obstacles {
    Refused,
    PassedOver,
}

/// A working tree whose index nobody else changes.
struct Worktree<'a, E: Engine> {
    engine: &'a E,
    repository: &'a Repository<E::Objects>,
    disk: Disk,
    journal: Journal,
    durability: Durability,
    /// Git programs that would change the files or the index wait for it, or fail.
    _lock: Lock,
}

impl<'a, E: Engine> Worktree<'a, E> {
    fn lock(engine: &'a E, repository: &'a Repository<E::Objects>, durability: Durability) -> Result<Self> {
        let git_dir = repository.git_dir();
        let root = git_dir.parent().filter(|_| git_dir.file_name().is_some_and(|name| name == ".git"));
        let root = root.ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the repository has no working tree"))?;
        let lock = Lock::take(&git_dir.join("index"), LOCK_WAIT)?;
        lock.write(CHECKOUT_LOCK_MARK, Durability::Caller)?;
        Ok(Worktree {
            engine,
            repository,
            disk: Disk::new(root.to_owned()),
            journal: Journal::of(git_dir),
            durability,
            _lock: lock,
        })
    }

    fn tree_of(&self, commit: Option<ObjectId>, limits: &CallLimits) -> Result<Tree> {
        commit.map_or_else(|| Ok(Tree::new()), |commit| read_tree(self.repository, &commit, limits))
    }

    /// Takes back what a crash left half-done. `HEAD` moves last, so where it has, all was done.
    fn recover(&mut self, limits: &CallLimits) -> Result<()> {
        if let Some(begun) = self.journal.read()?
            && head_of(self.repository)? != Some(begun.to)
        {
            self.take_back(begun, limits)?;
        }
        self.journal.end(self.durability)
    }

    fn take_back(&mut self, begun: Move, limits: &CallLimits) -> Result<()> {
        let reached = read_tree(self.repository, &begun.to, limits)?;
        let before = self.tree_of(begun.from, limits)?;
        let mut steps = Vec::new();
        for step in differences(&reached, &before) {
            if self.is_as_reached(&step, &reached)? {
                steps.push(step);
            }
        }
        self.journal.discard_prepared()?;
        self.prepare_into(&steps, limits)?;
        self.put_in_place(&steps, Obstacles::PassedOver)?;
        self.take_index_back(&differences(&reached, &before))
    }

    /// Tells whether a path is as the interrupted checkout would have left it, where it differs from before.
    fn is_as_reached(&mut self, step: &Difference<'_>, reached: &Tree) -> Result<bool> {
        match (self.disk.look(step.path)?, step.old) {
            (None, None) => Ok(true),
            (Some(found), None) => Ok(found.is_dir() && self.check_goes(step.path, reached).is_ok()),
            (None, Some(_)) => Ok(false),
            (Some(found), Some(entry)) => self.disk.is(step.path, &found, &entry, self.repository.objects()),
        }
    }

    /// Gives the index back what it had, where it has what the interrupted checkout put there.
    fn take_index_back(&self, steps: &[Difference<'_>]) -> Result<()> {
        let entries = self.read_index()?;
        if entries.iter().any(|entry| !entry.is_plain) {
            // Somebody has been at work since; what they see as changed is theirs to decide.
            return Ok(());
        }
        let mut entries: BTreeMap<Vec<u8>, IndexEntry> =
            entries.into_iter().map(|entry| (entry.path.clone(), entry)).collect();
        for step in steps {
            let found = entries.get(step.path).map(|entry| (entry.mode, entry.id));
            if found != step.old.map(|entry| (entry.mode.bits(), entry.id)) {
                continue;
            }
            match step.new {
                Some(entry) => {
                    entries.insert(step.path.to_owned(), index_entry(step.path, &entry, Stat::default()));
                }
                None => {
                    entries.remove(step.path);
                }
            }
        }
        self.publish_index(&entries.into_values().collect::<Vec<_>>())
    }

    /// Refuses a tree in which anything is not as in the commit that is checked out, and returns what the files look like.
    fn check_clean(&mut self, old: &Tree, limits: &CallLimits) -> Result<BTreeMap<Vec<u8>, Stat>> {
        let index = self.read_index()?;
        let staged = index.iter().map(|entry| (&entry.path, (entry.mode, entry.id, entry.is_plain)));
        let committed = old.iter().map(|(path, entry)| (path, (entry.mode.bits(), entry.id, true)));
        if let Some(path) = first_difference(staged, committed) {
            return Err(changed(path, "the index"));
        }
        let written_at = metadata(&self.repository.git_dir().join("index"))?.map(|found| Stat::of(&found).mtime);
        let mut known = BTreeMap::new();
        for (number, (remembered, (path, entry))) in index.iter().zip(old).enumerate() {
            if number.is_multiple_of(CHECK_EVERY) {
                limits.check()?;
            }
            let found = self.disk.look(path)?.ok_or_else(|| changed(path, "a file"))?;
            let stat = Stat::of(&found);
            // A file as young as the index may have changed without looking different.
            let is_remembered = is_of_mode(&found, entry.mode)
                && stat == (Stat { dev: stat.dev, ..remembered.stat })
                && written_at.is_some_and(|written_at| stat.mtime < written_at);
            if !is_remembered && !self.disk.is(path, &found, entry, self.repository.objects())? {
                return Err(changed(path, "a file"));
            }
            known.insert(path.clone(), stat);
        }
        Ok(known)
    }

    /// Refuses to write where something is that is not tracked.
    fn check_free(&self, step: &Difference<'_>, old: &Tree) -> Result<()> {
        let Some(new) = step.new else { return Ok(()) };
        for parent in parents(step.path) {
            match metadata(&self.disk.path(parent))? {
                None => return Ok(()),
                Some(found) if found.is_dir() => {}
                // It is tracked, and goes.
                Some(_) if old.contains_key(parent) => return Ok(()),
                Some(_) => return Err(in_the_way(parent)),
            }
        }
        match metadata(&self.disk.path(step.path))? {
            None => Ok(()),
            Some(found) if found.is_dir() && new.mode == Mode::Submodule => Ok(()),
            Some(found) if found.is_dir() => self.check_goes(step.path, old),
            Some(_) if step.old.is_some() => Ok(()),
            Some(_) => Err(in_the_way(step.path)),
        }
    }

    /// Refuses a directory in which something is that is not tracked.
    fn check_goes(&self, directory: &[u8], tracked: &Tree) -> Result<()> {
        for entry in fs::read_dir(self.disk.path(directory))? {
            let entry = entry?;
            let path = [directory, b"/", entry.file_name().as_bytes()].concat();
            if entry.file_type()?.is_dir() {
                self.check_goes(&path, tracked)?;
            } else if !tracked.contains_key(&path) {
                return Err(in_the_way(&path));
            }
        }
        Ok(())
    }

    /// Writes all new contents beside the tree, and returns what the files look like.
    fn prepare(&self, steps: &[Difference<'_>], limits: &CallLimits) -> Result<BTreeMap<Vec<u8>, Stat>> {
        self.journal.clear()?;
        self.journal.make()?;
        self.prepare_into(steps, limits)
    }

    fn prepare_into(&self, steps: &[Difference<'_>], limits: &CallLimits) -> Result<BTreeMap<Vec<u8>, Stat>> {
        let (mut prepared, mut bytes) = (BTreeMap::new(), 0_u64);
        for (number, step) in steps.iter().enumerate() {
            limits.check()?;
            let Some(entry) = step.new.filter(|entry| entry.mode != Mode::Submodule) else { continue };
            let path = self.journal.prepared(number);
            let written = write_entry(&path, &entry, self.repository.objects(), self.durability);
            written.map_err(|error| error.with("path", step.path.escape_ascii()))?;
            let found = fs::symlink_metadata(&path)?;
            bytes += found.len();
            if bytes > MAX_BYTES {
                return Err(Error::new(ErrorKind::LimitExceeded, "the commit's files are too large")
                    .with("limit_bytes", MAX_BYTES));
            }
            prepared.insert(step.path.to_owned(), Stat::of(&found));
        }
        Ok(prepared)
    }

    /// Removes what goes and moves what was prepared to its place. What goes makes way first, so `a` can become `a/b`.
    fn put_in_place(&mut self, steps: &[Difference<'_>], obstacles: Obstacles) -> Result<()> {
        self.disk.forget();
        for step in steps.iter().rev() {
            self.remove(step)?;
        }
        self.disk.forget();
        for (number, step) in steps.iter().enumerate() {
            match self.place(number, step) {
                Err(error) if error.kind() == ErrorKind::Conflict && obstacles == Obstacles::PassedOver => {}
                placed => placed?,
            }
        }
        self.sync_directories(steps)
    }

    fn remove(&mut self, step: &Difference<'_>) -> Result<()> {
        let is_submodule = |entry: Option<TreeEntry>| entry.is_some_and(|entry| entry.mode == Mode::Submodule);
        let stays = is_submodule(step.old) && is_submodule(step.new);
        // A file that becomes another one is replaced in one go.
        let is_replaced = step.new.is_some() && !is_submodule(step.old) && !is_submodule(step.new);
        if step.old.is_none() || stays || is_replaced {
            return Ok(());
        }
        let path = self.disk.path(step.path);
        match self.disk.look(step.path)? {
            // Somebody may have put a clone there, which is theirs.
            Some(found) if found.is_dir() && is_submodule(step.old) => drop(fs::remove_dir(&path)),
            Some(found) if !found.is_dir() => fs::remove_file(&path)?,
            _ => {}
        }
        self.disk.remove_empty_parents(step.path);
        Ok(())
    }

    fn place(&self, number: usize, step: &Difference<'_>) -> Result<()> {
        let Some(entry) = step.new else { return Ok(()) };
        self.disk.make_parents(step.path)?;
        let path = self.disk.path(step.path);
        let is_dir = metadata(&path)?.is_some_and(|found| found.is_dir());
        if entry.mode == Mode::Submodule {
            return if is_dir { Ok(()) } else { fs::create_dir(&path).map_err(|_| in_the_way(step.path)) };
        }
        if is_dir {
            remove_empty_tree(&path).map_err(|_| in_the_way(step.path))?;
        }
        Ok(fs::rename(self.journal.prepared(number), &path)?)
    }

    fn sync_directories(&self, steps: &[Difference<'_>]) -> Result<()> {
        let mut directories: Vec<&[u8]> = steps.iter().flat_map(|step| parents(step.path)).collect();
        directories.push(b"");
        directories.sort_unstable();
        directories.dedup();
        for directory in directories {
            let path = self.disk.path(directory);
            if metadata(&path)?.is_some_and(|found| found.is_dir()) {
                sync_dir(&path, self.durability)?;
            }
        }
        Ok(())
    }

    /// Makes the index that of a commit. Of files that were `known` to be right, and of those that were `prepared`, it
    /// remembers what they looked like then, so a change since is seen.
    fn write_index(
        &mut self,
        new: &Tree,
        known: &BTreeMap<Vec<u8>, Stat>,
        prepared: &BTreeMap<Vec<u8>, Stat>,
    ) -> Result<()> {
        self.disk.forget();
        let mut entries = Vec::with_capacity(new.len());
        for (path, entry) in new {
            let stat = match (prepared.get(path), known.get(path)) {
                (Some(written), _) => {
                    // The rename has changed nothing else than the time of the last change of metadata.
                    let found = self.disk.look(path)?.map(|found| Stat::of(&found));
                    found.filter(|found| Stat { ctime: written.ctime, ..*found } == *written).unwrap_or_default()
                }
                (None, Some(stat)) => *stat,
                (None, None) => Stat::default(),
            };
            entries.push(index_entry(path, entry, stat));
        }
        self.publish_index(&entries)
    }

    fn read_index(&self) -> Result<Vec<IndexEntry>> {
        let path = self.repository.git_dir().join("index");
        if !path.exists() {
            return Ok(Vec::new());
        }
        self.engine.read_index(&path, self.repository.format())
    }

    fn publish_index(&self, entries: &[IndexEntry]) -> Result<()> {
        let (new, git_dir) = (self.journal.prepared_index(), self.repository.git_dir());
        self.engine.write_index(&new, self.repository.format(), entries)?;
        sync_file(&File::open(&new)?, self.durability)?;
        fs::rename(&new, git_dir.join("index"))?;
        Ok(sync_dir(git_dir, self.durability)?)
    }
}

/// Returns what `HEAD` leads to, if that is anything.
fn head_of<O>(repository: &Repository<O>) -> Result<Option<ObjectId>> {
    let local = refs::read(repository)?;
    Ok(match &local.head {
        Head::Detached(id) => Some(*id),
        Head::Branch(branch) => local.refs.iter().find(|(name, _)| name == branch).map(|(_, id)| *id),
    })
}

fn index_entry(path: &[u8], entry: &TreeEntry, stat: Stat) -> IndexEntry {
    IndexEntry { path: path.to_owned(), mode: entry.mode.bits(), id: entry.id, stat, is_plain: true }
}

fn is_of_mode(found: &fs::Metadata, mode: Mode) -> bool {
    match mode {
        Mode::File => found.is_file() && found.permissions().mode() & 0o100 == 0,
        Mode::Executable => found.is_file() && found.permissions().mode() & 0o100 != 0,
        Mode::Symlink => found.is_symlink(),
        Mode::Submodule => found.is_dir(),
    }
}

/// Returns the first path at which two sorted lists differ.
fn first_difference<'a, T: PartialEq>(
    mut one: impl Iterator<Item = (&'a Vec<u8>, T)>,
    mut other: impl Iterator<Item = (&'a Vec<u8>, T)>,
) -> Option<&'a [u8]> {
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (Some(one), Some(other)) if one == other => {}
            (Some((one, _)), Some((other, _))) => return Some(one.min(other)),
            (Some((path, _)), None) | (None, Some((path, _))) => return Some(path),
        }
    }
}

fn changed(path: &[u8], what: &str) -> Error {
    Error::new(ErrorKind::Conflict, format!("the working tree is not clean: {what} was changed"))
        .with("path", path.escape_ascii())
        .hint("commit the change to another branch, or take it back")
}

/// Tells whether the file system takes `HEAD` for `head`.
fn folds_case(git_dir: &Path) -> bool {
    git_dir.join("hEaD").symlink_metadata().is_ok()
}

/// Removes a directory in which there are only directories.
fn remove_empty_tree(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        remove_empty_tree(&entry?.path())?;
    }
    Ok(fs::remove_dir(directory)?)
}
