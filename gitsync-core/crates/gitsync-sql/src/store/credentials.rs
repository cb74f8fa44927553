//! Stored credentials.

use gitsync_core::model::{
    CredentialName, KeyId, OrganisationId, Page, PageRequest, SealedCredential, SealedSecret, StoredCredential,
};
use gitsync_core::rules;
use gitsync_core::store::{MAX_CREDENTIAL_KEYS, NewCredential};
use gitsync_core::{Error, ErrorKind, Result};

use super::organisations::{lock_organisation, organisation};
use super::{execute_all, fetch_optional, read_all};
use crate::schema::credential::KEY;
use crate::statements::credentials as statements;
use crate::{Connection, cursor, rows};

/// See [`Store::set_credential`](gitsync_core::Store::set_credential).
pub async fn set_credential(connection: &mut dyn Connection, new: &NewCredential) -> Result<StoredCredential> {
    let now = connection.now().await?;
    // Whoever else sets some waits, so that the rule holds for all of them.
    lock_organisation(connection, new.organisation).await?;
    let stored = known(connection, new.organisation).await?;
    let credential = rules::set_credential(&stored, new, now)?;
    let set = statements::set(connection.dialect(), &credential, &new.secret)?;
    execute_all(connection, set).await?;
    Ok(credential)
}

/// See [`Store::list_credentials`](gitsync_core::Store::list_credentials).
pub async fn list_credentials(
    connection: &mut dyn Connection,
    id: OrganisationId,
    page: &PageRequest,
) -> Result<Page<StoredCredential>> {
    organisation(connection, id).await?;
    let after: Option<CredentialName> = cursor::after(page)?;
    // Sorted and cut here, because there are few, and each database has its own idea of the order of texts.
    let mut items = known(connection, id).await?;
    items.retain(|credential| after.as_ref().is_none_or(|after| credential.name > *after));
    items.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(cursor::page(page, items, |last| last.name.clone()))
}

/// See [`Store::delete_credential`](gitsync_core::Store::delete_credential).
pub async fn delete_credential(
    connection: &mut dyn Connection,
    organisation: OrganisationId,
    name: &CredentialName,
) -> Result<()> {
    match connection.execute(statements::delete(connection.dialect(), organisation, name)?).await? {
        0 => {
            Err(Error::new(ErrorKind::NotFound, "the organisation has no credentials of that name").with("name", name))
        }
        _ => Ok(()),
    }
}

/// See [`Store::sealed_credentials`](gitsync_core::Store::sealed_credentials).
pub async fn sealed_credentials(
    connection: &mut dyn Connection,
    organisation: OrganisationId,
) -> Result<Vec<SealedCredential>> {
    let rows = connection.fetch(statements::sealed(connection.dialect(), organisation)?).await?;
    read_all(rows, rows::credential::read_sealed)
}

/// See [`Store::credential_keys`](gitsync_core::Store::credential_keys).
pub async fn credential_keys(connection: &mut dyn Connection) -> Result<Vec<KeyId>> {
    let mut keys: Vec<KeyId> = Vec::new();
    while keys.len() < MAX_CREDENTIAL_KEYS {
        let next = statements::next_key(connection.dialect(), keys.last())?;
        let Some(mut row) = fetch_optional(connection, next).await? else { break };
        keys.push(row.parsed(KEY, str::parse)?);
    }
    Ok(keys)
}

/// See [`Store::list_sealed_with`](gitsync_core::Store::list_sealed_with).
pub async fn list_sealed_with(
    connection: &mut dyn Connection,
    key: &KeyId,
    page: &PageRequest,
) -> Result<Page<SealedCredential>> {
    let statement = statements::sealed_with(connection.dialect(), key, cursor::after(page)?, cursor::rows(page))?;
    let items = read_all(connection.fetch(statement).await?, rows::credential::read_sealed)?;
    Ok(cursor::page(page, items, |last| (last.credential.organisation, last.credential.name.clone())))
}

/// See [`Store::reseal_credential`](gitsync_core::Store::reseal_credential).
pub async fn reseal_credential(
    connection: &mut dyn Connection,
    organisation: OrganisationId,
    name: &CredentialName,
    before: &SealedSecret,
    after: &SealedSecret,
) -> Result<bool> {
    let statement = statements::reseal(connection.dialect(), organisation, name, before, after)?;
    Ok(connection.execute(statement).await? > 0)
}

async fn known(connection: &mut dyn Connection, organisation: OrganisationId) -> Result<Vec<StoredCredential>> {
    let rows = connection.fetch(statements::known(connection.dialect(), organisation)?).await?;
    read_all(rows, rows::credential::read)
}
