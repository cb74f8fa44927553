//! Rows of push targets.

use gitsync_core::Result;
use gitsync_core::model::{PushCounts, PushTarget, RepositoryId};

use super::{ErrorColumns, read_error, write_error};
use crate::Row;
use crate::schema::push_target::{
    ADDED_AT, BYTES, DELETED, ERROR_KIND, ERROR_MESSAGE, FAILURES, HAS, OBJECTS, PUSHED_AT, REPOSITORY, RETRY_AT,
    UPDATED, URL,
};
use crate::statement::Record;

const ERROR: ErrorColumns = (ERROR_KIND, ERROR_MESSAGE);

pub(crate) fn record(target: &PushTarget) -> Record {
    let mut record = vec![
        (REPOSITORY, target.repository.0.into()),
        (URL, target.url.to_string().into()),
        (ADDED_AT, target.added_at.into()),
        (HAS, target.has.into()),
        (PUSHED_AT, target.pushed_at.into()),
        (UPDATED, target.last.updated.into()),
        (DELETED, target.last.deleted.into()),
        (OBJECTS, target.last.objects.into()),
        (BYTES, target.last.bytes.into()),
    ];
    write_error(&mut record, ERROR, target.error.as_ref());
    record.extend([(FAILURES, target.failures.into()), (RETRY_AT, target.retry_at.into())]);
    record
}

pub(crate) fn read(row: &mut Row) -> Result<PushTarget> {
    Ok(PushTarget {
        repository: RepositoryId(row.number(REPOSITORY)?),
        url: row.parsed(URL, str::parse)?,
        added_at: row.timestamp(ADDED_AT)?,
        // One of another length would only cost a look at the target, so it counts as none.
        has: row.opt_bytes(HAS)?.and_then(|bytes| bytes.try_into().ok()),
        pushed_at: row.opt_timestamp(PUSHED_AT)?,
        last: PushCounts {
            updated: row.number(UPDATED)?,
            deleted: row.number(DELETED)?,
            objects: row.number(OBJECTS)?,
            bytes: row.number(BYTES)?,
        },
        error: read_error(row, ERROR)?,
        failures: row.number(FAILURES)?,
        retry_at: row.opt_timestamp(RETRY_AT)?,
    })
}
