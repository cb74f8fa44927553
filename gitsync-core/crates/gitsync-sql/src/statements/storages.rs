//! Statements about storages.

use gitsync_core::Result;
use gitsync_core::model::{StorageName, StorageRecord};
use gitsync_core::store::MAX_STORAGES;
use sea_query::{LockType, OnConflict, Order};

use super::{is, select};
use crate::schema::storage::{ALL, NAME, SEEN_AT, TABLE};
use crate::{Dialect, Statement, rows, statement};

/// Inserts the row of a storage unless there is one. Of two transactions that do so at once, the second waits for the first.
pub fn insert_if_missing(dialect: Dialect, storage: &StorageRecord) -> Result<Vec<Statement>> {
    let nothing = OnConflict::column(NAME).do_nothing().to_owned();
    statement::insert_many(dialect, TABLE, vec![rows::storage::record(storage)], Some(&nothing))
}

/// Reads the row of a storage and locks it.
pub fn lock(dialect: Dialect, name: &StorageName) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is(NAME, name.as_str())).lock(LockType::Update))
}

/// Writes what differs between the row of a storage as it was read and as it is to be.
pub fn update(dialect: Dialect, before: &StorageRecord, after: &StorageRecord) -> Result<Statement> {
    let changes = statement::changes(rows::storage::record(before), rows::storage::record(after));
    statement::update(dialect, TABLE, changes, [is(NAME, before.name.as_str())])
}

/// Lists storages, the ones seen last first.
pub fn list(dialect: Dialect) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).order_by(SEEN_AT, Order::Desc).limit(super::limit(MAX_STORAGES)))
}
