//! Rows of branches and tags.

use gitsync_core::model::{RecordedRef, RefName, RepositoryId};
use gitsync_core::{Error, ErrorKind, Result};

use crate::Row;
use crate::schema::recorded_ref::{COMMIT, ID, NAME, NAME_DIGEST, NAME_PREFIX, REPOSITORY, key};
use crate::statement::Record;

pub(crate) fn record(repository: RepositoryId, recorded: &RecordedRef) -> Record {
    let (prefix, digest) = key(&recorded.name);
    vec![
        (REPOSITORY, repository.0.into()),
        (NAME_PREFIX, prefix.into()),
        (NAME_DIGEST, digest.into()),
        (NAME, recorded.name.as_bytes().into()),
        (ID, recorded.id.into()),
        (COMMIT, recorded.commit.into()),
    ]
}

pub(crate) fn read(row: &mut Row) -> Result<RecordedRef> {
    let name = opt_name(row, NAME)?;
    let name = name.ok_or_else(|| Error::new(ErrorKind::Corrupt, "a recorded reference has no name"))?;
    Ok(RecordedRef { name, id: row.object_id(ID)?, commit: row.opt_object_id(COMMIT)? })
}

/// Returns the name of a reference, which may be missing.
pub(crate) fn opt_name(row: &mut Row, column: &str) -> Result<Option<RefName>> {
    let name = row.opt_bytes(column)?.map(RefName::new).transpose();
    name.map_err(|error| Error::new(ErrorKind::Corrupt, "a recorded name is not one of a reference").caused_by(error))
}
