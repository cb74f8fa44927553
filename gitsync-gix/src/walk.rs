//! Walking commits: all that the tips reach, less all that the hidden ones reach.

use std::collections::HashSet;
use std::fs;

use gitsync_core::Result;
use gitsync_core::backend::CommitWalk;
use gitsync_core::model::{Commit, CommitObject};
use gitsync_core::transport::CallLimits;
use gix::hashtable::HashSet as IdSet;
use gix::odb::pack::index::File as PackIndex;

use crate::convert::{from_gix, hash_kind, unreadable};
use crate::graph::{Graph, Hunt, find_commit, parents_in};
use crate::open::Repository;

/// How many commits are walked between two looks at the limits.
const CHECK_EVERY: usize = 256;

/// After how many searches in vain all that is hidden is explored: each "no" may look far, and that one is the last.
const SEARCHES_IN_VAIN: usize = 2;

/// Walks commits and hands each to `each`, exactly once and in no particular order, until that returns `false`.
///
/// # Errors
/// [`Corrupt`](gitsync_core::ErrorKind::Corrupt) if a commit that the walk needs is missing, the errors of the limits, and
/// those of `each`.
pub fn walk(
    repository: &Repository,
    request: &CommitWalk,
    limits: &CallLimits,
    each: &mut dyn FnMut(Commit) -> Result<bool>,
) -> Result<()> {
    let hidden = request.hidden.iter().map(|id| repository.local_id(id)).collect::<Result<IdSet<_>>>()?;
    let fresh = FreshPacks::open(repository, &request.fresh_packs)?;
    let mut seen = IdSet::<gix::ObjectId>::default();
    let mut stack = Vec::new();
    for tip in request.tips.iter().rev() {
        let tip = repository.local_id(tip)?;
        if !hidden.contains(&tip) && seen.insert(tip) {
            stack.push(tip);
        }
    }
    let mut hunt: Option<(Graph<'_>, Hunt)> = None;
    let (mut in_vain, mut walked, mut buffer) = (0, 0_usize, Vec::new());
    while let Some(id) = stack.pop() {
        if walked.is_multiple_of(CHECK_EVERY) {
            limits.check()?;
        }
        walked += 1;
        if !hidden.is_empty() && !fresh.contains(&id) {
            if hunt.is_none() {
                hunt = Some(hunt_for(repository, limits, &hidden)?);
            }
            if let Some((graph, hunt)) = &mut hunt {
                if hunt.reaches(graph, id)? {
                    continue;
                }
                in_vain += 1;
                if in_vain == SEARCHES_IN_VAIN {
                    hunt.exhaust(graph)?;
                }
            }
        }
        let data = find_commit(repository, &id, &mut buffer)?;
        if !repository.shallow().contains(&id) {
            let new = |parent: &gix::ObjectId| !hidden.contains(parent) && seen.insert(*parent);
            stack.extend(parents_in(repository, data).filter(new));
        }
        if !each(CommitObject::new(data).decode(from_gix(&id)?))? {
            break;
        }
    }
    Ok(())
}

fn hunt_for<'a>(
    repository: &'a Repository,
    limits: &'a CallLimits,
    hidden: &IdSet<gix::ObjectId>,
) -> Result<(Graph<'a>, Hunt)> {
    let mut graph = Graph::new(repository, limits);
    let mut hunt = Hunt::new(&mut graph);
    for id in hidden {
        hunt.add(&mut graph, *id)?;
    }
    Ok((graph, hunt))
}

/// Packs that came after all that is hidden was complete: a commit that is only there cannot be reachable from it.
struct FreshPacks {
    fresh: Vec<PackIndex>,
    others: Vec<PackIndex>,
    loose: std::path::PathBuf,
}

impl FreshPacks {
    /// Opens the indices of all packs, if any pack is fresh. `names` are those of packs, without directory and ending.
    fn open(repository: &Repository, names: &[String]) -> Result<Self> {
        let objects = repository.git_dir().join("objects");
        let mut packs = FreshPacks { fresh: Vec::new(), others: Vec::new(), loose: objects.clone() };
        if names.is_empty() {
            return Ok(packs);
        }
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        for entry in fs::read_dir(objects.join("pack"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "idx") {
                let index = PackIndex::at(&path, hash_kind(repository.format()))
                    .map_err(|error| unreadable("a pack's index cannot be read", error).with("path", path.display()))?;
                let is_fresh = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| names.contains(stem));
                if is_fresh { packs.fresh.push(index) } else { packs.others.push(index) }
            }
        }
        Ok(packs)
    }

    /// Tells whether a fresh pack, and nothing else, holds the object.
    ///
    /// Being in a fresh pack is not enough: one that completes a thin pack holds copies of old objects, and an upstream may
    /// send what is there already.
    fn contains(&self, id: &gix::oid) -> bool {
        let in_any = |packs: &[PackIndex]| packs.iter().any(|index| index.lookup(id).is_some());
        in_any(&self.fresh) && !in_any(&self.others) && {
            let hex = id.to_string();
            !self.loose.join(&hex[..2]).join(&hex[2..]).exists()
        }
    }
}
