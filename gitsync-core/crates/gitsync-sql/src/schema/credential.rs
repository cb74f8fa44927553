//! Credentials that organisations keep, sealed.

use gitsync_core::source::CredentialKind;
use sea_query::{ForeignKey, Index, TableCreateStatement};

use super::{bytes, int, one_of, organisation, text};
use crate::Dialect;

super::names!("credential" {
    ORGANISATION = "organisation_id",
    NAME = "name",
    SCOPE = "scope",
    KIND = "kind",
    CREATED_AT = "created_at",
    UPDATED_AT = "updated_at",
    KEY = "key_id",
    SEALED = "sealed",
});

/// What is known of them but for the secret, which is most of a row.
pub(crate) const KNOWN: &[&str] = &[ORGANISATION, NAME, SCOPE, KIND, CREATED_AT, UPDATED_AT];

pub(crate) fn add_credentials(dialect: Dialect) -> Vec<String> {
    // For the few keys there are, and what is sealed with one of them.
    let by_key = super::index(TABLE, "credential_key", &[KEY, ORGANISATION, NAME]);
    vec![dialect.table(&table()), dialect.index(&by_key)]
}

fn table() -> TableCreateStatement {
    super::table(TABLE)
        .col(int(ORGANISATION))
        .col(text(NAME))
        .col(text(SCOPE))
        .col(one_of(text(KIND), CredentialKind::ALL.map(CredentialKind::as_str)))
        .col(int(CREATED_AT))
        .col(int(UPDATED_AT))
        .col(text(KEY))
        .col(bytes(SEALED))
        .primary_key(Index::create().col(ORGANISATION).col(NAME))
        .foreign_key(
            ForeignKey::create()
                .name("credential_of_organisation")
                .from(TABLE, ORGANISATION)
                .to(organisation::TABLE, organisation::ID),
        )
        .to_owned()
}
