//! Rows of organisations.

use gitsync_core::model::{Organisation, OrganisationId, Slug};
use gitsync_core::{Result, Timestamp};

use super::text;
use crate::Row;
use crate::schema::organisation::{CREATED_AT, ID, NAME, SLUG};
use crate::statement::Record;

/// Returns the row of a new organisation; the database gives the id.
pub(crate) fn record(slug: &Slug, name: &str, created_at: Timestamp) -> Record {
    vec![(SLUG, slug.as_str().into()), (NAME, text(name).into()), (CREATED_AT, created_at.into())]
}

pub(crate) fn read(row: &mut Row) -> Result<Organisation> {
    Ok(Organisation {
        id: OrganisationId(row.number(ID)?),
        slug: row.parsed(SLUG, str::parse)?,
        name: row.text(NAME)?,
        created_at: row.timestamp(CREATED_AT)?,
    })
}
