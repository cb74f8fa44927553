//! The storages of a worker: reported from time to time, and worked on only while the store says that this machine serves them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::clock::Timestamp;
use crate::engine::disk::Storage;
use crate::engine::parts::{Parts, blocking};
use crate::error::{ErrorKind, Result};
use crate::model::{StorageName, StorageReport};
use crate::rules::STORAGE_FRESH_FOR;

/// How often a storage is reported: several times before another machine may take it for given up.
const REPORT_INTERVAL: Duration = Duration::from_secs(15);

/// The storages that a worker has the disks of.
#[derive(Debug)]
pub(super) struct Storages {
    parts: Arc<Parts>,
    turns: Mutex<BTreeMap<StorageName, Turn>>,
    gained: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// This machine serves it, by a report of that moment.
    Ours(Timestamp),
    /// Another machine does.
    Theirs,
}

impl Storages {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Storages { parts, turns: Mutex::default(), gained: Notify::new() }
    }

    /// Reports all storages once.
    ///
    /// # Errors
    /// Those of [`Store::report_storage`](crate::Store::report_storage) and of the disks.
    pub(super) async fn report(&self) -> Result<()> {
        let reports = join_all(self.parts.storages.values().map(|storage| self.report_one(storage))).await;
        reports.into_iter().collect()
    }

    /// Reports the storages, each by itself, for ever: a disk that hangs keeps no other waiting.
    pub(super) async fn keep(&self) {
        let keep_one = async |storage: &Storage| {
            loop {
                // It says itself what is wrong.
                let _ = self.report_one(storage).await;
                self.parts.clock.sleep(REPORT_INTERVAL).await;
            }
        };
        join_all(self.parts.storages.values().map(keep_one)).await;
    }

    /// Returns the storages to claim jobs of. One that could not be reported for long is not among them: another machine may
    /// have taken it over.
    pub(super) fn to_serve(&self) -> Vec<StorageName> {
        let now = self.parts.clock.now();
        let is_ours = |turn: &Turn| matches!(turn, Turn::Ours(at) if now.since(*at) < STORAGE_FRESH_FOR);
        self.turns().iter().filter(|(_, turn)| is_ours(turn)).map(|(name, _)| name.clone()).collect()
    }

    /// Completes when there is one more to serve.
    pub(super) async fn gained(&self) {
        self.gained.notified().await;
    }

    async fn report_one(&self, storage: &Storage) -> Result<()> {
        // From when the store was asked: the answer may have been long on its way.
        let asked_at = self.parts.clock.now();
        let reported = self.try_report(storage).await;
        let name = storage.name();
        match &reported {
            Ok(()) => match self.turns().insert(name.clone(), Turn::Ours(asked_at)) {
                Some(Turn::Ours(_)) => {}
                before => {
                    if before.is_some() {
                        info!(storage = %name, "the storage is served from here now");
                    }
                    self.gained.notify_one();
                }
            },
            Err(error) if error.kind() == ErrorKind::Conflict => {
                if self.turns().insert(name.clone(), Turn::Theirs) != Some(Turn::Theirs) {
                    warn!(%error, storage = %name, "the storage is not served from here until that machine is gone");
                }
            }
            // What was said of it before holds for its time.
            Err(error) => warn!(%error, storage = %name, "cannot report the storage"),
        }
        reported
    }

    async fn try_report(&self, storage: &Storage) -> Result<()> {
        let disk = storage.clone();
        let free_bytes = blocking(move || disk.free_bytes()).await?;
        let report = StorageReport {
            name: storage.name().clone(),
            machine: self.parts.machine.clone(),
            is_shared: storage.is_shared(),
            free_bytes,
        };
        self.parts.store.report_storage(&report).await
    }

    fn turns(&self) -> MutexGuard<'_, BTreeMap<StorageName, Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
