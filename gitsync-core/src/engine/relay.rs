//! From the store's outbox into the queue.

use super::parts::Parts;
use crate::error::Result;

/// Puts tasks that are not in the queue yet into it, at most `limit`, and tells how many. Doing it twice is doing it once.
pub(super) async fn relay_outbox(parts: &Parts, limit: usize) -> Result<usize> {
    let jobs = parts.store.outbox(limit).await?;
    parts.dispatcher.all(&jobs).await?;
    Ok(jobs.len())
}
