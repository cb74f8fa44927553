//! Rows of stored credentials.

use gitsync_core::Result;
use gitsync_core::model::{OrganisationId, SealedCredential, SealedSecret, StoredCredential};
use gitsync_core::source::CredentialKind;

use crate::Row;
use crate::schema::credential::{CREATED_AT, KEY, KIND, NAME, ORGANISATION, SCOPE, SEALED, UPDATED_AT};
use crate::statement::Record;

pub(crate) fn record(credential: &StoredCredential, secret: &SealedSecret) -> Record {
    let mut record = vec![
        (ORGANISATION, credential.organisation.0.into()),
        (NAME, credential.name.as_str().into()),
        (SCOPE, credential.scope.to_string().into()),
        (KIND, credential.kind.as_str().into()),
        (CREATED_AT, credential.created_at.into()),
        (UPDATED_AT, credential.updated_at.into()),
    ];
    record.extend(secret_record(secret));
    record
}

pub(crate) fn secret_record(secret: &SealedSecret) -> Record {
    vec![(KEY, secret.key.as_str().into()), (SEALED, secret.bytes.clone().into())]
}

pub(crate) fn read(row: &mut Row) -> Result<StoredCredential> {
    Ok(StoredCredential {
        organisation: OrganisationId(row.number(ORGANISATION)?),
        name: row.parsed(NAME, str::parse)?,
        scope: row.parsed(SCOPE, str::parse)?,
        kind: row.named(KIND, CredentialKind::from_name)?,
        created_at: row.timestamp(CREATED_AT)?,
        updated_at: row.timestamp(UPDATED_AT)?,
    })
}

pub(crate) fn read_sealed(row: &mut Row) -> Result<SealedCredential> {
    let credential = read(row)?;
    let secret = SealedSecret { key: row.parsed(KEY, str::parse)?, bytes: row.bytes(SEALED)? };
    Ok(SealedCredential { credential, secret })
}
