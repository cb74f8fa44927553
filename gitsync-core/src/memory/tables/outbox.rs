//! What has to get into the queue.

use super::{Tables, check_batch};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::SyncTask;
use crate::queue::NewJob;
use crate::rules;
use crate::state::TaskStatus;
use crate::store::MAX_STORE_BATCH;

impl Tables {
    pub(in crate::memory) fn outbox(&self, limit: usize) -> Result<Vec<NewJob>> {
        let waiting = |task: &&SyncTask| task.status == TaskStatus::Pending && !task.held && task.enqueued_at.is_none();
        let tasks = self.tasks.values().filter(waiting).take(limit.min(MAX_STORE_BATCH));
        tasks.map(|task| self.job(task)).collect()
    }

    pub(in crate::memory) fn mark_enqueued(&mut self, jobs: &[NewJob], now: Timestamp) -> Result<()> {
        check_batch(jobs.len())?;
        for job in jobs {
            let is_the_same = self.tasks.get(&job.id).is_some_and(|task| self.job(task).is_ok_and(|now| now == *job));
            if is_the_same && let Some(task) = self.tasks.get_mut(&job.id) {
                task.enqueued_at.get_or_insert(now);
            }
        }
        Ok(())
    }

    fn job(&self, task: &SyncTask) -> Result<NewJob> {
        Ok(rules::job(&self.row(task.repository)?.repository, task))
    }
}
