//! Statements about repositories.

use gitsync_core::model::{OrganisationId, Repository, RepositoryId, RepositoryName};
use gitsync_core::store::RepositoryFilter;
use gitsync_core::{Result, Timestamp};
use sea_query::{Expr, ExprTrait, LockBehavior, LockType, Order};

use super::{is, is_in, select};
use crate::rows::repository::{Digests, digests_record, due_record, record};
use crate::schema::repository::{
    ALL, FENCE, ID, IS_PUBLIC, NAME_FOLDED, NEXT_SYNC_AT, ORGANISATION, STATUS, TABLE, VERSION, alive, scheduled,
};
use crate::{Dialect, Statement, statement};

/// Inserts a repository and answers with its id; the one it has is not looked at.
pub fn insert(dialect: Dialect, repository: &Repository) -> Result<Statement> {
    statement::insert_returning(dialect, TABLE, record(repository), ID)
}

/// Writes what differs between a repository as it was read and as it is to be, unless another writer was faster. `None` if
/// nothing does.
pub fn update(dialect: Dialect, before: &Repository, after: &Repository) -> Result<Option<Statement>> {
    let changes = statement::changes(record(before), record(after));
    if changes.is_empty() {
        return Ok(None);
    }
    let unchanged =
        [is(ID, before.id.0), is(FENCE, before.fence), is(STATUS, before.status.as_str()), is(VERSION, before.version)];
    statement::update(dialect, TABLE, changes, unchanged).map(Some)
}

/// Writes what a recording ended with.
pub fn set_digests(dialect: Dialect, id: RepositoryId, digests: Digests) -> Result<Statement> {
    statement::update(dialect, TABLE, digests_record(digests), [is(ID, id.0)])
}

/// Writes when a repository is due again, and which of its credentials were refused.
pub fn set_due(dialect: Dialect, repository: &Repository) -> Result<Statement> {
    statement::update(dialect, TABLE, due_record(repository), [is(ID, repository.id.0)])
}

/// Deletes a repository. Nothing may refer to it any more.
pub fn delete(dialect: Dialect, id: RepositoryId) -> Result<Statement> {
    statement::delete(dialect, TABLE, [is(ID, id.0)])
}

/// Finds a repository by its id, also one that is being deleted.
pub fn by_id(dialect: Dialect, id: RepositoryId) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is(ID, id.0)))
}

/// Finds repositories by their ids, also those that are being deleted.
pub fn by_ids(dialect: Dialect, ids: &[RepositoryId]) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is_in(dialect, ID, ids.iter().map(|id| id.0))?))
}

/// Finds a repository by its id and keeps it from others until the transaction ends.
pub fn lock(dialect: Dialect, id: RepositoryId) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is(ID, id.0)).lock(LockType::Update))
}

/// Finds those of some repositories that nobody else keeps, and keeps them from others until the transaction ends.
pub fn lock_free(dialect: Dialect, ids: &[RepositoryId]) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(is_in(dialect, ID, ids.iter().map(|id| id.0))?).order_by(ID, Order::Asc);
    dialect.render(select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked))
}

/// Finds a repository that is not being deleted by its name.
pub fn by_name(dialect: Dialect, organisation: OrganisationId, name: &RepositoryName) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(is(ORGANISATION, organisation.0)).and_where(is(NAME_FOLDED, name.folded())).and_where(alive());
    dialect.render(&select)
}

/// Lists repositories that are not being deleted by id, after one.
pub fn list(dialect: Dialect, filter: &RepositoryFilter, after: Option<i64>, limit: u64) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(alive());
    if let Some(organisations) = filter.organisations.as_deref() {
        select.and_where(of_any(dialect, organisations)?);
    }
    select.and_where_option(filter.status.map(|status| is(STATUS, status.as_str())));
    select.and_where_option(filter.is_public.map(|is_public| is(IS_PUBLIC, is_public)));
    select.and_where_option(after.map(|after| Expr::col(ID).gt(after)));
    dialect.render(select.order_by(ID, Order::Asc).limit(limit)).map(Statement::planned_anew)
}

/// Holds for the repositories of some organisations.
///
/// One alone is compared with, not looked for in a list: then the index by organisation has the order of the list, too.
fn of_any(dialect: Dialect, organisations: &[OrganisationId]) -> Result<Expr> {
    Ok(match organisations {
        [organisation] => is(ORGANISATION, organisation.0),
        organisations => is_in(dialect, ORGANISATION, organisations.iter().map(|organisation| organisation.0))?,
    })
}

/// Lists repositories that are due, earliest first. Those that another scan is at are passed over.
pub fn due(dialect: Dialect, now: Timestamp, limit: usize) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(scheduled()).and_where(Expr::col(NEXT_SYNC_AT).lte(now.as_micros()));
    select.order_by(NEXT_SYNC_AT, Order::Asc).order_by(ID, Order::Asc).limit(super::limit(limit));
    dialect.render(select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked))
}
