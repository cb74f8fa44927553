//! Walking commits: all that the tips reach, less all that the hidden ones reach.

use gitsync_core::Result;
use gitsync_core::backend::CommitWalk;
use gitsync_core::model::{Commit, CommitObject, ObjectId};
use gitsync_core::transport::CallLimits;

use crate::fresh::FreshPacks;
use crate::graph::{Graph, Hunt, parents_in};
use crate::id_map::IdSet;
use crate::objects::{Objects, read_commit};
use crate::repository::Repository;

/// How many commits are walked between two looks at the limits.
const CHECK_EVERY: usize = 256;

/// After how many searches in vain all that is hidden is explored: each "no" may look far, and that one is the last.
const SEARCHES_IN_VAIN: usize = 2;

/// Walks commits and hands each to `each`, exactly once and in no particular order, until that returns `false`.
///
/// # Errors
/// [`Corrupt`](gitsync_core::ErrorKind::Corrupt) if a commit that the walk needs is missing, the errors of the limits, and
/// those of `each`.
pub fn walk<O: Objects>(
    repository: &Repository<O>,
    request: &CommitWalk,
    limits: &CallLimits,
    each: &mut dyn FnMut(Commit) -> Result<bool>,
) -> Result<()> {
    let hidden = request.hidden.iter().map(|id| repository.local_id(id)).collect::<Result<IdSet>>()?;
    let mut seen = IdSet::default();
    let mut stack = Vec::new();
    for tip in request.tips.iter().rev() {
        let tip = repository.local_id(tip)?;
        if !hidden.contains(&tip) && seen.insert(tip) {
            stack.push(tip);
        }
    }
    let fresh = FreshPacks::open(repository, &request.fresh_packs)?;
    let mut hunt: Option<(Graph<'_, O>, Hunt)> = None;
    let (mut in_vain, mut walked, mut buffer) = (0, 0_usize, Vec::new());
    while let Some(id) = stack.pop() {
        if walked.is_multiple_of(CHECK_EVERY) {
            limits.check()?;
        }
        walked += 1;
        if !hidden.is_empty() && !fresh.contains(&id)? {
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
        read_commit(repository.objects(), &id, &mut buffer)?;
        if !repository.shallow().contains(&id) {
            let new = |parent: &ObjectId| !hidden.contains(parent) && seen.insert(*parent);
            stack.extend(parents_in(repository, &buffer).filter(new));
        }
        if !each(CommitObject::new(&buffer).decode(id))? {
            break;
        }
    }
    Ok(())
}

fn hunt_for<'a, O: Objects>(
    repository: &'a Repository<O>,
    limits: &'a CallLimits,
    hidden: &IdSet,
) -> Result<(Graph<'a, O>, Hunt)> {
    let mut graph = Graph::new(repository, limits);
    let mut hunt = Hunt::new(&mut graph);
    for id in hidden {
        hunt.add(&mut graph, *id)?;
    }
    Ok((graph, hunt))
}
