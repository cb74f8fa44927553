//! What a caller may see and do. What it may not see does not exist for it.

use gitsync_core::model::{
    Organisation, OrganisationId, Repository, RepositoryId, RepositoryName, Slug, SyncTask, TaskId,
};
use gitsync_core::store::MAX_FILTER_ORGANISATIONS;
use gitsync_core::{Error, ErrorKind, GitSync, Result};

use super::known::Known;
use crate::access::{Principal, Role};

/// Looks things up on behalf of callers.
#[derive(Debug)]
pub(super) struct Scope {
    gitsync: GitSync,
    organisations: Known,
}

impl Scope {
    pub(super) fn new(gitsync: GitSync) -> Self {
        Scope { organisations: Known::new(gitsync.clone()), gitsync }
    }

    /// Returns an organisation in which the caller has at least this role.
    pub(super) async fn organisation(
        &self,
        caller: &Principal,
        id: OrganisationId,
        role: Role,
    ) -> Result<Organisation> {
        let missing = || missing("organisation", id);
        let organisation = self.organisations.by_id(id).await.map_err(|error| hide(error, missing))?;
        check(caller, &organisation.slug, role, missing)?;
        Ok(organisation)
    }

    /// Returns the organisation of a slug, in which the caller has at least this role.
    pub(super) async fn organisation_by_slug(
        &self,
        caller: &Principal,
        slug: &Slug,
        role: Role,
    ) -> Result<Organisation> {
        let missing = || missing("organisation", slug);
        check(caller, slug, role, missing)?;
        self.organisations.by_slug(slug).await.map_err(|error| hide(error, missing))
    }

    /// Returns a repository and the slug of its organisation, in which the caller has at least this role.
    pub(super) async fn repository(
        &self,
        caller: &Principal,
        id: RepositoryId,
        role: Role,
    ) -> Result<(Repository, Slug)> {
        let missing = || missing("repository", id);
        let repository = self.gitsync.repository(id).await.map_err(|error| hide(error, missing))?;
        let slug = self.organisations.by_id(repository.organisation).await?.slug;
        self.check_repository(caller, &repository, &slug, role, missing)?;
        Ok((repository, slug))
    }

    /// Returns the repository of a name, in whose organisation the caller has at least this role.
    pub(super) async fn repository_by_name(
        &self,
        caller: &Principal,
        slug: &Slug,
        name: &RepositoryName,
        role: Role,
    ) -> Result<Repository> {
        let missing = || missing("repository", format_args!("{slug}/{name}"));
        let found = async {
            let organisation = self.organisations.by_slug(slug).await?;
            self.gitsync.repository_by_name(organisation.id, name.as_str()).await
        };
        let repository = found.await.map_err(|error| hide(error, missing))?;
        self.check_repository(caller, &repository, slug, role, missing)?;
        Ok(repository)
    }

    /// Checks that the caller has at least this role in the organisation of a repository, public or not.
    pub(super) async fn check_role(&self, caller: &Principal, id: RepositoryId, role: Role) -> Result<()> {
        let missing = || missing("repository", id);
        let repository = self.gitsync.repository(id).await.map_err(|error| hide(error, missing))?;
        let slug = self.organisations.by_id(repository.organisation).await?.slug;
        check(caller, &slug, role, missing)
    }

    /// Returns a task in whose organisation the caller has at least this role.
    pub(super) async fn task(&self, caller: &Principal, id: TaskId, role: Role) -> Result<SyncTask> {
        let missing = || missing("task", id);
        let task = self.gitsync.task(id).await.map_err(|error| hide(error, missing))?;
        self.check_task(caller, &task, role).await?;
        Ok(task)
    }

    /// Checks that the caller has at least this role in the organisation of a task.
    pub(super) async fn check_task(&self, caller: &Principal, task: &SyncTask, role: Role) -> Result<()> {
        let slug = self.organisations.by_id(task.organisation).await?.slug;
        check(caller, &slug, role, || missing("task", task.id))
    }

    /// Returns the organisations the caller has a role in by their slugs, ascending by id.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`] if there are more than a list is searched for.
    pub(super) async fn organisations_of(&self, caller: &Principal) -> Result<Vec<Organisation>> {
        if caller.organisations().count() > MAX_FILTER_ORGANISATIONS {
            let error =
                Error::new(ErrorKind::LimitExceeded, "the caller has roles in too many organisations for a list");
            return Err(error.hint("name one of them"));
        }
        let mut found = Vec::new();
        for slug in caller.organisations() {
            match self.organisations.by_slug(slug).await {
                Ok(organisation) => found.push(organisation),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|organisation| organisation.id);
        Ok(found)
    }

    /// Returns the slug of an organisation that the caller is known to see.
    pub(super) async fn slug(&self, id: OrganisationId) -> Result<Slug> {
        Ok(self.organisations.by_id(id).await?.slug)
    }

    fn check_repository(
        &self,
        caller: &Principal,
        repository: &Repository,
        slug: &Slug,
        role: Role,
        missing: impl Fn() -> Error,
    ) -> Result<()> {
        if role == Role::Reader && repository.is_public && caller.reads_public() {
            return Ok(());
        }
        check(caller, slug, role, missing)
    }
}

/// Checks a role in an organisation.
fn check(caller: &Principal, slug: &Slug, role: Role, missing: impl Fn() -> Error) -> Result<()> {
    match caller.role_in(slug) {
        Some(found) if found >= role => Ok(()),
        Some(_) => Err(too_low(role)),
        None => Err(missing()),
    }
}

/// Checks a role in all organisations.
pub(super) fn check_everywhere(caller: &Principal, role: Role) -> Result<()> {
    if caller.role_everywhere().is_some_and(|found| found >= role) { Ok(()) } else { Err(too_low(role)) }
}

fn too_low(role: Role) -> Error {
    Error::new(ErrorKind::PermissionDenied, "the token's role does not allow that").with("needed", role)
}

/// The one answer for what is not there and for what must not be seen.
fn missing(what: &str, id: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no such {what}")).with("id", id)
}

fn hide(error: Error, missing: impl Fn() -> Error) -> Error {
    if error.kind() == ErrorKind::NotFound { missing() } else { error }
}
