//! The operations of a [`JobQueue`](gitsync_core::JobQueue) on a connection.
//!
//! The search of a claim is each database's own; what it finds is taken by [`lease`].

mod cancel;
mod claim;
mod enqueue;
mod finish;
mod heartbeat;
mod hosts;
mod shared;
mod stats;

pub use cancel::{cancel, cancel_requested};
pub use claim::{abandon_expired, claimed, lease};
pub use enqueue::enqueue;
pub use finish::{Ended, finish};
pub use heartbeat::heartbeat;
pub use hosts::forget_hosts;
pub use shared::{QueueCalls, SharedClaims, split_ends};
pub use stats::{next_moment, stats};

use std::collections::HashMap;

use gitsync_core::model::TaskId;
use gitsync_core::queue::MAX_BATCH;
use gitsync_core::{Error, ErrorKind, Result};

use crate::rows::job::{JobRow, read};
use crate::{Connection, Statement};

/// Refuses a batch that is too long for one call.
///
/// # Errors
/// [`ErrorKind::InvalidInput`].
pub fn check_batch(len: usize) -> Result<()> {
    if len <= MAX_BATCH {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("a call takes at most {MAX_BATCH} jobs")).with("given", len))
}

async fn fetch_jobs(connection: &mut dyn Connection, statement: Statement) -> Result<HashMap<TaskId, JobRow>> {
    let mut jobs = HashMap::new();
    for mut row in connection.fetch(statement).await? {
        let job = read(&mut row)?;
        jobs.insert(job.id, job);
    }
    Ok(jobs)
}
