//! The shallow boundary: where a history ends because a limited depth was fetched.

use std::fs;
use std::path::Path;

use gitsync_core::Result;
use gitsync_core::backend::Head;
use gitsync_core::model::ObjectId;
use gitsync_core::transport::CallLimits;

use crate::descend::CHECK_EVERY;
use crate::graph::parents_in;
use crate::id_map::IdSet;
use crate::objects::{Kind, Objects, read_commit};
use crate::peel::target_of;
use crate::refs;
use crate::repository::Repository;

/// Writes a `shallow` file that says where a repository ends, for an upstream to be told, and returns what it says. Commits at
/// the boundary that are not there, since nothing leads to them any more, are left out: an upstream sends nobody what he
/// says he has.
///
/// # Errors
/// Those of reading and writing.
pub fn copy_shallow(repository: &Repository<impl Objects>, git_dir: &Path) -> Result<IdSet> {
    let mut told = IdSet::default();
    for id in repository.shallow() {
        if repository.objects().kind(id)?.is_some() {
            told.insert(*id);
        }
    }
    if !told.is_empty() {
        let lines: String = told.iter().map(|id| format!("{id}\n")).collect();
        fs::write(git_dir.join("shallow"), lines)?;
    }
    Ok(told)
}

/// What becomes of the boundary of a repository by a fetch.
#[derive(Debug)]
pub struct Boundary {
    after: IdSet,
    /// Commits that were at the boundary and have their parents by now.
    regained: Vec<ObjectId>,
}

impl Boundary {
    /// Takes the boundary as it is after what the upstream said of it.
    pub fn new<O>(repository: &Repository<O>, after: IdSet) -> Self {
        let regained = repository.shallow().difference(&after).copied().collect();
        Boundary { after, regained }
    }

    /// Returns the commits whose parents need not be there.
    pub fn ids(&self) -> &IdSet {
        &self.after
    }

    /// Returns the parents that must be there, since their children are at the boundary no more. Nothing new leads to them.
    ///
    /// # Errors
    /// [`Corrupt`](gitsync_core::ErrorKind::Corrupt) if a child cannot be read.
    pub fn regained(&self, repository: &Repository<impl Objects>) -> Result<Vec<ObjectId>> {
        let (mut parents, mut buffer) = (Vec::new(), Vec::new());
        for id in &self.regained {
            // One that no reference leads to may have been pruned.
            if repository.objects().exists(id) {
                read_commit(repository.objects(), id, &mut buffer)?;
                parents.extend(parents_in(repository, &buffer));
            }
        }
        Ok(parents)
    }

    /// Returns the boundary to be published, sorted, without what neither a reference nor a want leads to; `None` if that is
    /// the one on disk.
    ///
    /// # Errors
    /// Those of the limits and of reading.
    pub fn publishable(
        self,
        repository: &Repository<impl Objects>,
        new: &impl Objects,
        wants: &[ObjectId],
        limits: &CallLimits,
    ) -> Result<Option<Vec<ObjectId>>> {
        if self.after.is_empty() && repository.shallow().is_empty() {
            return Ok(None);
        }
        let reached = self.reached(repository, new, wants, limits)?;
        if reached == *repository.shallow() {
            return Ok(None);
        }
        let mut reached: Vec<ObjectId> = reached.into_iter().collect();
        reached.sort_unstable();
        Ok(Some(reached))
    }

    /// Walks from all references and wants to the boundary.
    fn reached(
        &self,
        repository: &Repository<impl Objects>,
        new: &impl Objects,
        wants: &[ObjectId],
        limits: &CallLimits,
    ) -> Result<IdSet> {
        let local = refs::read(repository)?;
        let mut stack: Vec<ObjectId> = local.refs.iter().map(|(_, id)| *id).chain(wants.iter().copied()).collect();
        if let Head::Detached(id) = local.head {
            stack.push(id);
        }
        let mut seen: IdSet = stack.iter().copied().collect();
        let (mut reached, mut buffer, mut looked_at) = (IdSet::default(), Vec::new(), 0_usize);
        while let Some(id) = stack.pop() {
            if looked_at.is_multiple_of(CHECK_EVERY) {
                limits.check()?;
            }
            looked_at += 1;
            if self.after.contains(&id) {
                reached.insert(id);
                continue;
            }
            let kind = match new.read(&id, &mut buffer)? {
                Some(kind) => Some(kind),
                None => repository.objects().read(&id, &mut buffer)?,
            };
            let mut add = |id| {
                if seen.insert(id) {
                    stack.push(id);
                }
            };
            match kind {
                Some(Kind::Commit) => parents_in(repository, &buffer).for_each(&mut add),
                Some(Kind::Tag) => target_of(&buffer).into_iter().for_each(&mut add),
                // What is missing was so before: others find that out.
                Some(Kind::Tree | Kind::Blob) | None => {}
            }
        }
        Ok(reached)
    }
}
