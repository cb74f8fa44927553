//! Rows of the log of references.

use gitsync_core::model::{RefChange, RefUpdate, RepositoryId, TaskId};
use gitsync_core::plan::{Movement, MovementKind};
use gitsync_core::{Error, ErrorKind, Result, Timestamp};

use super::recorded_ref::opt_name;
use crate::schema::ref_update::{AT, CLONED, ID, KIND, NAME, NEW, OLD, REFS, REPOSITORY, TASK};
use crate::statement::Record;
use crate::{Row, Value};

/// Returns the row of a new entry; the database gives the id.
pub(crate) fn record(repository: RepositoryId, task: TaskId, at: Timestamp, change: &RefChange) -> Record {
    let mut record: Record = vec![(REPOSITORY, repository.0.into()), (TASK, task.into()), (AT, at.into())];
    record.extend(match change {
        RefChange::Moved(movement) => [
            (KIND, movement.kind.as_str().into()),
            (NAME, movement.name.as_bytes().into()),
            (OLD, movement.old.into()),
            (NEW, movement.new.into()),
            (REFS, Value::Int(None)),
        ],
        RefChange::Cloned { refs } => [
            (KIND, CLONED.into()),
            (NAME, Value::Bytes(None)),
            (OLD, Value::Bytes(None)),
            (NEW, Value::Bytes(None)),
            (REFS, (*refs).into()),
        ],
    });
    record
}

pub(crate) fn read(row: &mut Row) -> Result<RefUpdate> {
    let kind = row.text(KIND)?;
    let change = if kind == CLONED {
        RefChange::Cloned { refs: row.number(REFS)? }
    } else {
        let broken = || Error::new(ErrorKind::Corrupt, "an entry of the reference log does not say what moved how");
        RefChange::Moved(Movement {
            name: opt_name(row, NAME)?.ok_or_else(broken)?,
            old: row.opt_object_id(OLD)?,
            new: row.opt_object_id(NEW)?,
            kind: MovementKind::from_name(&kind).ok_or_else(broken)?,
        })
    };
    Ok(RefUpdate {
        id: row.int(ID)?,
        repository: RepositoryId(row.number(REPOSITORY)?),
        task: row.task_id(TASK)?,
        at: row.timestamp(AT)?,
        change,
    })
}
