//! What repositories contain.

use gitsync_core::model::{RefName, RepositoryId};
use gitsync_core::store::CommitFilter;
use tonic::Status;

use super::Service;
use super::page::{self, List};
use crate::access::{Principal, Role};
use crate::convert;
use crate::proto::*;
use crate::status::{at, status};

impl Service {
    pub(super) async fn list_branches(
        &self,
        caller: &Principal,
        request: ListBranchesRequest,
    ) -> Result<ListBranchesResponse, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.repository(caller, id, Role::Reader).await.map_err(status)?;
        let list = List::of("branches", id);
        let page = list.request(request.page_size, &request.page_token)?;
        let (branches, next_page_token) = list
            .answer(page, |page| async move {
                Ok(page::convert(self.gitsync.list_branches(id, &page).await?, convert::branch))
            })
            .await?;
        Ok(ListBranchesResponse { branches, next_page_token })
    }

    pub(super) async fn list_commits(
        &self,
        caller: &Principal,
        request: ListCommitsRequest,
    ) -> Result<ListCommitsResponse, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.repository(caller, id, Role::Reader).await.map_err(status)?;
        let list = List::of("commits", id);
        let page = list.request(request.page_size, &request.page_token)?;
        let filter = CommitFilter {
            author_email: Some(request.author_email).filter(|email| !email.is_empty()),
            since_seconds: request.since_seconds,
            until_seconds: request.until_seconds,
            branch: branch(&request.branch)?,
            include_orphaned: false,
        };
        let filter = &filter;
        let (commits, next_page_token) = list
            .answer(page, |page| async move {
                Ok(page::convert(self.gitsync.list_commits(id, filter, &page).await?, convert::commit))
            })
            .await?;
        Ok(ListCommitsResponse { commits, next_page_token })
    }

    pub(super) async fn list_ref_updates(
        &self,
        caller: &Principal,
        request: ListRefUpdatesRequest,
    ) -> Result<ListRefUpdatesResponse, Status> {
        let id = RepositoryId(request.repository_id);
        let (_, slug) = self.scope.repository(caller, id, Role::Reader).await.map_err(status)?;
        let shown = match caller.role_in(&slug) {
            Some(_) => convert::ref_update,
            None => convert::public_ref_update,
        };
        let list = List::of("ref_updates", id);
        let page = list.request(request.page_size, &request.page_token)?;
        let (updates, next_page_token) =
            list.answer(page, |page| async move {
                Ok(page::convert(self.gitsync.list_ref_updates(id, &page).await?, shown))
            })
            .await?;
        Ok(ListRefUpdatesResponse { updates, next_page_token })
    }
}

/// Reads the name of a branch; empty means none.
fn branch(name: &str) -> Result<Option<RefName>, Status> {
    match name {
        "" => Ok(None),
        full if full.starts_with("refs/heads/") => RefName::new(full).map(Some).map_err(at("branch")),
        short => RefName::branch(short).map(Some).map_err(at("branch")),
    }
}
