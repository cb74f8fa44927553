//! The job of a task.

use crate::model::{Repository, SyncTask, TaskKind};
use crate::queue::{Lane, NewJob};
use crate::source::{HostKey, SourceUrl};

/// Returns the job that stands for a waiting task in the queue.
///
/// Work that people wait for goes before all else. Upkeep takes its turn among the syncs: its repository is not synced before
/// it is done, and where workers are never idle it would never be done behind them.
pub fn job(repository: &Repository, task: &SyncTask) -> NewJob {
    NewJob {
        id: task.id,
        lane: lane(repository, task),
        priority: match task.kind {
            TaskKind::Initialize | TaskKind::Migrate | TaskKind::Delete => 0,
            TaskKind::Sync | TaskKind::Maintain => 1,
        },
        run_at: task.next_attempt_at.unwrap_or(task.created_at),
        attempt: task.attempt,
        epoch: task.epoch,
    }
}

/// Returns who may work on a task: those that serve its storage, within the limit of the source's host.
pub fn lane(repository: &Repository, task: &SyncTask) -> Lane {
    let source = task.parameters.source.as_ref().or(repository.source.as_ref());
    let host = source.filter(|_| task.kind.needs_upstream()).map_or_else(HostKey::local, SourceUrl::host_key);
    Lane { storage: repository.storage.clone(), host }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::{NOW, repository, task};

    #[test]
    fn only_work_that_talks_to_upstream_counts_for_its_host() {
        let host = |kind| lane(&repository(), &task(kind)).host.as_str().to_owned();
        assert_eq!(host(TaskKind::Sync), "host");
        assert_eq!(host(TaskKind::Migrate), "host");
        for kind in [TaskKind::Initialize, TaskKind::Maintain, TaskKind::Delete] {
            assert_eq!(host(kind), "local");
        }
        let mut elsewhere = task(TaskKind::Migrate);
        elsewhere.parameters.source = Some(SourceUrl::parse("https://other/a").unwrap().url);
        assert_eq!(lane(&repository(), &elsewhere).host.as_str(), "other");
        let sourceless = Repository { source: None, ..repository() };
        assert_eq!(lane(&sourceless, &task(TaskKind::Sync)).host, HostKey::local());
    }

    #[test]
    fn a_job_carries_the_floors_of_its_task() {
        let waiting = SyncTask { attempt: 2, epoch: 5, next_attempt_at: Some(NOW), ..task(TaskKind::Sync) };
        let job = job(&repository(), &waiting);
        assert_eq!((job.id, job.attempt, job.epoch, job.run_at), (waiting.id, 2, 5, NOW));
    }
}
