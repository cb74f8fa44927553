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
                    Ok(found) if found.is_full(self.parts.options.schedule_batch) => continue,
                    Ok(found) => debug!(count = found.due.tasks.len(), "scheduled"),
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
        Ok(self.look().await?.due.tasks.len())
    }

    async fn look(&self) -> Result<Found> {
        let batch = self.parts.options.schedule_batch;
        let due = self.parts.store.request_due(batch).await?;
        // Several who relay at once may all get the same tasks, so that some of those just made are left.
        let relayed = relay_outbox(&self.parts, batch).await?;
        Ok(Found { due, relayed })
    }
}

/// What one look found.
struct Found {
    due: DueScan,
    /// How many tasks were put into the queue.
    relayed: usize,
}

impl Found {
    fn is_full(&self, batch: usize) -> bool {
        self.due.looked_at >= batch || self.relayed >= batch
    }
}
