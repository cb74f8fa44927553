//! Organisations: who owns repositories.

use crate::clock::Timestamp;
use crate::model::{OrganisationId, Slug};

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// The id.
    pub id: OrganisationId,
    /// The unique short name; it never changes, because paths contain it.
    pub slug: Slug,
    /// The name shown to people.
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
}
