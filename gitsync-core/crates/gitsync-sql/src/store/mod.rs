//! The operations of a [`Store`](gitsync_core::Store) on a connection, by theme.
//!
//! Each loads rows, asks the [rules](gitsync_core::rules) and writes what they say, inside the transaction that the
//! connection is in. Their contracts are those of the trait's methods of the same names.

mod credentials;
mod lists;
mod load;
mod organisations;
mod push_targets;
mod recording;
mod repositories;
mod requests;
mod storages;
mod upkeep;
mod work;

pub use credentials::{
    credential_keys, delete_credential, list_credentials, list_sealed_with, reseal_credential, sealed_credentials,
    set_credential,
};
pub use lists::{list_branches, list_commits, list_ref_updates, list_repositories, list_tasks};
pub use load::{baseline, repository, repository_by_name, task, tasks};
pub use organisations::{create_organisation, list_organisations, organisation, organisation_by_slug};
pub use push_targets::{add_push_target, push_targets, record_push, remove_push_target};
pub use recording::{
    PreparedCommits, begin_recording, finish_task, orphan_commits, orphan_unrecorded, record_commits, report_progress,
};
pub use repositories::{archive_repository, create_repository, unarchive_repository, update_repository};
pub use requests::{cancel_task, mark_enqueued, outbox, request_due, request_task, request_tasks};
pub use storages::{report_storage, storages};
pub use upkeep::{prune, purge_repository};
pub use work::start_task;

use gitsync_core::store::MAX_STORE_BATCH;
use gitsync_core::{Error, ErrorKind, Result};

use crate::{Connection, Row, Statement};

/// Runs a statement that is to answer with at most one row.
async fn fetch_optional(connection: &mut dyn Connection, statement: Statement) -> Result<Option<Row>> {
    Ok(connection.fetch(statement).await?.pop())
}

async fn execute_all(connection: &mut dyn Connection, statements: Vec<Statement>) -> Result<u64> {
    let mut changed = 0;
    for statement in statements {
        changed += connection.execute(statement).await?;
    }
    Ok(changed)
}

fn read_all<T>(rows: Vec<Row>, read: impl Fn(&mut Row) -> Result<T>) -> Result<Vec<T>> {
    rows.into_iter().map(|mut row| read(&mut row)).collect()
}

/// Refuses a slice that is too long for one call.
pub(crate) fn check_batch(len: usize) -> Result<()> {
    if len <= MAX_STORE_BATCH {
        return Ok(());
    }
    let message = format!("a call takes at most {MAX_STORE_BATCH} rows");
    Err(Error::new(ErrorKind::InvalidInput, message).with("given", len))
}

/// Says what a broken unique constraint means; other errors stay as they are.
fn taken(error: Error, message: &str) -> Error {
    match error.kind() {
        ErrorKind::AlreadyExists => Error::new(ErrorKind::AlreadyExists, message).caused_by(error),
        _ => error,
    }
}
