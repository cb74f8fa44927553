//! The scheduler: turns repositories that are due into tasks.

use std::sync::Arc;

use tracing::{debug, warn};

use super::parts::Parts;
use super::relay::relay_outbox;
use crate::cancel::Cancellation;
use crate::error::Result;
use crate::rules::DueScan;

/// Looks for due repositories. Any number may run at once; there is no leader.
///
/// Made by [`GitSync::scheduler`](super::GitSync::scheduler).
#[derive(Debug)]
pub struct Scheduler {
    parts: Arc<Parts>,
}

impl Scheduler {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Scheduler { parts }
    }

    /// Scans until `shutdown`. A database that is away is waited for.
    pub async fn run(&self, shutdown: Cancellation) {
        let scans = async {
            loop {
                match self.look().await {
                    // A full batch means that there may be more: go on at once.
                    Ok(found) if found.looked_at >= self.parts.options.schedule_batch => continue,
                    Ok(found) => debug!(count = found.tasks.len(), "scheduled"),
                    Err(error) => warn!(%error, "cannot schedule"),
                }
                self.parts.clock.sleep(self.parts.options.schedule_interval).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = scans => {}
        }
    }

    /// Turns repositories that are due now into sync tasks, at most one batch, and tells how many.
    ///
    /// # Errors
    /// Those of the store and the queue.
    pub async fn scan(&self) -> Result<usize> {
        Ok(self.look().await?.tasks.len())
    }

    async fn look(&self) -> Result<DueScan> {
        let found = self.parts.store.request_due(self.parts.options.schedule_batch).await?;
        relay_outbox(&self.parts, self.parts.options.schedule_batch).await?;
        Ok(found)
    }
}
