//! Requests for tasks, by users and by the schedule, and their cancellation.

use super::Tables;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{RepositoryId, SyncTask, TaskId};
use crate::rules::{self, Disposition, Due, DueScan, Request, Requested};
use crate::store::MAX_STORE_BATCH;

impl Tables {
    pub(in crate::memory) fn request_task(
        &mut self,
        id: RepositoryId,
        request: &Request,
        now: Timestamp,
    ) -> Result<Requested> {
        let row = self.row(id)?;
        let requested = rules::request(&row.repository, self.unfinished(id), &row.push_targets(), request, now)?;
        if requested.disposition == Disposition::Created {
            self.check_new_task(request.id)?;
        }
        let tasks = [Some(&requested.task), requested.stopping.as_deref()];
        self.write(*requested.repository.clone(), tasks.into_iter().flatten())?;
        Ok(requested)
    }

    pub(super) fn check_new_task(&self, id: TaskId) -> Result<()> {
        if self.has_task(id) {
            return Err(Error::new(ErrorKind::AlreadyExists, "there is a task of that id").with("task", id));
        }
        Ok(())
    }

    pub(in crate::memory) fn request_due(&mut self, limit: usize, now: Timestamp) -> Result<DueScan> {
        let repositories = self.repositories.values().map(|row| &row.repository);
        let mut due: Vec<_> = repositories
            .filter(|repository| rules::is_due(repository, now))
            .map(|repository| (repository.next_sync_at, repository.id))
            .collect();
        due.sort_unstable();
        due.truncate(limit.min(MAX_STORE_BATCH));

        let mut found = DueScan { looked_at: due.len(), ..DueScan::default() };
        for (_, id) in due {
            let Due { repository, task, paused } =
                rules::due(&self.row(id)?.repository, self.unfinished(id), TaskId::generate(), now);
            found.paused.extend(paused);
            self.write(repository, &task)?;
            found.tasks.extend(task);
        }
        Ok(found)
    }

    pub(in crate::memory) fn cancel_task(&mut self, id: TaskId, now: Timestamp) -> Result<SyncTask> {
        if let Some(tombstone) = self.tombstones.get(&id) {
            return Ok(tombstone.clone());
        }
        let task = self.task(id)?;
        let (repository, cancelled) = rules::cancel(&self.row(task.repository)?.repository, task, now)?;
        self.write(repository, [&cancelled])?;
        Ok(cancelled)
    }
}
