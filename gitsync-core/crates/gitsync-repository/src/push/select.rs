//! Which objects a push target lacks.

use gitsync_core::backend::CommitWalk;
use gitsync_core::model::{CommitObject, ObjectId};
use gitsync_core::transport::CallLimits;
use gitsync_core::{Error, ErrorKind, Result};

use crate::graph::parents_in;
use crate::id_map::IdSet;
use crate::links::{entries, is_empty_tree};
use crate::objects::{Kind, Objects, read_commit};
use crate::peel::target_of;
use crate::repository::Repository;
use crate::walk::walk;

/// How many objects are looked at between two looks at the limits.
const CHECK_EVERY: usize = 256;

/// How many objects one push may have.
const MAX_OBJECTS: usize = 20_000_000;

/// Returns the objects that the tips reach and that a target lacks which has what `known` reaches: tags and commits first, then
/// trees and blobs, each once.
///
/// What the target knows and we do not is passed over, and so is all of it if there are holes in what we have of it. A file
/// that moved back to an old content is sent again: only the newest commits that the target has are compared with.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if an object is missing, [`ErrorKind::LimitExceeded`] for more than twenty million, and those of the
/// limits.
pub(super) fn select(
    repository: &Repository<impl Objects>,
    tips: &[ObjectId],
    known: &[ObjectId],
    limits: &CallLimits,
) -> Result<Vec<ObjectId>> {
    match select_beyond(repository, tips, known, limits) {
        // What is left of something that was pruned here may be known there.
        Err(error) if error.kind() == ErrorKind::Corrupt && !known.is_empty() => {
            select_beyond(repository, tips, &[], limits)
        }
        selected => selected,
    }
}

fn select_beyond(
    repository: &Repository<impl Objects>,
    tips: &[ObjectId],
    known: &[ObjectId],
    limits: &CallLimits,
) -> Result<Vec<ObjectId>> {
    let mut selection = Selection::new(repository, limits);
    let hidden = selection.mark_known(known)?;
    let commits = selection.add_tips(tips)?;

    let (mut new, mut looked_at) = (Vec::new(), 0_usize);
    let request = CommitWalk { tips: commits, hidden, fresh_packs: Vec::new() };
    walk(repository, &request, limits, &mut |commit| {
        new.push(commit.id);
        looked_at += 1;
        Ok(looked_at <= MAX_OBJECTS)
    })?;
    let is_new: IdSet = new.iter().copied().collect();
    let mut buffer = Vec::new();
    let mut trees = Vec::with_capacity(new.len());
    for id in &new {
        read_commit(repository.objects(), id, &mut buffer)?;
        trees.extend(CommitObject::new(&buffer).tree());
        let parents: Vec<ObjectId> = parents_in(repository, &buffer).collect();
        for parent in parents.iter().filter(|parent| !is_new.contains(parent)) {
            // The edge of what the target has: its trees are there.
            read_commit(repository.objects(), parent, &mut buffer)?;
            if let Some(tree) = CommitObject::new(&buffer).tree() {
                selection.mark(tree)?;
            }
        }
    }
    for id in new {
        selection.add(id)?;
    }
    for tree in trees {
        selection.add_tree(tree)?;
    }
    Ok(selection.objects)
}

/// Objects in the making.
struct Selection<'a, O> {
    repository: &'a Repository<O>,
    limits: &'a CallLimits,
    /// What is selected, or need not be.
    seen: IdSet,
    objects: Vec<ObjectId>,
    looked_at: usize,
    buffer: Vec<u8>,
}

impl<'a, O: Objects> Selection<'a, O> {
    fn new(repository: &'a Repository<O>, limits: &'a CallLimits) -> Self {
        Selection { repository, limits, seen: IdSet::default(), objects: Vec::new(), looked_at: 0, buffer: Vec::new() }
    }

    /// Notes what the target has, as far as we have it too, and returns the commits.
    fn mark_known(&mut self, known: &[ObjectId]) -> Result<Vec<ObjectId>> {
        let mut commits = Vec::new();
        for id in known {
            let mut next = Some(*id);
            while let Some(id) = next.take().filter(|id| !self.seen.contains(id)) {
                match self.repository.objects().kind(&id)? {
                    Some(Kind::Commit) => {
                        self.seen.insert(id);
                        commits.push(id);
                    }
                    Some(Kind::Tag) => {
                        self.seen.insert(id);
                        next = self.target_of(&id)?;
                    }
                    Some(Kind::Tree) => self.mark(id)?,
                    Some(Kind::Blob) => drop(self.seen.insert(id)),
                    None => {}
                }
            }
        }
        Ok(commits)
    }

    /// Selects tags, and trees and blobs that references lead to, and returns the commits.
    fn add_tips(&mut self, tips: &[ObjectId]) -> Result<Vec<ObjectId>> {
        let mut commits = Vec::new();
        for id in tips {
            let mut next = Some(*id);
            while let Some(id) = next.take().filter(|id| !self.seen.contains(id)) {
                match self.repository.objects().kind(&id)? {
                    // Selected by the walk, if at all.
                    Some(Kind::Commit) => commits.push(id),
                    Some(Kind::Tag) => {
                        self.add(id)?;
                        next = self.target_of(&id)?;
                    }
                    Some(Kind::Tree) => self.add_tree(id)?,
                    Some(Kind::Blob) => self.add(id)?,
                    None => return Err(missing(&id)),
                }
            }
        }
        Ok(commits)
    }

    /// Selects an object, unless that was done or need not be.
    fn add(&mut self, id: ObjectId) -> Result<()> {
        if self.seen.insert(id) {
            if self.objects.len() >= MAX_OBJECTS {
                return Err(Error::new(ErrorKind::LimitExceeded, "there are more objects to push than allowed")
                    .with("limit", MAX_OBJECTS));
            }
            self.objects.push(id);
        }
        Ok(())
    }

    /// Selects a tree and what is in it.
    fn add_tree(&mut self, root: ObjectId) -> Result<()> {
        self.descend(root, Selection::add)
    }

    /// Notes that the target has a tree and what is in it.
    fn mark(&mut self, root: ObjectId) -> Result<()> {
        self.descend(root, |selection, id| {
            selection.seen.insert(id);
            Ok(())
        })
    }

    /// Goes through a tree and the trees in it, each of which is read once in the life of the selection.
    fn descend(&mut self, root: ObjectId, each: impl Fn(&mut Self, ObjectId) -> Result<()>) -> Result<()> {
        let is_nowhere = |objects: &O| is_empty_tree(&root) && !objects.exists(&root);
        if self.seen.contains(&root) || is_nowhere(self.repository.objects()) {
            return Ok(());
        }
        each(self, root)?;
        let (mut stack, mut blobs) = (vec![root], Vec::new());
        while let Some(tree) = stack.pop() {
            if self.looked_at.is_multiple_of(CHECK_EVERY) {
                self.limits.check()?;
            }
            self.looked_at += 1;
            let mut buffer = std::mem::take(&mut self.buffer);
            let found = self.repository.objects().read(&tree, &mut buffer)?.ok_or_else(|| missing(&tree))?;
            let begin = stack.len();
            let understood = found != Kind::Tree
                || entries(&buffer, self.repository.format(), |id, is_tree| {
                    if !self.seen.contains(id) {
                        if is_tree { &mut stack } else { &mut blobs }.push(*id);
                    }
                    true
                });
            self.buffer = buffer;
            if !understood {
                return Err(Error::new(ErrorKind::Corrupt, "a tree makes no sense").with("id", tree));
            }
            for id in blobs.drain(..) {
                each(self, id)?;
            }
            // One tree may stand in another under several names.
            let mut at = begin;
            while let Some(id) = stack.get(at).copied() {
                if self.seen.contains(&id) {
                    stack.swap_remove(at);
                } else {
                    each(self, id)?;
                    at += 1;
                }
            }
        }
        Ok(())
    }

    fn target_of(&mut self, tag: &ObjectId) -> Result<Option<ObjectId>> {
        self.repository.objects().read(tag, &mut self.buffer)?;
        Ok(target_of(&self.buffer).filter(|id| id.format() == self.repository.format()))
    }
}

fn missing(id: &ObjectId) -> Error {
    Error::new(ErrorKind::Corrupt, "an object that is to be pushed is missing").with("missing", id)
}
