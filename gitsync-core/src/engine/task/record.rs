//! Making the records say what is on disk.

use std::collections::HashMap;
use std::future::poll_fn;

use super::sync::unique;
use super::{Attempt, Done};
use crate::backend::{AdvertisedRef, Advertisement, CommitWalk, Head, Resolved};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Commit, ObjectId, RecordedRef, RefName};
use crate::plan::{Digest, MovementKind, ObjectFacts, RefMapping, SyncPlan, head_after, refs_digest};
use crate::rules::Completion;
use crate::source::SourceUrl;
use crate::store::{Chunk, MAX_STORE_BATCH, Recording};

/// How many commits one call marks as orphaned after a full walk: so few that others that write hardly wait for it.
pub(in crate::engine) const ORPHAN_CHUNK: usize = 1_000;

/// What has been published and is to be recorded.
pub(super) struct Books {
    /// The plan that was carried out.
    pub(super) plan: SyncPlan,
    pub(super) facts: ObjectFacts,
    /// What was recorded before.
    pub(super) baseline: Vec<RecordedRef>,
    /// The branches and tags on disk, by name.
    pub(super) history: Vec<(RefName, ObjectId)>,
    /// What `HEAD` points to, and the object there.
    pub(super) head: (Head, Option<ObjectId>),
    pub(super) digest: Digest,
    pub(super) policy: Digest,
    /// The source, where the repository has one.
    pub(super) source: Option<SourceUrl>,
    /// The packs that came with this attempt.
    pub(super) fresh_packs: Vec<String>,
    /// Whether the records cannot be built upon, so that everything is walked.
    pub(super) full: bool,
    /// Whether the history has a boundary: a branch may have moved on so far that nothing leads to where it was.
    pub(super) is_shallow: bool,
    /// Whether the shallow boundary moved: what is reached now is not only more than before, but also less.
    pub(super) boundary_moved: bool,
}

impl Books {
    pub(super) fn new(
        mapping: &RefMapping,
        plan: SyncPlan,
        facts: ObjectFacts,
        baseline: Vec<RecordedRef>,
        advertised: &Advertisement,
        head_before: &Head,
    ) -> Self {
        let head = head_after(advertised, head_before);
        let at_head = match &head {
            // A branch that is left out is not there: to the mirror it is unborn.
            Head::Branch(name) => advertised.refs.iter().find(|r| r.name == *name && mapping.takes(name)).map(|r| r.id),
            Head::Detached(id) => Some(*id),
        };
        let taken = advertised.refs.iter().filter(|r| mapping.takes(&r.name));
        let is_history = |r: &&AdvertisedRef| r.name.is_branch() || r.name.is_tag();
        Books {
            digest: refs_digest(mapping, advertised.refs.iter().map(|r| (&r.name, &r.id)), &head),
            history: taken.filter(is_history).map(|r| (r.name.clone(), r.id)).collect(),
            head: (head, at_head),
            plan,
            facts,
            baseline,
            policy: Digest::default(),
            source: None,
            fresh_packs: Vec::new(),
            full: false,
            is_shallow: false,
            boundary_moved: false,
        }
    }

    /// Tells whether commits that were recorded may be out of reach now.
    fn something_went(&self) -> bool {
        let movements = self.plan.movements(&self.facts);
        self.is_shallow || movements.iter().any(|it| matches!(it.kind, MovementKind::Forced | MovementKind::Deleted))
    }
}

impl Attempt {
    /// Records the commits that are new and marks those that are gone, then hands over the books to finish with.
    ///
    /// The total is counted from the walks: what the new tips reach beyond the recorded ones, less what those reached
    /// beyond the new. Commits that happen to be in the table, from a task that broke off, never count.
    pub(super) async fn record(&self, mut books: Books) -> Result<Done> {
        self.progress.phase("recording");
        let commits = self.commits_of(&books).await?;
        let tips =
            |ids: &mut dyn Iterator<Item = ObjectId>| unique(ids.filter_map(|id| commits.get(&id).copied().flatten()));
        let recorded = unique(books.baseline.iter().filter_map(|recorded| recorded.commit));
        let present = tips(&mut books.history.iter().map(|(_, id)| *id));

        self.parts.store.begin_recording(self.started.work).await?;
        self.step("recording begun").await?;
        let new = if books.boundary_moved { self.count_beyond(&present, &recorded).await? } else { 0 };
        let (gained, lost) = if books.full {
            let gained = self.record_commits(CommitWalk { tips: present, ..CommitWalk::default() }).await?;
            self.orphan_unrecorded().await?;
            (gained, 0)
        } else {
            let fresh_packs = std::mem::take(&mut books.fresh_packs);
            let gained = CommitWalk { tips: present.clone(), hidden: recorded.clone(), fresh_packs };
            let gained = self.record_commits(gained).await?;
            let lost = CommitWalk { tips: recorded, hidden: present, fresh_packs: Vec::new() };
            (gained, if books.something_went() { self.orphan_commits(lost).await? } else { 0 })
        };
        self.step("recorded").await?;

        let repository = &self.started.repository;
        let before = if books.full { 0 } else { repository.total_commits };
        let first_clone = books.baseline.is_empty() && repository.total_commits == 0;
        let last_commit = books.head.1.and_then(|id| commits.get(&id).copied().flatten());
        let completion = Completion {
            source: books.source.clone(),
            default_branch: match &books.head.0 {
                Head::Branch(name) => Some(name.clone()),
                Head::Detached(_) => None,
            },
            last_commit,
            total_commits: before + count(gained) - count(lost),
            recorded_refs: count(books.history.len() as u64),
            size_bytes: self.size_on_disk().await?,
            commits_synced: if books.full && !first_clone {
                u64::try_from(count(gained) - repository.total_commits).unwrap_or(0).max(new)
            } else {
                gained
            },
            changed: !books.plan.moved.is_empty() || books.plan.head.is_some(),
            synced: true,
        };
        Ok(Done::Books(Box::new(completion), recording(books, &commits, first_clone)))
    }

    /// Tells whether the disk lost a tip that was recorded; then nothing can be excluded by it.
    pub(super) async fn a_recorded_tip_is_missing(&self, baseline: &[RecordedRef]) -> Result<bool> {
        let tips = unique(baseline.iter().map(|recorded| recorded.id));
        Ok(self.parts.backend.resolve(&self.published, &tips).await?.contains(&Resolved::Missing))
    }

    /// Finds the commit that each branch, tag and `HEAD` leads to, where it leads to one.
    async fn commits_of(&self, books: &Books) -> Result<HashMap<ObjectId, Option<ObjectId>>> {
        let ids = unique(books.history.iter().map(|(_, id)| *id).chain(books.head.1));
        let resolved = self.parts.backend.resolve(&self.published, &ids).await?;
        let commit = |(id, resolved)| match resolved {
            Resolved::Commit(commit) => Ok((id, Some(commit))),
            Resolved::Other => Ok((id, None)),
            Resolved::Missing => {
                Err(Error::new(ErrorKind::Corrupt, "a branch or tag leads to an object that is not there")
                    .with("id", id)
                    .hint("migrate with force to clone the repository anew"))
            }
        };
        ids.into_iter().zip(resolved).map(commit).collect()
    }

    async fn record_commits(&self, walk: CommitWalk) -> Result<u64> {
        let mut recorded = 0;
        let mut batches = self.parts.backend.walk_commits(&self.published, walk, &self.context).await?;
        while let Some(batch) = poll_fn(|cx| batches.as_mut().poll_next(cx)).await {
            for commits in batch?.chunks(MAX_STORE_BATCH) {
                self.parts.store.record_commits(self.started.work, commits).await?;
                recorded += commits.len() as u64;
                self.progress.recorded(recorded);
            }
            self.step("batch recorded").await?;
        }
        Ok(recorded)
    }

    /// Counts the commits that some tips reach, and others, as far as those are there, do not.
    async fn count_beyond(&self, tips: &[ObjectId], hidden: &[ObjectId]) -> Result<u64> {
        let resolved = self.parts.backend.resolve(&self.published, hidden).await?;
        let there = hidden.iter().zip(resolved).filter(|(_, found)| *found != Resolved::Missing);
        let hidden = there.map(|(id, _)| *id).collect();
        let walk = CommitWalk { tips: tips.to_vec(), hidden, fresh_packs: Vec::new() };
        let mut batches = self.parts.backend.walk_commits(&self.published, walk, &self.context).await?;
        let mut counted = 0;
        while let Some(batch) = poll_fn(|cx| batches.as_mut().poll_next(cx)).await {
            counted += batch?.len() as u64;
        }
        Ok(counted)
    }

    async fn orphan_commits(&self, walk: CommitWalk) -> Result<u64> {
        let mut orphaned = 0;
        let mut batches = self.parts.backend.walk_commits(&self.published, walk, &self.context).await?;
        while let Some(batch) = poll_fn(|cx| batches.as_mut().poll_next(cx)).await {
            let ids: Vec<ObjectId> = batch?.iter().map(|commit: &Commit| commit.id).collect();
            for ids in ids.chunks(MAX_STORE_BATCH) {
                self.parts.store.orphan_commits(self.started.work, ids).await?;
                orphaned += ids.len() as u64;
            }
            self.step("batch orphaned").await?;
        }
        Ok(orphaned)
    }

    /// Marks the commits that a full walk did not find.
    pub(super) async fn orphan_unrecorded(&self) -> Result<()> {
        while self.parts.store.orphan_unrecorded(self.started.work, ORPHAN_CHUNK).await? == Chunk::More {
            self.step("batch orphaned").await?;
        }
        Ok(())
    }
}

/// Returns the changes of branches, tags and the log.
fn recording(books: Books, commits: &HashMap<ObjectId, Option<ObjectId>>, first_clone: bool) -> Recording {
    let recorded = |name: &RefName, id: ObjectId| RecordedRef {
        name: name.clone(),
        id,
        commit: commits.get(&id).copied().flatten(),
    };
    let changed = if books.full {
        books.history.iter().map(|(name, id)| recorded(name, *id)).collect()
    } else {
        books.plan.moved.iter().filter_map(|(name, _, new)| Some(recorded(name, (*new)?))).collect()
    };
    let gone = books.plan.moved.iter().filter(|(_, _, new)| new.is_none());
    Recording {
        changed,
        removed: gone.map(|(name, ..)| name.clone()).collect(),
        movements: if first_clone { Vec::new() } else { books.plan.movements(&books.facts) },
        cloned_refs: first_clone.then_some(books.history.len() as u64),
        baseline_digest: Some(books.digest),
        policy_digest: Some(books.policy),
        full: books.full,
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
