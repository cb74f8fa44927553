//! Which migrations were applied.

use sea_query::TableCreateStatement;

super::names!("schema_migration" { VERSION = "version", NAME = "name", APPLIED_AT = "applied_at" });

/// The table must stay as it is: all versions of gitsync read it.
pub(crate) fn table() -> TableCreateStatement {
    let mut version = super::int(VERSION);
    super::table(TABLE)
        .if_not_exists()
        .col(version.primary_key())
        .col(super::text(NAME))
        .col(super::int(APPLIED_AT))
        .to_owned()
}
