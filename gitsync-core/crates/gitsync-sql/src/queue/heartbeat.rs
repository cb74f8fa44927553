//! The extension of leases.

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{HeartbeatAnswer, Lease, QueueLimits};

use super::{check_batch, fetch_jobs};
use crate::Connection;
use crate::statements::jobs;

/// See [`JobQueue::heartbeat`](gitsync_core::JobQueue::heartbeat).
pub async fn heartbeat(
    connection: &mut dyn Connection,
    leases: &[Lease],
    limits: &QueueLimits,
) -> Result<Vec<HeartbeatAnswer>> {
    check_batch(leases.len())?;
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let ids: Vec<TaskId> = leases.iter().map(|lease| lease.id).collect();
    let held = fetch_jobs(connection, jobs::lock(dialect, &ids)?).await?;

    let mut extended = Vec::new();
    let mut answers = Vec::with_capacity(leases.len());
    for lease in leases {
        let Some(job) = held.get(&lease.id).filter(|job| job.is_held_by(*lease, now)) else {
            answers.push(HeartbeatAnswer::Lost);
            continue;
        };
        if job.deadline_at.is_none_or(|deadline| now >= deadline) {
            answers.push(HeartbeatAnswer::DeadlineReached);
            continue;
        }
        extended.push(job.id);
        answers.push(match job.cancel_requested {
            true => HeartbeatAnswer::CancelRequested,
            false => HeartbeatAnswer::Continue,
        });
    }
    if !extended.is_empty() {
        connection.execute(jobs::extend(dialect, &extended, now.after(limits.lease))?).await?;
    }
    Ok(answers)
}
