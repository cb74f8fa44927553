//! How rows become values of the model and back, one file per type.

use gitsync_core::model::{StatusBefore, StoredError};
use gitsync_core::state::RepositoryStatus;
use gitsync_core::{ErrorKind, Result};

use crate::statement::Record;
use crate::{Row, Value};

pub(crate) mod commit;
pub(crate) mod credential;
pub(crate) mod host;
pub(crate) mod job;
pub(crate) mod organisation;
pub(crate) mod push_target;
pub(crate) mod recorded_ref;
pub(crate) mod ref_update;
pub(crate) mod repository;
pub(crate) mod storage;
pub(crate) mod task;

/// The columns of an error that may be missing: its kind and its message.
type ErrorColumns = (&'static str, &'static str);

fn write_error(record: &mut Record, (kind, message): ErrorColumns, error: Option<&StoredError>) {
    record.push((kind, error.map(|error| error.kind.as_str()).into()));
    record.push((message, error.map(|error| text(&error.message)).into()));
}

/// A kind that this version does not know was written by a newer one; its message still says what happened.
fn read_error(row: &mut Row, (kind, message): ErrorColumns) -> Result<Option<StoredError>> {
    let Some(kind) = row.opt_text(kind)? else { return Ok(None) };
    let kind = ErrorKind::from_name(&kind).unwrap_or(ErrorKind::Internal);
    Ok(Some(StoredError { kind, message: row.text(message)? }))
}

fn write_before(record: &mut Record, status: &'static str, error: ErrorColumns, before: Option<&StatusBefore>) {
    record.push((status, before.map(|before| before.status.as_str()).into()));
    write_error(record, error, before.and_then(|before| before.error.as_ref()));
}

fn read_before(row: &mut Row, status: &'static str, error: ErrorColumns) -> Result<Option<StatusBefore>> {
    let status = row.opt_named(status, RepositoryStatus::from_name)?;
    let error = read_error(row, error)?;
    Ok(status.map(|status| StatusBefore { status, error }))
}

/// Text as every database takes it: Postgres refuses NUL.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// A span of time in microseconds.
fn micros(duration: std::time::Duration) -> Value {
    Value::from(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}
