//! The scheduler: turns repositories that are due into tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::{debug, info, warn};

use super::parts::{PROVIDER_PATIENCE, Parts, blocking};
use super::relay::relay_outbox;
use crate::cancel::Cancellation;
use crate::error::Result;
use crate::model::{OrganisationId, RepositoryId, TaskId, TaskKind, TaskParameters};
use crate::rules::{DueScan, Paused, Request};
use crate::transport::Transport;

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
        for paused in self.with_other_credentials(&due.paused).await {
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
    async fn with_other_credentials(&self, paused: &[Paused]) -> Vec<RepositoryId> {
        let mut by_organisation: BTreeMap<OrganisationId, Vec<Paused>> = BTreeMap::new();
        for paused in paused {
            by_organisation.entry(paused.organisation).or_default().push(paused.clone());
        }
        let mut changed = Vec::new();
        let asked = async {
            for (organisation, paused) in by_organisation {
                let found = async { have_others(self.parts.transport_of(organisation).await?, paused).await };
                match found.await {
                    Ok(found) => changed.extend(found),
                    Err(error) => warn!(%error, %organisation, "cannot tell whether its credentials have changed"),
                }
            }
        };
        if tokio::time::timeout(PROVIDER_PATIENCE, asked).await.is_err() {
            warn!("who knows the credentials does not answer");
        }
        changed
    }
}

/// Returns those that have other credentials by now than those that were refused.
async fn have_others(transport: Arc<dyn Transport>, paused: Vec<Paused>) -> Result<Vec<RepositoryId>> {
    let has_others = move |paused: &Paused| match transport.credential_revision(&paused.source) {
        Ok(current) => current != Some(paused.refused),
        Err(error) => {
            warn!(%error, repository = %paused.repository, "cannot tell whether its credentials have changed");
            false
        }
    };
    blocking(move || Ok(paused.iter().filter(|one| has_others(one)).map(|one| one.repository).collect())).await
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
