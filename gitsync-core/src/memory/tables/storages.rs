//! Storages, as workers report them.

use std::cmp::Reverse;

use super::Tables;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{StorageRecord, StorageReport};
use crate::rules;
use crate::store::MAX_STORAGES;

impl Tables {
    pub(in crate::memory) fn report_storage(&mut self, report: &StorageReport, now: Timestamp) -> Result<()> {
        let record = rules::report_storage(self.storages.get(&report.name), report, now)?;
        self.storages.insert(record.name.clone(), record);
        Ok(())
    }

    pub(in crate::memory) fn storages(&self) -> Vec<StorageRecord> {
        let mut storages: Vec<_> = self.storages.values().cloned().collect();
        storages.sort_by_key(|storage| Reverse(storage.seen_at));
        storages.truncate(MAX_STORAGES);
        storages
    }
}
