//! What we tell the upstream to have.

use gitsync_core::Result;
use gitsync_core::backend::Head;
use gitsync_core::model::{CommitObject, ObjectId};

use crate::id_map::IdSet;
use crate::objects::{Kind, Objects};
use crate::refs;
use crate::repository::Repository;

/// How many tips are told in the first round, before anything is walked.
const FIRST_ROUND: usize = 256;

/// Ids of ours that the upstream may know.
///
/// References of our own namespace are left out: upstream does not have them, and walking what it once had and gave up
/// would cost a round for nothing.
#[derive(Debug, Default)]
pub struct Haves {
    /// Those most likely known, told in one go: the branches, or the newest of them.
    pub likely: Vec<ObjectId>,
    /// All tips.
    pub tips: Vec<ObjectId>,
}

impl Haves {
    /// Reads them from the local references.
    pub fn of(repository: &Repository<impl Objects>) -> Result<Self> {
        let local = refs::read(repository)?;
        let mut seen = IdSet::default();
        let mut haves = Haves::default();
        let mut branches = Vec::new();
        for (name, id) in local.refs.iter().filter(|(name, _)| !name.is_reserved()) {
            // What is not there must not be claimed: the upstream would leave out what it leads to.
            if seen.insert(*id) && repository.objects().kind(id)?.is_some() {
                haves.tips.push(*id);
                if name.is_branch() {
                    branches.push(*id);
                }
            }
        }
        if let Head::Detached(id) = local.head
            && seen.insert(id)
            && repository.objects().kind(&id)?.is_some()
        {
            haves.tips.push(id);
            branches.push(id);
        }
        // What is behind the tips of a shallow repository is told by no further round.
        let all = branches.is_empty() || !repository.shallow().is_empty();
        haves.likely = if all { haves.tips.clone() } else { branches };
        if haves.likely.len() > FIRST_ROUND {
            haves.likely = newest(repository, &haves.likely)?;
        }
        Ok(haves)
    }

    /// Tells whether there is nothing that the upstream may know.
    pub fn is_empty(&self) -> bool {
        self.tips.is_empty()
    }
}

fn newest(repository: &Repository<impl Objects>, ids: &[ObjectId]) -> Result<Vec<ObjectId>> {
    let mut buffer = Vec::new();
    let mut dated = Vec::with_capacity(ids.len());
    for id in ids {
        let date = match repository.objects().read(id, &mut buffer)? {
            Some(Kind::Commit) => CommitObject::new(&buffer).committer_date(),
            _ => i64::MIN,
        };
        dated.push((date, *id));
    }
    dated.sort_unstable_by(|one, other| other.cmp(one));
    Ok(dated.into_iter().take(FIRST_ROUND).map(|(_, id)| id).collect())
}
