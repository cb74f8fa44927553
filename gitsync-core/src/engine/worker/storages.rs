//! The storages of a worker: reported from time to time, and worked on only while the store says that this machine serves them.
//! When its turn is over, what runs is ended as well.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use super::leases::Leases;
use crate::clock::Timestamp;
use crate::engine::disk::Storage;
use crate::engine::parts::Parts;
use crate::error::{ErrorKind, Result};
use crate::model::StorageName;

/// How often a storage is reported: several times before another machine may take it for given up.
const REPORT_INTERVAL: Duration = Duration::from_secs(15);

/// How often it is looked for jobs of storages that are not served from here any more.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The storages that a worker has the disks of.
#[derive(Debug)]
pub(super) struct Storages {
    parts: Arc<Parts>,
    leases: Arc<Leases>,
    turns: Mutex<BTreeMap<StorageName, Turn>>,
    gained: Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// This machine serves it, by a report of that moment by either clock.
    Ours(Timestamp, Instant),
    /// Another machine does, or another disk has its name.
    Theirs,
}

impl Turn {
    /// Tells whether the last report still holds, by both clocks: one may be set back, the other stands still while the
    /// machine sleeps.
    fn is_ours(self, now: Timestamp, turn: Duration) -> bool {
        matches!(self, Turn::Ours(at, begun) if now.since(at) < turn && begun.elapsed() < turn)
    }
}

impl Storages {
    pub(super) fn new(parts: Arc<Parts>, leases: Arc<Leases>) -> Self {
        Storages { parts, leases, turns: Mutex::default(), gained: Notify::new() }
    }

    /// Reports all storages once.
    ///
    /// # Errors
    /// Those of [`Store::report_storage`](crate::Store::report_storage) and of the disks.
    pub(super) async fn report(&self) -> Result<()> {
        let reports = join_all(self.parts.storages.values().map(|storage| self.report_one(storage))).await;
        reports.into_iter().collect()
    }

    /// Reports the storages, each by itself, and ends the jobs of those that are not served from here any more, for ever. A
    /// disk that hangs keeps no other waiting.
    pub(super) async fn keep(&self) {
        let keep_one = async |storage: &Storage| {
            loop {
                // It says itself what is wrong.
                let _ = self.report_one(storage).await;
                self.parts.clock.sleep(REPORT_INTERVAL).await;
            }
        };
        let look = async {
            loop {
                tokio::time::sleep(LOOK_INTERVAL).await;
                self.leases.lose_all_but(&self.to_serve());
            }
        };
        tokio::join!(join_all(self.parts.storages.values().map(keep_one)), look);
    }

    /// Returns the storages to claim jobs of. One that could not be reported for long is not among them: another machine may
    /// have taken it over.
    pub(super) fn to_serve(&self) -> Vec<StorageName> {
        let (now, turn) = (self.parts.clock.now(), self.parts.options.turn());
        self.turns().iter().filter(|(_, last)| last.is_ours(now, turn)).map(|(name, _)| name.clone()).collect()
    }

    /// Completes when there is one more to serve.
    pub(super) async fn gained(&self) {
        self.gained.notified().await;
    }

    async fn report_one(&self, storage: &Storage) -> Result<()> {
        // From when the store was asked: the answer may have been long on its way.
        let turn = Turn::Ours(self.parts.clock.now(), Instant::now());
        let reported = self.try_report(storage).await;
        let name = storage.name();
        match &reported {
            Ok(()) => match self.turns().insert(name.clone(), turn) {
                Some(Turn::Ours(..)) => {}
                before => {
                    if before.is_some() {
                        info!(storage = %name, "the storage is served from here now");
                    }
                    self.gained.notify_one();
                }
            },
            Err(error) if error.kind() == ErrorKind::Conflict => {
                if self.turns().insert(name.clone(), Turn::Theirs) != Some(Turn::Theirs) {
                    let hint = error.hint_text();
                    warn!(%error, hint, storage = %name, "the storage is not served from here");
                }
                self.leases.lose_all_but(&self.to_serve());
            }
            // What was said of it before holds for its time.
            Err(error) => warn!(%error, storage = %name, "cannot report the storage"),
        }
        reported
    }

    async fn try_report(&self, storage: &Storage) -> Result<()> {
        let report = self.parts.report_of(storage).await?;
        self.parts.store.report_storage(&report).await
    }

    fn turns(&self) -> MutexGuard<'_, BTreeMap<StorageName, Turn>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_back_prolongs_no_turn() {
        let (now, turn) = (Timestamp::from_secs(1_000), Duration::from_secs(60));
        let last = Turn::Ours(now, Instant::now());
        let second = Duration::from_secs(1);
        assert!(last.is_ours(now.after(turn - second), turn) && !last.is_ours(now.after(turn), turn));
        tokio::time::advance(turn - second).await;
        assert!(last.is_ours(now.before(turn), turn));
        tokio::time::advance(second).await;
        assert!(!last.is_ours(now.before(turn), turn));
    }
}
