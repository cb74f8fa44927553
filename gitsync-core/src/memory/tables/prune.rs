//! The end of what was kept long enough.

use std::collections::BTreeMap;

use super::Tables;
use crate::clock::Timestamp;
use crate::model::{RepositoryId, SyncTask, TaskId};
use crate::store::{MAX_STORE_BATCH, Retention};

impl Tables {
    pub(in crate::memory) fn prune(&mut self, retention: &Retention) -> u64 {
        let limit = retention.limit.min(MAX_STORE_BATCH);
        let mut removed = 0;
        let old_tasks: Vec<_> = self.old_tasks(retention.tasks_before).take(limit).collect();
        for id in old_tasks {
            self.tasks.remove(&id);
            self.tombstones.remove(&id);
            removed += 1;
        }
        let is_old = |at: Timestamp| at < retention.ref_updates_before;
        let old_updates = self.ref_updates.values().filter(|update| is_old(update.at)).map(|update| update.id);
        let old_updates: Vec<_> = old_updates.take(limit - removed).collect();
        for id in old_updates {
            self.ref_updates.remove(&id);
            removed += 1;
        }
        removed as u64
    }

    fn old_tasks(&self, before: Timestamp) -> impl Iterator<Item = TaskId> {
        let ended = self.tasks.values().filter(|task| task.status.is_terminal());
        // Ids come in order: the last one of each repository stays.
        let last: BTreeMap<RepositoryId, TaskId> = ended.clone().map(|task| (task.repository, task.id)).collect();
        let is_old = move |task: &&SyncTask| task.completed_at.is_some_and(|at| at < before);
        let is_last = move |task: &SyncTask| last.get(&task.repository) == Some(&task.id);
        let tasks = ended.filter(is_old).filter(move |task| !is_last(task));
        tasks.chain(self.tombstones.values().filter(is_old)).map(|task| task.id)
    }
}
