//! Statements about organisations.

use gitsync_core::model::{OrganisationId, Slug};
use gitsync_core::{Result, Timestamp};
use sea_query::{Expr, ExprTrait, LockType, Order};

use super::{is, select};
use crate::schema::organisation::{ALL, ID, SLUG, TABLE};
use crate::{Dialect, Statement, rows, statement};

/// Inserts an organisation and answers with its id.
pub fn insert(dialect: Dialect, slug: &Slug, name: &str, now: Timestamp) -> Result<Statement> {
    statement::insert_returning(dialect, TABLE, rows::organisation::record(slug, name, now), ID)
}

/// Finds an organisation by its id.
pub fn by_id(dialect: Dialect, id: OrganisationId) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is(ID, id.0)))
}

/// Finds an organisation by its id and keeps it from others who lock it until the transaction ends. What refers to it may be
/// added meanwhile.
pub fn lock(dialect: Dialect, id: OrganisationId) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is(ID, id.0)).lock(LockType::NoKeyUpdate))
}

/// Finds an organisation by its slug.
pub fn by_slug(dialect: Dialect, slug: &Slug) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is(SLUG, slug.as_str())))
}

/// Lists organisations by id, after one.
pub fn list(dialect: Dialect, after: Option<i64>, limit: u64) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where_option(after.map(|after| Expr::col(ID).gt(after)));
    dialect.render(select.order_by(ID, Order::Asc).limit(limit))
}
