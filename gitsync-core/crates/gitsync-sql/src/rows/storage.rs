//! Rows of storages.

use gitsync_core::Result;
use gitsync_core::model::StorageRecord;

use crate::Row;
use crate::schema::storage::{DISK, FREE_BYTES, HOST, IS_SHARED, NAME, SEEN_AT, SERVED_UNTIL};
use crate::statement::Record;

pub(crate) fn record(storage: &StorageRecord) -> Record {
    vec![
        (NAME, storage.name.as_str().into()),
        (HOST, storage.machine.as_str().into()),
        (IS_SHARED, storage.is_shared.into()),
        (FREE_BYTES, storage.free_bytes.into()),
        (SEEN_AT, storage.seen_at.into()),
        (DISK, storage.disk.map(|disk| disk.to_string()).into()),
        (SERVED_UNTIL, storage.served_until.into()),
    ]
}

pub(crate) fn read(row: &mut Row) -> Result<StorageRecord> {
    Ok(StorageRecord {
        name: row.parsed(NAME, str::parse)?,
        disk: row.opt_parsed(DISK, str::parse)?,
        machine: row.text(HOST)?,
        is_shared: row.boolean(IS_SHARED)?,
        free_bytes: row.number(FREE_BYTES)?,
        seen_at: row.timestamp(SEEN_AT)?,
        served_until: row.timestamp(SERVED_UNTIL)?,
    })
}
