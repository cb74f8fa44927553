//! Storages as their workers report them.

use crate::clock::Timestamp;
use crate::model::StorageName;

/// What a worker says of a storage that it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageReport {
    /// The storage.
    pub name: StorageName,
    /// The machine of the worker. Locks on files work among all processes of one machine.
    pub machine: String,
    /// Whether machines share the storage, and locks on its files work among all of them.
    pub is_shared: bool,
    /// How many bytes can still be written.
    pub free_bytes: u64,
}

/// A storage as the last report that was accepted describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRecord {
    /// The name.
    pub name: StorageName,
    /// The machine that serves it; of a shared one, the machine that reported it last.
    pub machine: String,
    /// Whether any machine may serve it.
    pub is_shared: bool,
    /// How many bytes could still be written.
    pub free_bytes: u64,
    /// When it was reported.
    pub seen_at: Timestamp,
}

/// The storages that are known, as they were at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownStorages {
    /// The moment, by the clock that [`StorageRecord::seen_at`] is of: that of this process may show another time.
    pub at: Timestamp,
    /// The storages.
    pub storages: Vec<StorageRecord>,
}
