//! Statements about stored credentials.

use gitsync_core::Result;
use gitsync_core::model::{CredentialName, KeyId, OrganisationId, SealedSecret, StoredCredential};
use sea_query::{Expr, ExprTrait, OnConflict, Order};

use super::{beyond, is, select};
use crate::schema::credential::{
    ALL, CREATED_AT, KEY, KIND, KNOWN, NAME, ORGANISATION, SCOPE, SEALED, TABLE, UPDATED_AT,
};
use crate::{Dialect, Statement, rows, statement};

/// Writes credentials, in place of those that have the name.
pub fn set(dialect: Dialect, credential: &StoredCredential, secret: &SealedSecret) -> Result<Vec<Statement>> {
    let mut replace = OnConflict::columns([ORGANISATION, NAME]);
    replace.update_columns([SCOPE, KIND, CREATED_AT, UPDATED_AT, KEY, SEALED]);
    statement::insert_many(dialect, TABLE, vec![rows::credential::record(credential, secret)], Some(&replace))
}

/// Lists what is known of all credentials of an organisation but for the secrets.
pub fn known(dialect: Dialect, organisation: OrganisationId) -> Result<Statement> {
    dialect.render(select(TABLE, KNOWN).and_where(is(ORGANISATION, organisation.0)))
}

/// Lists all credentials of an organisation with their secrets.
pub fn sealed(dialect: Dialect, organisation: OrganisationId) -> Result<Statement> {
    dialect.render(select(TABLE, ALL).and_where(is(ORGANISATION, organisation.0)))
}

/// Deletes credentials.
pub fn delete(dialect: Dialect, organisation: OrganisationId, name: &CredentialName) -> Result<Statement> {
    statement::delete(dialect, TABLE, this(organisation, name))
}

/// Finds the key that follows another one, of those that something is sealed with.
pub fn next_key(dialect: Dialect, after: Option<&KeyId>) -> Result<Statement> {
    let mut select = select(TABLE, &[KEY]);
    select.and_where_option(after.map(|after| Expr::col(KEY).gt(after.as_str())));
    dialect.render(select.order_by(KEY, Order::Asc).limit(1))
}

/// Lists the credentials that are sealed with a key, after one.
pub fn sealed_with(
    dialect: Dialect,
    key: &KeyId,
    after: Option<(OrganisationId, CredentialName)>,
    limit: u64,
) -> Result<Statement> {
    let mut select = select(TABLE, ALL);
    select.and_where(is(KEY, key.as_str()));
    if let Some((organisation, name)) = after {
        let (columns, values) = beyond([ORGANISATION, NAME], [organisation.0.into(), name.as_str().into()]);
        select.and_where(columns.gt(values));
    }
    dialect.render(select.order_by(ORGANISATION, Order::Asc).order_by(NAME, Order::Asc).limit(limit))
}

/// Writes another secret, if it still is what it was before.
pub fn reseal(
    dialect: Dialect,
    organisation: OrganisationId,
    name: &CredentialName,
    before: &SealedSecret,
    after: &SealedSecret,
) -> Result<Statement> {
    let unchanged = [is(KEY, before.key.as_str()), is(SEALED, before.bytes.clone())];
    let conditions = this(organisation, name).into_iter().chain(unchanged);
    statement::update(dialect, TABLE, rows::credential::secret_record(after), conditions)
}

fn this(organisation: OrganisationId, name: &CredentialName) -> [Expr; 2] {
    [is(ORGANISATION, organisation.0), is(NAME, name.as_str())]
}
