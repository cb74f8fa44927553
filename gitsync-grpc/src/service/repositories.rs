//! Repositories: what users decide about them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use gitsync_core::engine::CreateRepository;
use gitsync_core::model::{Depth, OrganisationId, Repository as Model, RepositoryId, RepositoryName, Slug};
use gitsync_core::plan::RefPattern;
use gitsync_core::source::SourceUrl;
use gitsync_core::state::RepositoryStatus;
use gitsync_core::store::{RepositoryFilter, RepositoryPatch};
use gitsync_core::{Error, ErrorKind};
use tonic::Status;

use super::Service;
use super::page::{self, List};
use crate::access::{Principal, Role};
use crate::convert;
use crate::proto::*;
use crate::status::{at, refused, status, within};

impl Service {
    pub(super) async fn create_repository(
        &self,
        caller: &Principal,
        request: CreateRepositoryRequest,
    ) -> Result<RepositoryResponse, Status> {
        let id = OrganisationId(request.organisation_id);
        let organisation = self.scope.organisation(caller, id, Role::Writer).await.map_err(at("organisation_id"))?;
        let source = source("source_url", &request.source_url)?;
        let storage = request.storage.map(|name| name.parse().map_err(at("storage"))).transpose()?;
        let wish = CreateRepository {
            name: request.name,
            description: request.description,
            owner: caller.name().to_owned(),
            is_public: request.is_public,
            source,
            source_type: request.source_type,
            is_bare: request.is_bare,
            is_mirror: request.is_mirror,
            storage,
            exclude_refs: patterns(&request.exclude_refs).map_err(at("exclude_refs"))?,
            depth: depth(request.depth).map_err(status)?,
        };
        let created = self.gitsync.create_repository(organisation.id, wish).await;
        let (repository, task) = created.map_err(|error| status(without_storages(caller, error)))?;
        Ok(RepositoryResponse {
            repository: Some(convert::repository(&repository, &organisation.slug)),
            message: format!("the repository was created, and its {} is {}", task.kind.as_str(), task.status),
            task_id: task.id.to_string(),
        })
    }

    pub(super) async fn get_repository(
        &self,
        caller: &Principal,
        request: GetRepositoryRequest,
    ) -> Result<RepositoryResponse, Status> {
        let (repository, slug) = if request.repository_id == 0 {
            let slug = Slug::new(request.organisation_slug).map_err(at("organisation_slug"))?;
            // Before anything is looked up: a bad name must not tell whether there is such an organisation.
            let name = RepositoryName::new(request.name).map_err(at("name"))?;
            let found = self.scope.repository_by_name(caller, &slug, &name, Role::Reader).await;
            (found.map_err(at("name"))?, slug)
        } else {
            let id = RepositoryId(request.repository_id);
            self.scope.repository(caller, id, Role::Reader).await.map_err(at("repository_id"))?
        };
        Ok(RepositoryResponse { repository: Some(shown(caller, &repository, &slug)), ..RepositoryResponse::default() })
    }

    pub(super) async fn list_repositories(
        &self,
        caller: &Principal,
        request: ListRepositoriesRequest,
    ) -> Result<ListRepositoriesResponse, Status> {
        let list = List::of("repositories", request.organisation_id);
        let page = list.request(request.page_size, &request.page_token)?;
        let mut filter = self.visible(caller, request.organisation_id).await?;
        if !request.status.is_empty() {
            let status = RepositoryStatus::from_name(&request.status);
            filter.status = Some(status.ok_or_else(|| refused("status", "there is no such status of a repository"))?);
        }
        let filter = &filter;
        let (repositories, next_page_token) = list
            .answer(page, |page| async move {
                let found = self.gitsync.list_repositories(filter, &page).await?;
                let mut slugs = HashMap::new();
                for repository in &found.items {
                    if let Entry::Vacant(missing) = slugs.entry(repository.organisation) {
                        missing.insert(self.scope.slug(repository.organisation).await?);
                    }
                }
                Ok(page::convert(found, |found| shown(caller, found, &slugs[&found.organisation])))
            })
            .await?;
        Ok(ListRepositoriesResponse { repositories, next_page_token })
    }

    /// Returns the filter that leaves what a caller may see, of one organisation or (0) of all.
    async fn visible(&self, caller: &Principal, organisation: i32) -> Result<RepositoryFilter, Status> {
        let mut filter = RepositoryFilter::default();
        if organisation != 0 {
            let id = OrganisationId(organisation);
            filter.organisations = Some(vec![id]);
            match self.scope.organisation(caller, id, Role::Reader).await {
                Ok(_) => {}
                // Whether or not there is such an organisation, it has no public repositories, or has some.
                Err(error) if error.kind() == ErrorKind::NotFound && caller.reads_public() => {
                    filter.is_public = Some(true);
                }
                Err(error) => return Err(at("organisation_id")(error)),
            }
        } else if caller.is_anonymous() {
            filter.is_public = Some(true);
        } else if caller.role_everywhere().is_none() {
            let mine = self.scope.organisations_of(caller).await.map_err(status)?;
            filter.organisations = Some(mine.iter().map(|organisation| organisation.id).collect());
        }
        Ok(filter)
    }

    pub(super) async fn update_repository(
        &self,
        caller: &Principal,
        request: UpdateRepositoryRequest,
    ) -> Result<RepositoryResponse, Status> {
        let id = RepositoryId(request.repository_id);
        let (repository, slug) = self.scope.repository(caller, id, Role::Writer).await.map_err(status)?;
        let wish = request.repository.ok_or_else(|| refused("repository", "the new values are missing"))?;
        let patch = patch(wish, &request.update_mask.unwrap_or_default().paths)?;
        let version = request.version.unwrap_or(repository.version);
        let repository = self.gitsync.update_repository(id, version, &patch).await.map_err(within("repository"))?;
        Ok(response(&repository, &slug, "the repository was changed".to_owned()))
    }

    pub(super) async fn archive_repository(
        &self,
        caller: &Principal,
        request: ArchiveRepositoryRequest,
    ) -> Result<RepositoryResponse, Status> {
        let id = RepositoryId(request.repository_id);
        let (_, slug) = self.scope.repository(caller, id, Role::Writer).await.map_err(status)?;
        let repository = self.gitsync.archive_repository(id).await.map_err(status)?;
        Ok(response(&repository, &slug, "the repository is set aside, and not synced any more".to_owned()))
    }

    pub(super) async fn unarchive_repository(
        &self,
        caller: &Principal,
        request: UnarchiveRepositoryRequest,
    ) -> Result<RepositoryResponse, Status> {
        let id = RepositoryId(request.repository_id);
        let (_, slug) = self.scope.repository(caller, id, Role::Writer).await.map_err(status)?;
        let repository = self.gitsync.unarchive_repository(id).await.map_err(status)?;
        Ok(response(&repository, &slug, "the repository is back".to_owned()))
    }
}

/// Leaves the names of the storages there are, which all organisations share, to those who run them.
fn without_storages(caller: &Principal, error: Error) -> Error {
    match (error.field(), caller.role_everywhere()) {
        (Some("storage"), None) => error.hint("name one that you were told of, or none"),
        _ => error,
    }
}

/// Shows a repository to who may read it.
fn shown(caller: &Principal, repository: &Model, slug: &Slug) -> Repository {
    match caller.role_in(slug) {
        Some(_) => convert::repository(repository, slug),
        None => convert::public_repository(repository, slug),
    }
}

fn response(repository: &Model, slug: &Slug, message: String) -> RepositoryResponse {
    let repository = Some(convert::repository(repository, slug));
    RepositoryResponse { repository, message, task_id: String::new() }
}

/// Reads the address in a field; empty means none.
pub(super) fn source(field: &'static str, text: &str) -> Result<Option<SourceUrl>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = SourceUrl::parse(text).map_err(at(field))?;
    if parsed.credentials.is_some() {
        return Err(refused(field, "an address with a user or password in it is not taken; leave them out"));
    }
    Ok(Some(parsed.url))
}

fn patch(wish: Repository, mask: &[String]) -> Result<RepositoryPatch, Status> {
    if mask.is_empty() {
        return Err(refused("update_mask", "it names no field to change"));
    }
    let mut patch = RepositoryPatch::default();
    // Each once: a mask that names one field a thousand times does not read its value a thousand times.
    for path in mask.iter().collect::<BTreeSet<_>>() {
        match path.as_str() {
            "description" => patch.description = Some(wish.description.clone()),
            "is_public" => patch.is_public = Some(wish.is_public),
            "exclude_refs" => {
                patch.exclude_refs = Some(patterns(&wish.exclude_refs).map_err(at("repository.exclude_refs"))?);
            }
            "depth" => patch.depth = Some(depth(wish.depth).map_err(within("repository"))?),
            "sync_interval" => patch.sync_interval = Some(wish.sync_interval.map(interval).transpose()?),
            _ => return Err(refused("update_mask", "it names a field that cannot be changed")),
        }
    }
    Ok(patch)
}

/// Reads patterns of references.
fn patterns(texts: &[String]) -> gitsync_core::Result<Vec<RefPattern>> {
    texts.iter().map(|text| RefPattern::new(text.as_str())).collect()
}

/// Reads a depth; none is the whole history.
fn depth(generations: Option<i32>) -> gitsync_core::Result<Option<Depth>> {
    generations.map(|generations| Depth::new(generations.into())).transpose()
}

fn interval(interval: prost_types::Duration) -> Result<Duration, Status> {
    let interval = Duration::try_from(interval).ok().filter(|interval| !interval.is_zero());
    interval.ok_or_else(|| refused("repository.sync_interval", "an interval is longer than nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_named_often_is_read_once() {
        // Read once for each name, this would take until tomorrow.
        let wish = Repository { exclude_refs: vec!["refs/x".to_owned(); 100_000], ..Repository::default() };
        let patch = patch(wish, &vec!["exclude_refs".to_owned(); 50_000]).unwrap();
        assert_eq!(patch.exclude_refs.unwrap().len(), 100_000);
    }
}
