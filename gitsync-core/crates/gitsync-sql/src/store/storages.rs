//! Storages, as workers report them.

use gitsync_core::model::{KnownStorages, StorageReport};
use gitsync_core::rules;
use gitsync_core::{Error, ErrorKind, Result};

use super::{execute_all, fetch_optional, read_all};
use crate::statements::storages as statements;
use crate::{Connection, rows};

/// See [`Store::report_storage`](gitsync_core::Store::report_storage).
pub async fn report_storage(connection: &mut dyn Connection, report: &StorageReport) -> Result<()> {
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let first = rules::report_storage(None, report, now)?;
    if execute_all(connection, statements::insert_if_missing(dialect, &first)?).await? > 0 {
        return Ok(());
    }
    let row = fetch_optional(connection, statements::lock(dialect, &report.name)?).await?;
    let gone = || Error::new(ErrorKind::Internal, "the row of a storage was removed").with("storage", &report.name);
    let known = rows::storage::read(&mut row.ok_or_else(gone)?)?;
    let record = rules::report_storage(Some(&known), report, now)?;
    if record != known {
        connection.execute(statements::update(dialect, &known, &record)?).await?;
    }
    Ok(())
}

/// See [`Store::storages`](gitsync_core::Store::storages).
pub async fn storages(connection: &mut dyn Connection) -> Result<KnownStorages> {
    let statement = statements::list(connection.dialect())?;
    let storages = read_all(connection.fetch(statement).await?, rows::storage::read)?;
    Ok(KnownStorages { at: connection.now().await?, storages })
}
