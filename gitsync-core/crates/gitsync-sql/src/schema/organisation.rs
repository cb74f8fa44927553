//! Organisations.

use sea_query::{IndexCreateStatement, TableCreateStatement};

super::names!("organisation" { ID = "id", SLUG = "slug", NAME = "name", CREATED_AT = "created_at" });

pub(crate) fn table() -> TableCreateStatement {
    super::table(TABLE)
        .col(super::generated_id(ID))
        .col(super::text(SLUG))
        .col(super::text(NAME))
        .col(super::int(CREATED_AT))
        .to_owned()
}

pub(crate) fn indexes() -> Vec<IndexCreateStatement> {
    vec![super::index(TABLE, "organisation_slug", &[SLUG]).unique().to_owned()]
}
