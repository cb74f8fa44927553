//! Asking for the end of jobs.

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::Lease;

use super::{check_batch, fetch_jobs};
use crate::Connection;
use crate::statements::jobs;

/// See [`JobQueue::cancel`](gitsync_core::JobQueue::cancel).
pub async fn cancel(connection: &mut dyn Connection, ids: &[TaskId]) -> Result<()> {
    check_batch(ids.len())?;
    let dialect = connection.dialect();
    connection.execute(jobs::delete_untouched(dialect, ids)?).await?;
    connection.execute(jobs::request_cancel(dialect, ids)?).await?;
    Ok(())
}

/// See [`JobQueue::cancel_requested`](gitsync_core::JobQueue::cancel_requested).
pub async fn cancel_requested(connection: &mut dyn Connection, leases: &[Lease]) -> Result<Vec<bool>> {
    check_batch(leases.len())?;
    let now = connection.now().await?;
    let ids: Vec<TaskId> = leases.iter().map(|lease| lease.id).collect();
    let statement = jobs::by_ids(connection.dialect(), &ids)?;
    let held = fetch_jobs(connection, statement).await?;
    let may_go_on =
        |lease: &Lease| held.get(&lease.id).is_some_and(|job| job.is_held_by(*lease, now) && !job.cancel_requested);
    Ok(leases.iter().map(|lease| !may_go_on(lease)).collect())
}
