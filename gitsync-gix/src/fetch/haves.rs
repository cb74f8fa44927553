//! What we tell the upstream to have.

use std::collections::HashSet;

use gitsync_core::Result;
use gitsync_core::backend::Head;
use gitsync_core::model::CommitObject;
use gix::objs::{Find as _, Kind};
use gix::odb::Header as _;

use crate::convert::{to_gix, unreadable};
use crate::open::Repository;
use crate::refs;

/// How many tips are told in the first round, before anything is walked.
const FIRST_ROUND: usize = 256;

/// Ids of ours that the upstream may know.
///
/// References of our own namespace are left out: upstream does not have them, and walking what it once had and gave up
/// would cost a round for nothing.
#[derive(Debug, Default)]
pub(super) struct Haves {
    /// Those most likely known, told in one go: the branches, or the newest of them.
    pub(super) likely: Vec<gix::ObjectId>,
    /// All tips.
    pub(super) tips: Vec<gix::ObjectId>,
}

impl Haves {
    /// Reads them from the local references.
    pub(super) fn of(repository: &Repository) -> Result<Self> {
        let local = refs::read(repository)?;
        let mut seen = HashSet::new();
        let mut haves = Haves::default();
        let mut branches = Vec::new();
        for (name, id) in local.refs.iter().filter(|(name, _)| !name.is_reserved()) {
            let id = to_gix(id);
            // What is not there must not be claimed: the upstream would leave out what it leads to.
            if seen.insert(id) && is_there(repository, &id)? {
                haves.tips.push(id);
                if name.is_branch() {
                    branches.push(id);
                }
            }
        }
        if let Head::Detached(id) = local.head
            && seen.insert(to_gix(&id))
            && is_there(repository, &to_gix(&id))?
        {
            haves.tips.push(to_gix(&id));
            branches.push(to_gix(&id));
        }
        haves.likely = if branches.is_empty() { haves.tips.clone() } else { branches };
        if haves.likely.len() > FIRST_ROUND {
            haves.likely = newest(repository, &haves.likely)?;
        }
        Ok(haves)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tips.is_empty()
    }
}

fn is_there(repository: &Repository, id: &gix::oid) -> Result<bool> {
    let header = repository.odb().try_header(id).map_err(|error| unreadable("an object cannot be read", error))?;
    Ok(header.is_some())
}

fn newest(repository: &Repository, ids: &[gix::ObjectId]) -> Result<Vec<gix::ObjectId>> {
    let mut buffer = Vec::new();
    let mut dated = Vec::with_capacity(ids.len());
    for id in ids {
        let found = repository.odb().try_find(id, &mut buffer);
        let object = found.map_err(|error| unreadable("an object cannot be read", error))?;
        let commit = object.filter(|object| object.kind == Kind::Commit);
        let date = commit.map_or(i64::MIN, |commit| CommitObject::new(commit.data).committer_date());
        dated.push((date, *id));
    }
    dated.sort_unstable_by(|one, other| other.cmp(one));
    Ok(dated.into_iter().take(FIRST_ROUND).map(|(_, id)| id).collect())
}
