//! Organisations that were looked up before.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use gitsync_core::model::{Organisation, OrganisationId, Slug};
use gitsync_core::{GitSync, Result};

/// How many organisations are remembered.
const MAX_REMEMBERED: usize = 100_000;

/// Looks organisations up, each once: they neither change nor go. What is not there may come, so that is not remembered.
#[derive(Debug)]
pub(super) struct Known {
    gitsync: GitSync,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    organisations: HashMap<OrganisationId, Organisation>,
    ids: HashMap<Slug, OrganisationId>,
}

impl Known {
    pub(super) fn new(gitsync: GitSync) -> Self {
        Known { gitsync, found: Mutex::default() }
    }

    /// Returns an organisation if it was looked up before.
    pub(super) fn known(&self, id: OrganisationId) -> Option<Organisation> {
        self.with(|found| found.organisations.get(&id).cloned())
    }

    /// Returns an organisation.
    pub(super) async fn by_id(&self, id: OrganisationId) -> Result<Organisation> {
        match self.known(id) {
            Some(known) => Ok(known),
            None => Ok(self.remember(self.gitsync.organisation(id).await?)),
        }
    }

    /// Returns the organisation of a slug.
    pub(super) async fn by_slug(&self, slug: &Slug) -> Result<Organisation> {
        let known = self.with(|found| found.ids.get(slug).and_then(|id| found.organisations.get(id)).cloned());
        match known {
            Some(known) => Ok(known),
            None => Ok(self.remember(self.gitsync.organisation_by_slug(slug).await?)),
        }
    }

    fn remember(&self, organisation: Organisation) -> Organisation {
        self.with(|found| {
            if found.organisations.len() >= MAX_REMEMBERED {
                *found = Found::default();
            }
            found.ids.insert(organisation.slug.clone(), organisation.id);
            found.organisations.insert(organisation.id, organisation.clone());
        });
        organisation
    }

    fn with<T>(&self, act: impl FnOnce(&mut Found) -> T) -> T {
        act(&mut self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
