//! The scheduler: turns repositories that are due into tasks.

use std::sync::Arc;

use tracing::{debug, info, warn};

use super::parts::{PROVIDER_PATIENCE, Parts, blocking};
use super::relay::relay_outbox;
use crate::cancel::Cancellation;
use crate::error::Result;
use crate::model::{RepositoryId, TaskId, TaskKind, TaskParameters};
use crate::rules::{DueScan, Paused, Request};

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
        let mut due = self.parts.store.request_due(batch).await?;
        for paused in self.with_other_credentials(&due.paused).await? {
            let sync = Request { kind: TaskKind::Sync, parameters: TaskParameters::default(), id: TaskId::generate() };
            match self.parts.store.request_task(paused, &sync).await {
                Ok(requested) => {
                    info!(repository = %paused, "its credentials have changed: it is synced again");
                    due.tasks.push(requested.task);
                }
                Err(error) => warn!(%error, repository = %paused, "cannot go on with other credentials"),
            }
        }
        // Several who relay at once may all get the same tasks, so that some of those just made are left.
        let relayed = relay_outbox(&self.parts, batch).await?;
        Ok(Found { due, relayed })
    }

    /// Returns those of some paused repositories that have other credentials than those that were refused, as far as can be
    /// told. Where it cannot, the credentials are no reason to wait.
    async fn with_other_credentials(&self, paused: &[Paused]) -> Result<Vec<RepositoryId>> {
        if paused.is_empty() {
            return Ok(Vec::new());
        }
        let (transport, paused) = (Arc::clone(&self.parts.transport), paused.to_vec());
        let have_others = move |paused: &Paused| match transport.credential_revision(&paused.source) {
            Ok(current) => current != Some(paused.refused),
            Err(error) => {
                warn!(%error, repository = %paused.repository, "cannot tell whether its credentials have changed");
                false
            }
        };
        let asked =
            blocking(move || Ok(paused.iter().filter(|one| have_others(one)).map(|one| one.repository).collect()));
        match tokio::time::timeout(PROVIDER_PATIENCE, asked).await {
            Ok(changed) => changed,
            Err(_) => {
                warn!("who knows the credentials does not answer");
                Ok(Vec::new())
            }
        }
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
