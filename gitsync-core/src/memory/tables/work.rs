//! The start and the end of work on a task.

use std::collections::BTreeMap;

use super::{Tables, check_batch};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Commit, ObjectId, Progress, SyncTask, TaskId};
use crate::rules::{self, Finished, Outcome, Start};
use crate::store::{Chunk, MAX_STORE_BATCH, Recording, StartedTask, StartedWork, Work};

impl Tables {
    pub(in crate::memory) fn start_task(
        &mut self,
        id: TaskId,
        epoch: i64,
        attempt: u32,
        now: Timestamp,
    ) -> Result<StartedTask> {
        let Some(task) = self.tasks.get(&id) else { return Ok(StartedTask::AlreadyFinished) };
        let row = self.row(task.repository)?;
        let Start::Run { repository, task } = rules::start(&row.repository, task, epoch, attempt, now)? else {
            return Ok(StartedTask::AlreadyFinished);
        };
        let started = StartedWork {
            work: Work { task: id, repository: repository.id, fence: repository.fence },
            organisation: self.organisation(repository.organisation)?.slug.clone(),
            was_recording: repository.recording.is_some(),
            baseline_digest: row.baseline_digest,
            policy_digest: row.policy_digest,
            task: *task,
            repository: *repository,
            started_at: now,
        };
        self.write(started.repository.clone(), [&started.task])?;
        Ok(StartedTask::Run(Box::new(started)))
    }

    /// Checks that a worker may write. Everything it writes comes after that.
    pub(super) fn check_work(&self, work: Work) -> Result<()> {
        rules::may_write(&self.row(work.repository)?.repository, self.task(work.task)?, work.fence)
    }

    pub(in crate::memory) fn report_progress(&mut self, work: Work, progress: &Progress) -> Result<()> {
        self.check_work(work)?;
        if let Some(task) = self.tasks.get_mut(&work.task) {
            task.progress = progress.clone();
        }
        Ok(())
    }

    pub(in crate::memory) fn begin_recording(&mut self, work: Work) -> Result<()> {
        self.check_work(work)?;
        self.row_mut(work.repository)?.repository.recording = Some(work.fence);
        Ok(())
    }

    pub(in crate::memory) fn record_commits(&mut self, work: Work, commits: &[Commit]) -> Result<()> {
        check_batch(commits.len())?;
        self.check_work(work)?;
        self.row_mut(work.repository)?.record_commits(commits, work.fence);
        Ok(())
    }

    pub(in crate::memory) fn orphan_commits(&mut self, work: Work, ids: &[ObjectId], now: Timestamp) -> Result<()> {
        check_batch(ids.len())?;
        self.check_work(work)?;
        self.row_mut(work.repository)?.orphan_commits(ids, now);
        Ok(())
    }

    pub(in crate::memory) fn orphan_unrecorded(&mut self, work: Work, limit: usize, now: Timestamp) -> Result<Chunk> {
        self.check_work(work)?;
        let limit = limit.min(MAX_STORE_BATCH);
        let orphaned = self.row_mut(work.repository)?.orphan_unrecorded(work.fence, limit, now);
        Ok(if orphaned < limit { Chunk::Last } else { Chunk::More })
    }

    pub(in crate::memory) fn finish_task(
        &mut self,
        work: Work,
        outcome: &Outcome,
        recording: Option<&Recording>,
        next_sync_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<SyncTask> {
        self.check_work(work)?;
        if recording.is_some() && !matches!(outcome, Outcome::Completed(Some(_))) {
            return Err(Error::new(ErrorKind::InvalidInput, "only a completed look at upstream has a recording"));
        }
        let (task, row) = (self.task(work.task)?, self.row(work.repository)?);
        let follow_up = self.unfinished(work.repository).pending;
        let Finished { follow_up, task, repository } =
            rules::finish(&row.repository, task, follow_up, outcome, next_sync_at, now)?;
        self.write(repository, follow_up.iter().chain([&task]))?;
        if let Some(recording) = recording {
            self.row_mut(work.repository)?.apply(recording);
            self.log(work, recording, now);
        }
        Ok(task)
    }

    pub(in crate::memory) fn purge_repository(&mut self, work: Work, limit: usize, now: Timestamp) -> Result<Chunk> {
        self.check_work(work)?;
        let tombstone = rules::purge(self.task(work.task)?, now)?;
        let mut left = limit.min(MAX_STORE_BATCH);
        self.row_mut(work.repository)?.remove_records(&mut left);
        remove_some(&mut self.ref_updates, &mut left, |update| update.repository == work.repository);
        remove_some(&mut self.tasks, &mut left, |task| task.repository == work.repository && task.id != work.task);
        if left == 0 {
            return Ok(Chunk::More);
        }
        self.repositories.remove(&work.repository);
        self.tasks.remove(&work.task);
        self.tombstones.insert(tombstone.id, tombstone);
        Ok(Chunk::Last)
    }
}

/// Removes rows that are to go, as many as are left of a limit, and counts them off it.
pub(super) fn remove_some<K: Ord, V>(rows: &mut BTreeMap<K, V>, left: &mut usize, goes: impl Fn(&V) -> bool) {
    rows.retain(|_, row| {
        let stays = *left == 0 || !goes(row);
        *left -= usize::from(!stays);
        stays
    });
}
