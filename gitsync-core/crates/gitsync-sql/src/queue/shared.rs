//! Calls of several workers as one, and its answer to each of them.

use gitsync_core::Result;
use gitsync_core::queue::{ClaimRequest, ClaimedJob, JobEnd, MAX_BATCH};
use gitsync_core::together::Together;

/// The calls of a queue that are done together when they come at the same time: a search for many jobs takes hardly longer than
/// one for a few.
#[derive(Debug)]
pub struct QueueCalls {
    /// Claims, each with an outcome of its own.
    pub claims: Together<ClaimRequest, Result<Vec<ClaimedJob>>>,
    /// Ends of leases.
    pub ends: Together<Vec<JobEnd>, Vec<bool>>,
}

impl Default for QueueCalls {
    /// Creates them, for no more jobs at once than one call may be about. One transaction of each kind at a time: several would
    /// be at the rows of the same hosts.
    fn default() -> Self {
        QueueCalls {
            claims: Together::new(1, MAX_BATCH, |claim| claim.limit),
            ends: Together::new(1, MAX_BATCH, Vec::len),
        }
    }
}

/// The claims of several workers, those for the same storages as one.
#[derive(Debug)]
pub struct SharedClaims {
    groups: Vec<Group>,
    /// How many workers there are.
    count: usize,
}

/// Workers that serve the same storages.
#[derive(Debug)]
struct Group {
    /// What they ask for in all.
    request: ClaimRequest,
    /// Where each is among all, and how many jobs it wants.
    members: Vec<(usize, usize)>,
    outcome: Result<Vec<ClaimedJob>>,
}

impl SharedClaims {
    /// Puts those together that serve the same storages.
    pub fn new(requests: Vec<ClaimRequest>) -> Self {
        let count = requests.len();
        let mut groups: Vec<Group> = Vec::new();
        for (at, mut request) in requests.into_iter().enumerate() {
            request.storages.sort_unstable();
            request.storages.dedup();
            let member = (at, request.limit);
            match groups.iter_mut().find(|group| group.request.storages == request.storages) {
                Some(group) => {
                    group.request.limit += request.limit;
                    group.members.push(member);
                }
                None => groups.push(Group { request, members: vec![member], outcome: Ok(Vec::new()) }),
            }
        }
        SharedClaims { groups, count }
    }

    /// Returns the claims that are to be done, each with the place for its outcome.
    pub fn each(&mut self) -> impl Iterator<Item = (&ClaimRequest, &mut Result<Vec<ClaimedJob>>)> {
        self.groups.iter_mut().map(|group| (&group.request, &mut group.outcome))
    }

    /// Deals out what was claimed: who came first gets the most urgent jobs.
    pub fn into_answers(self) -> Vec<Result<Vec<ClaimedJob>>> {
        let mut answers: Vec<_> = (0..self.count).map(|_| Ok(Vec::new())).collect();
        for group in self.groups {
            let mut outcome = group.outcome.map(Vec::into_iter);
            for (at, limit) in group.members {
                let jobs = outcome.as_mut().map_err(|error| error.clone());
                answers[at] = jobs.map(|jobs| jobs.take(limit).collect());
            }
        }
        answers
    }
}

/// Splits the answers to the ends of several workers, which were given as one call, into those of each.
pub fn split_ends(ends: &[Vec<JobEnd>], answers: Vec<bool>) -> Vec<Vec<bool>> {
    let mut answers = answers.into_iter();
    ends.iter().map(|ends| answers.by_ref().take(ends.len()).collect()).collect()
}

#[cfg(test)]
mod tests {
    use gitsync_core::model::TaskId;
    use gitsync_core::queue::{JobOutcome, Lane, Lease};
    use gitsync_core::{Error, ErrorKind};

    use super::*;

    fn request(limit: usize, storages: &[&str]) -> ClaimRequest {
        ClaimRequest { limit, storages: storages.iter().map(|storage| storage.parse().unwrap()).collect() }
    }

    fn jobs(count: i64) -> Vec<ClaimedJob> {
        let lane = Lane { storage: "a".parse().unwrap(), host: "a.example".parse().unwrap() };
        let job = |epoch| ClaimedJob {
            lease: Lease { id: TaskId::generate(), epoch },
            lane: lane.clone(),
            attempt: 1,
            exhausted: false,
        };
        (0..count).map(job).collect()
    }

    #[test]
    fn who_serves_the_same_storages_shares_a_claim() {
        let requests = vec![request(2, &["a", "b"]), request(9, &["c"]), request(3, &["b", "a", "b"])];
        let mut shared = SharedClaims::new(requests);
        let asked: Vec<_> = shared.each().map(|(request, _)| request.clone()).collect();
        assert_eq!(asked, [request(5, &["a", "b"]), request(9, &["c"])]);

        let found = jobs(4);
        for (request, outcome) in shared.each() {
            *outcome = match request.limit {
                5 => Ok(found.clone()),
                _ => Err(Error::new(ErrorKind::Unavailable, "away")),
            };
        }
        let mut answers = shared.into_answers();
        assert_eq!(answers.remove(2).unwrap(), found[2..]);
        assert_eq!(answers.remove(1).unwrap_err().kind(), ErrorKind::Unavailable, "of others it says nothing");
        assert_eq!(answers.remove(0).unwrap(), found[..2]);
    }

    #[test]
    fn each_is_told_of_its_own_ends() {
        let end = || JobEnd::new(Lease { id: TaskId::generate(), epoch: 1 }, JobOutcome::Done);
        let ends = [vec![end(), end()], vec![], vec![end()]];
        assert_eq!(split_ends(&ends, vec![true, false, true]), [vec![true, false], vec![], vec![true]]);
    }
}
