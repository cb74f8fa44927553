//! What is recorded of references and commits.

use super::work::remove_some;
use super::{CommitRow, RepositoryRow, Tables};
use crate::clock::Timestamp;
use crate::model::{Commit, ObjectId, RefChange, RefUpdate};
use crate::store::{Recording, Work};

impl RepositoryRow {
    pub(super) fn record_commits(&mut self, commits: &[Commit], fence: i64) {
        for commit in commits {
            let row = CommitRow { commit: commit.clone(), recorded_by: fence, orphaned_at: None };
            self.commits.insert(commit.id, row);
        }
    }

    pub(super) fn orphan_commits(&mut self, ids: &[ObjectId], now: Timestamp) {
        for id in ids {
            if let Some(row) = self.commits.get_mut(id) {
                row.orphaned_at.get_or_insert(now);
            }
        }
    }

    /// Orphans what this start of the task did not record, and tells how many that were.
    pub(super) fn orphan_unrecorded(&mut self, fence: i64, limit: usize, now: Timestamp) -> usize {
        let unrecorded = |row: &&mut CommitRow| row.recorded_by != fence && row.orphaned_at.is_none();
        let chunk = self.commits.values_mut().filter(unrecorded).take(limit);
        chunk.map(|row| row.orphaned_at = Some(now)).count()
    }

    /// Removes references and commits, as many as are left of a limit.
    pub(super) fn remove_records(&mut self, left: &mut usize) {
        remove_some(&mut self.refs, left, |_| true);
        remove_some(&mut self.commits, left, |_| true);
    }

    pub(super) fn apply(&mut self, recording: &Recording) {
        if recording.full {
            self.refs.clear();
        }
        for name in &recording.removed {
            self.refs.remove(name);
        }
        for reference in &recording.changed {
            self.refs.insert(reference.name.clone(), reference.clone());
        }
        self.baseline_digest = recording.baseline_digest;
        self.policy_digest = recording.policy_digest;
    }
}

impl Tables {
    /// Adds to the log of references.
    pub(super) fn log(&mut self, work: Work, recording: &Recording, now: Timestamp) {
        let changes: Vec<_> = match recording.cloned_refs {
            Some(refs) => vec![RefChange::Cloned { refs }],
            None => recording.movements.iter().cloned().map(RefChange::Moved).collect(),
        };
        for change in changes {
            self.last_ref_update += 1;
            let id = self.last_ref_update;
            let update = RefUpdate { id, repository: work.repository, task: work.task, at: now, change };
            self.ref_updates.insert(id, update);
        }
    }
}
