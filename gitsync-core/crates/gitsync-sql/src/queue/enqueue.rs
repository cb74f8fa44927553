//! Putting jobs into the queue.

use std::collections::BTreeMap;

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::NewJob;

use super::{abandon_expired, check_batch};
use crate::Connection;
use crate::statements::jobs;

/// See [`JobQueue::enqueue`](gitsync_core::JobQueue::enqueue).
pub async fn enqueue(connection: &mut dyn Connection, new: &[NewJob]) -> Result<()> {
    check_batch(new.len())?;
    // A job whose lease has expired takes the new lane, so its old host must no longer count it.
    abandon_expired(connection).await?;
    for upsert in jobs::upsert(connection.dialect(), &unique(new))? {
        connection.execute(upsert).await?;
    }
    Ok(())
}

/// One statement may name a row only once. The last entry of a job is what counts, but for its epoch, which never falls.
fn unique(new: &[NewJob]) -> Vec<NewJob> {
    let mut jobs: BTreeMap<TaskId, NewJob> = BTreeMap::new();
    for job in new {
        let floor = jobs.get(&job.id).map_or(job.epoch, |earlier| earlier.epoch.max(job.epoch));
        jobs.insert(job.id, NewJob { epoch: floor, ..job.clone() });
    }
    jobs.into_values().collect()
}
