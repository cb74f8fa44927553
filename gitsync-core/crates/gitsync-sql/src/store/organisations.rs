//! Organisations.

use gitsync_core::model::{Organisation, OrganisationId, Page, PageRequest, Slug};
use gitsync_core::rules;
use gitsync_core::{Error, ErrorKind, Result};

use super::{fetch_optional, read_all, taken};
use crate::schema::organisation::ID;
use crate::statements::organisations as statements;
use crate::{Connection, Row, cursor, rows};

/// See [`Store::create_organisation`](gitsync_core::Store::create_organisation).
pub async fn create_organisation(connection: &mut dyn Connection, slug: &Slug, name: &str) -> Result<Organisation> {
    rules::check_organisation_name(name)?;
    let now = connection.now().await?;
    let insert = statements::insert(connection.dialect(), slug, name, now)?;
    let row = fetch_optional(connection, insert)
        .await
        .map_err(|error| taken(error, "there is an organisation with this slug").with("slug", slug))?;
    let id = OrganisationId(answered(row)?.number(ID)?);
    organisation(connection, id).await
}

/// See [`Store::organisation`](gitsync_core::Store::organisation).
pub async fn organisation(connection: &mut dyn Connection, id: OrganisationId) -> Result<Organisation> {
    let statement = statements::by_id(connection.dialect(), id)?;
    let row = fetch_optional(connection, statement).await?;
    rows::organisation::read(&mut row.ok_or_else(|| not_found().with("organisation", id))?)
}

/// Returns an organisation, and keeps others who lock it waiting until the transaction ends.
pub(super) async fn lock_organisation(connection: &mut dyn Connection, id: OrganisationId) -> Result<Organisation> {
    let statement = statements::lock(connection.dialect(), id)?;
    let row = fetch_optional(connection, statement).await?;
    rows::organisation::read(&mut row.ok_or_else(|| not_found().with("organisation", id))?)
}

/// See [`Store::organisation_by_slug`](gitsync_core::Store::organisation_by_slug).
pub async fn organisation_by_slug(connection: &mut dyn Connection, slug: &Slug) -> Result<Organisation> {
    let statement = statements::by_slug(connection.dialect(), slug)?;
    let row = fetch_optional(connection, statement).await?;
    rows::organisation::read(&mut row.ok_or_else(|| not_found().with("slug", slug))?)
}

/// See [`Store::list_organisations`](gitsync_core::Store::list_organisations).
pub async fn list_organisations(connection: &mut dyn Connection, page: &PageRequest) -> Result<Page<Organisation>> {
    let statement = statements::list(connection.dialect(), cursor::after(page)?, cursor::rows(page))?;
    let items = read_all(connection.fetch(statement).await?, rows::organisation::read)?;
    Ok(cursor::page(page, items, |last| i64::from(last.id.0)))
}

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "the organisation does not exist")
}

/// Returns the row that an insertion answers with.
pub(super) fn answered(row: Option<Row>) -> Result<Row> {
    row.ok_or_else(|| Error::new(ErrorKind::Internal, "an insertion did not answer with the row's id"))
}
