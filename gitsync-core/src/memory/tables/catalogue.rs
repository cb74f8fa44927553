//! Organisations and repositories, as users see and change them.

use super::{RepositoryRow, Tables};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Organisation, OrganisationId, Repository, RepositoryId, RepositoryName, Slug, SyncTask};
use crate::rules::{self, Archived};
use crate::store::{NewRepository, RepositoryPatch};

impl Tables {
    pub(in crate::memory) fn create_organisation(
        &mut self,
        slug: &Slug,
        name: &str,
        now: Timestamp,
    ) -> Result<Organisation> {
        rules::check_organisation_name(name)?;
        if self.organisation_by_slug(slug).is_ok() {
            return Err(
                Error::new(ErrorKind::AlreadyExists, "there is an organisation of that name").with("slug", slug)
            );
        }
        let id = OrganisationId(next_id(self.last_organisation)?);
        let organisation = Organisation { id, slug: slug.clone(), name: name.to_owned(), created_at: now };
        self.last_organisation = id.0;
        self.organisations.insert(id, organisation.clone());
        Ok(organisation)
    }

    pub(in crate::memory) fn organisation(&self, id: OrganisationId) -> Result<&Organisation> {
        let missing = || Error::new(ErrorKind::NotFound, "the organisation does not exist").with("organisation", id);
        self.organisations.get(&id).ok_or_else(missing)
    }

    pub(in crate::memory) fn organisation_by_slug(&self, slug: &Slug) -> Result<&Organisation> {
        let missing = || Error::new(ErrorKind::NotFound, "the organisation does not exist").with("slug", slug);
        self.organisations.values().find(|organisation| organisation.slug == *slug).ok_or_else(missing)
    }

    pub(in crate::memory) fn create_repository(
        &mut self,
        new: &NewRepository,
        now: Timestamp,
    ) -> Result<(Repository, SyncTask)> {
        self.organisation(new.organisation)?;
        let id = RepositoryId(next_id(self.last_repository)?);
        let (repository, task) = rules::create(new, id, now)?;
        if self.find_by_name(new.organisation, &new.name).is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, "the organisation has a repository of that name")
                .with("name", &new.name));
        }
        self.check_new_task(new.task)?;
        self.last_repository = id.0;
        self.tasks.insert(task.id, task.clone());
        self.repositories.insert(id, RepositoryRow::new(repository.clone()));
        Ok((repository, task))
    }

    pub(in crate::memory) fn repository_by_name(
        &self,
        organisation: OrganisationId,
        name: &RepositoryName,
    ) -> Result<&Repository> {
        let missing = || Error::new(ErrorKind::NotFound, "the repository does not exist").with("name", name);
        let found = self.find_by_name(organisation, name);
        found.filter(|repository| repository.deleted_at.is_none()).ok_or_else(missing)
    }

    /// Finds a repository by name, also one that is being deleted: its name is still taken.
    fn find_by_name(&self, organisation: OrganisationId, name: &RepositoryName) -> Option<&Repository> {
        let mut repositories = self.repositories.values().map(|row| &row.repository);
        repositories.find(|known| known.organisation == organisation && known.name.folded() == name.folded())
    }

    pub(in crate::memory) fn update_repository(
        &mut self,
        id: RepositoryId,
        version: i64,
        patch: &RepositoryPatch,
        now: Timestamp,
    ) -> Result<Repository> {
        let edited = rules::edit(&self.row(id)?.repository, version, patch, now)?;
        self.write(edited.clone(), None)?;
        Ok(edited)
    }

    pub(in crate::memory) fn archive(&mut self, id: RepositoryId, now: Timestamp) -> Result<Archived> {
        let archived = rules::archive(&self.row(id)?.repository, self.unfinished(id), now)?;
        self.write(archived.repository.clone(), &archived.cancelled)?;
        Ok(archived)
    }

    pub(in crate::memory) fn unarchive(&mut self, id: RepositoryId, now: Timestamp) -> Result<Repository> {
        let repository = rules::unarchive(&self.row(id)?.repository, now)?;
        self.write(repository.clone(), None)?;
        Ok(repository)
    }
}

impl RepositoryRow {
    fn new(repository: Repository) -> Self {
        RepositoryRow {
            repository,
            refs: Default::default(),
            commits: Default::default(),
            baseline_digest: None,
            policy_digest: None,
            targets: Default::default(),
        }
    }
}

fn next_id(last: i32) -> Result<i32> {
    last.checked_add(1).ok_or_else(|| Error::new(ErrorKind::LimitExceeded, "there are no ids left"))
}
