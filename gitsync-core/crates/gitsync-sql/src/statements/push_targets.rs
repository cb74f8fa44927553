//! Statements about push targets.

use gitsync_core::Result;
use gitsync_core::model::{PushTarget, RepositoryId};
use gitsync_core::source::SourceUrl;

use super::{is, of, select};
use crate::schema::push_target::{ALL, REPOSITORY, TABLE, URL};
use crate::{Dialect, Statement, rows, statement};

/// Inserts a push target.
pub fn insert(dialect: Dialect, target: &PushTarget) -> Result<Statement> {
    statement::insert(dialect, TABLE, rows::push_target::record(target))
}

/// Writes what differs between a push target as it was read and as it is to be.
pub fn update(dialect: Dialect, before: &PushTarget, after: &PushTarget) -> Result<Option<Statement>> {
    let changes = statement::changes(rows::push_target::record(before), rows::push_target::record(after));
    if changes.is_empty() {
        return Ok(None);
    }
    statement::update(dialect, TABLE, changes, this(before.repository, &before.url)).map(Some)
}

/// Lists the push targets of a repository.
pub fn all(dialect: Dialect, repository: RepositoryId) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(of(REPOSITORY, repository)))
}

/// Deletes a push target.
pub fn delete(dialect: Dialect, repository: RepositoryId, url: &SourceUrl) -> Result<Statement> {
    statement::delete(dialect, TABLE, this(repository, url))
}

/// Deletes all push targets of a repository.
pub fn delete_all(dialect: Dialect, repository: RepositoryId) -> Result<Statement> {
    statement::delete(dialect, TABLE, [of(REPOSITORY, repository)])
}

fn this(repository: RepositoryId, url: &SourceUrl) -> [sea_query::Expr; 2] {
    [of(REPOSITORY, repository), is(URL, url.to_string())]
}
