//! Storages as their workers report them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::StorageName;

/// The identity of a disk. It is written on the disk itself, so two disks that bear one name are told apart, and one disk is
/// recognized on whatever machine it turns up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskId(Uuid);

impl DiskId {
    /// Creates an id that no other disk has.
    pub fn generate() -> Self {
        DiskId(Uuid::now_v7())
    }
}

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DiskId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text)
            .map(DiskId)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "the id of a disk is a UUID").caused_by(error))
    }
}

/// What a worker says of a storage that it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageReport {
    /// The storage.
    pub name: StorageName,
    /// The disk that the worker found under this name.
    pub disk: DiskId,
    /// The machine of the worker. Locks on files work among all processes of one machine.
    pub machine: String,
    /// Whether machines share the storage, and locks on its files work among all of them.
    pub is_shared: bool,
    /// How many bytes can still be written.
    pub free_bytes: u64,
    /// How long the worker may go on working without another report: nobody takes the storage over before that.
    pub serves_for: Duration,
}

/// A storage as the last report that was accepted describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRecord {
    /// The name.
    pub name: StorageName,
    /// The disk; `None` if it was reported by a version that did not tell disks apart.
    pub disk: Option<DiskId>,
    /// The machine that serves it; of a shared one, the machine that reported it last.
    pub machine: String,
    /// Whether any machine may serve it.
    pub is_shared: bool,
    /// How many bytes could still be written.
    pub free_bytes: u64,
    /// When it was reported.
    pub seen_at: Timestamp,
    /// Until when it counts as served if nobody reports it again.
    pub served_until: Timestamp,
}

/// The storages that are known, as they were at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownStorages {
    /// The moment, by the clock that [`StorageRecord::seen_at`] is of: that of this process may show another time.
    pub at: Timestamp,
    /// The storages.
    pub storages: Vec<StorageRecord>,
}
