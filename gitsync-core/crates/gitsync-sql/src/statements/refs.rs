//! Statements about recorded branches and tags.

use gitsync_core::Result;
use gitsync_core::model::{RecordedRef, RefName, RepositoryId};
use sea_query::{Expr, ExprTrait, OnConflict, Order};

use super::{beyond, is, of, select};
use crate::rows::recorded_ref::record;
use crate::schema::recorded_ref::{ALL, COMMIT, ID, NAME, NAME_DIGEST, NAME_PREFIX, REPOSITORY, TABLE, key, prefix};
use crate::{Dialect, Statement, Value, statement};

/// Writes branches and tags, new or moved.
pub fn upsert(dialect: Dialect, repository: RepositoryId, refs: &[RecordedRef]) -> Result<Vec<Statement>> {
    let unique = statement::last_of_each(refs, |recorded| recorded.name.as_bytes());
    let records = unique.map(|recorded| record(repository, recorded)).collect();
    let moved = OnConflict::columns([REPOSITORY, NAME_PREFIX, NAME_DIGEST]).update_columns([ID, COMMIT]).to_owned();
    statement::insert_many(dialect, TABLE, records, Some(&moved))
}

/// Deletes a branch or tag.
pub fn delete(dialect: Dialect, repository: RepositoryId, name: &RefName) -> Result<Statement> {
    let (prefix, digest) = key(name);
    statement::delete(dialect, TABLE, [of(REPOSITORY, repository), is(NAME_PREFIX, prefix), is(NAME_DIGEST, digest)])
}

/// Deletes branches and tags of a repository, the first ones by name.
pub fn delete_some(dialect: Dialect, repository: RepositoryId, limit: usize) -> Result<Statement> {
    let mut some = select(TABLE, &[NAME_PREFIX, NAME_DIGEST]);
    some.and_where(of(REPOSITORY, repository)).limit(super::limit(limit));
    some.order_by(NAME_PREFIX, Order::Asc).order_by(NAME_DIGEST, Order::Asc);
    let these = Expr::tuple([Expr::col(NAME_PREFIX), Expr::col(NAME_DIGEST)]).in_subquery(some);
    statement::delete(dialect, TABLE, [of(REPOSITORY, repository), these]).map(Statement::planned_anew)
}

/// Deletes all branches and tags of a repository.
pub fn delete_all(dialect: Dialect, repository: RepositoryId) -> Result<Statement> {
    statement::delete(dialect, TABLE, [of(REPOSITORY, repository)])
}

/// Lists all branches and tags of a repository by name.
pub fn all(dialect: Dialect, repository: RepositoryId) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(of(REPOSITORY, repository));
    dialect.render(select.order_by(NAME_PREFIX, Order::Asc).order_by(NAME, Order::Asc))
}

/// Finds a branch or tag by its name.
pub fn by_name(dialect: Dialect, repository: RepositoryId, name: &RefName) -> Result<Statement> {
    let (prefix, digest) = key(name);
    let mut select = select(TABLE, ALL);
    select.and_where(of(REPOSITORY, repository));
    dialect.render(select.and_where(is(NAME_PREFIX, prefix)).and_where(is(NAME_DIGEST, digest)))
}

/// Lists the branches of a repository by name, after one.
pub fn branches(dialect: Dialect, repository: RepositoryId, after: Option<&RefName>, limit: u64) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    // The slash that ends the prefix of branches is followed by the zero.
    let bound = |bytes: &[u8]| Value::from(bytes);
    select
        .and_where(of(REPOSITORY, repository))
        .and_where(Expr::col(NAME_PREFIX).gte(bound(b"refs/heads/")))
        .and_where(Expr::col(NAME_PREFIX).lt(bound(b"refs/heads0")));
    if let Some(after) = after {
        let name = after.as_bytes();
        let (columns, values) = beyond([NAME_PREFIX, NAME], [prefix(name).into(), name.into()]);
        select.and_where(columns.gt(values));
    }
    dialect.render(select.order_by(NAME_PREFIX, Order::Asc).order_by(NAME, Order::Asc).limit(limit))
}
