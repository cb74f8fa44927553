//! What a caller may see and do. What it may not see does not exist for it.

use gitsync_core::model::{
    Organisation, OrganisationId, Repository, RepositoryId, RepositoryName, Slug, SyncTask, TaskId,
};
use gitsync_core::store::MAX_FILTER_ORGANISATIONS;
use gitsync_core::{Error, ErrorKind, GitSync, Result};

use super::known::Known;
use crate::access::{Principal, Role};

/// No organisation has this id.
const NOBODY: OrganisationId = OrganisationId(0);

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
        let organisation = self.own(caller, id).await?.ok_or_else(missing)?;
        check(caller, &organisation.slug, role, missing)?;
        Ok(organisation)
    }

    /// Returns an organisation in which the caller has a role.
    ///
    /// One in which it has none takes the same time whether or not it is there: it is looked for among the caller's own alone.
    async fn own(&self, caller: &Principal, id: OrganisationId) -> Result<Option<Organisation>> {
        if caller.role_everywhere().is_some() {
            return found(self.organisations.by_id(id).await);
        }
        if let Some(known) = self.organisations.known(id).filter(|known| caller.role_in(&known.slug).is_some()) {
            return Ok(Some(known));
        }
        for slug in caller.organisations() {
            let organisation = found(self.organisations.by_slug(slug).await)?;
            if organisation.as_ref().is_some_and(|organisation| organisation.id == id) {
                return Ok(organisation);
            }
        }
        Ok(None)
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
        if is_open_to(caller, &repository, role) {
            let slug = self.slug(repository.organisation).await?;
            return Ok((repository, slug));
        }
        let organisation = self.own(caller, repository.organisation).await?.ok_or_else(missing)?;
        check(caller, &organisation.slug, role, missing)?;
        Ok((repository, organisation.slug))
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
        let is_own = caller.role_in(slug).is_some();
        if !is_own && !caller.reads_public() {
            return Err(missing());
        }
        let organisation = if is_own {
            self.organisations.by_slug(slug).await.map_err(|error| hide(error, missing))?.id
        } else {
            // Looked up each time, and searched also if it is not there: else the time would tell what organisations there are.
            let organisation = found(self.gitsync.organisation_by_slug(slug).await)?;
            organisation.map_or(NOBODY, |organisation| organisation.id)
        };
        let repository = self.gitsync.repository_by_name(organisation, name.as_str()).await;
        let repository = repository.map_err(|error| hide(error, missing))?;
        if !is_open_to(caller, &repository, role) {
            check(caller, slug, role, missing)?;
        }
        Ok(repository)
    }

    /// Checks that the caller has at least this role in the organisation of a repository, public or not.
    pub(super) async fn check_role(&self, caller: &Principal, id: RepositoryId, role: Role) -> Result<()> {
        let missing = || missing("repository", id);
        let repository = self.gitsync.repository(id).await.map_err(|error| hide(error, missing))?;
        let organisation = self.own(caller, repository.organisation).await?.ok_or_else(missing)?;
        check(caller, &organisation.slug, role, missing)
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
        let missing = || missing("task", task.id);
        let organisation = self.own(caller, task.organisation).await?.ok_or_else(missing)?;
        check(caller, &organisation.slug, role, missing)
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
        let mut own = Vec::new();
        for slug in caller.organisations() {
            own.extend(found(self.organisations.by_slug(slug).await)?);
        }
        own.sort_by_key(|organisation| organisation.id);
        Ok(own)
    }

    /// Returns the slug of an organisation that the caller is known to see.
    pub(super) async fn slug(&self, id: OrganisationId) -> Result<Slug> {
        Ok(self.organisations.by_id(id).await?.slug)
    }
}

/// Tells whether a repository is public, and the caller reads what is.
fn is_open_to(caller: &Principal, repository: &Repository, role: Role) -> bool {
    role == Role::Reader && repository.is_public && caller.reads_public()
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

/// Returns what was found, if it is there.
fn found<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn hide(error: Error, missing: impl Fn() -> Error) -> Error {
    if error.kind() == ErrorKind::NotFound { missing() } else { error }
}
