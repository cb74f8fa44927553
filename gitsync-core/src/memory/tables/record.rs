//! What is recorded of references and commits.

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

    pub(super) fn apply(&mut self, recording: &Recording, fence: i64, now: Timestamp) {
        if recording.full {
            self.refs.clear();
            for row in self.commits.values_mut().filter(|row| row.recorded_by != fence) {
                row.orphaned_at.get_or_insert(now);
            }
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
