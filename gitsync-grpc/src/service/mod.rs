//! The service over an engine.

mod credentials;
mod known;
mod organisations;
mod page;
mod push_targets;
mod records;
mod repositories;
mod requests;
mod scope;
mod tasks;

use std::pin::Pin;
use std::sync::Arc;

use gitsync_core::engine::MAX_WATCHERS;
use gitsync_core::{Cancellation, Error, ErrorKind, GitSync, Result};
use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Extensions, Request, Response, Status};

use self::scope::Scope;
use crate::access::{Authorizer, Principal};
use crate::places::{Place, Places};
use crate::proto::git_repository_service_server::GitRepositoryService;
use crate::proto::*;
use crate::status::status;

/// How many tasks a caller watches at once, if nobody says.
const MAX_WATCHES_PER_CALLER: usize = 1_000;

/// `gitsync.v1.GitRepositoryService` over an engine: a cheap handle.
///
/// Give it to [`GitRepositoryServiceServer`](crate::proto::git_repository_service_server::GitRepositoryServiceServer), or
/// let [`server::Server`](crate::server::Server) do that.
#[derive(Clone, Debug)]
pub struct Service {
    gitsync: GitSync,
    authorizer: Arc<dyn Authorizer>,
    scope: Arc<Scope>,
    /// How many tasks each caller watches: the engine has places for a number of watches of all.
    watches: Arc<Places<String>>,
    max_watches_per_caller: usize,
    stopping: Cancellation,
}

impl Service {
    /// Creates the service. The authorizer tells who the callers are.
    pub fn new(gitsync: GitSync, authorizer: Arc<dyn Authorizer>) -> Self {
        let scope = Arc::new(Scope::new(gitsync.clone()));
        // Where everybody is let in all are one caller, for whom there are the places of all.
        let max_watches_per_caller = if authorizer.is_open() { MAX_WATCHERS } else { MAX_WATCHES_PER_CALLER };
        let (watches, stopping) = (Arc::default(), Cancellation::new());
        Service { gitsync, authorizer, scope, watches, max_watches_per_caller, stopping }
    }

    /// Sets how many tasks a caller, told by its name, watches at once. Default: 1,000, or [`MAX_WATCHERS`], which is the most
    /// of all callers together, if everybody is let in.
    #[must_use]
    pub fn max_watches_per_caller(mut self, most: usize) -> Self {
        self.max_watches_per_caller = most;
        self
    }

    /// Ends all watches, which would go on as long as their tasks.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.authorizer.is_open()
    }

    /// Tells who calls by what it shows.
    pub(crate) async fn authenticate(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let token = bearer(metadata).map_err(status)?;
        self.authorizer.authenticate(token).await.map(Caller).map_err(status)
    }

    /// Returns the caller of a request, which a [server](crate::server::Server) has found out before the message was read.
    async fn caller(&self, metadata: &MetadataMap, extensions: &mut Extensions) -> Result<Principal, Status> {
        let Caller(principal) = match extensions.remove() {
            Some(caller) => caller,
            None => self.authenticate(metadata).await?,
        };
        Ok(principal)
    }

    /// Returns the caller of a request if it showed who it is.
    async fn known_caller(&self, metadata: &MetadataMap, extensions: &mut Extensions) -> Result<Principal, Status> {
        known(self.caller(metadata, extensions).await?)
    }

    /// Lets a caller begin to watch, unless it watches as much as it may already. It does so until the place is dropped.
    fn enter(&self, caller: &Principal) -> Result<Place<String>> {
        let most = self.max_watches_per_caller;
        self.watches.enter(caller.name().to_owned(), most).ok_or_else(|| {
            Error::new(ErrorKind::LimitExceeded, format!("a caller watches at most {most} tasks at once"))
                .hint("end other watches, or ask for the task from time to time")
        })
    }
}

/// Who calls, as the authorizer said.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Principal);

/// Refuses a caller that showed no token.
fn known(caller: Principal) -> Result<Principal, Status> {
    if caller.is_anonymous() {
        let error = Error::new(ErrorKind::Unauthenticated, "a token is needed for that");
        return Err(status(error.hint("send it as `authorization: Bearer <token>`")));
    }
    Ok(caller)
}

/// Returns the token of a request.
fn bearer(metadata: &MetadataMap) -> Result<Option<&str>> {
    let wrong = || Error::new(ErrorKind::Unauthenticated, "the authorization is not `Bearer <token>`");
    let mut values = metadata.get_all("authorization").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(wrong());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(wrong)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(wrong());
    }
    Ok(Some(token))
}

/// Implements each method by the function of that name on [`Service`], which gets the caller and the message; a watch gets
/// the metadata too, since it outlives the moment in which the caller is known.
macro_rules! methods {
    ($($method:ident($request:ty) -> $response:ty, by $caller:ident;)*) => {
        #[tonic::async_trait]
        impl GitRepositoryService for Service {
            type WatchSyncTaskStream = Pin<Box<dyn Stream<Item = Result<SyncTask, Status>> + Send>>;

            $(async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let (metadata, mut extensions, request) = request.into_parts();
                let caller = self.$caller(&metadata, &mut extensions).await?;
                self.$method(&caller, request).await.map(Response::new)
            })*

            async fn watch_sync_task(
                &self,
                request: Request<WatchSyncTaskRequest>,
            ) -> Result<Response<Self::WatchSyncTaskStream>, Status> {
                let (metadata, mut extensions, request) = request.into_parts();
                let caller = self.known_caller(&metadata, &mut extensions).await?;
                self.watch_sync_task(&caller, metadata, request).await.map(Response::new)
            }
        }
    };
}

methods! {
    create_repository(CreateRepositoryRequest) -> RepositoryResponse, by known_caller;
    migrate_repository(MigrateRepositoryRequest) -> MigrationResponse, by known_caller;
    sync_repository(SyncRepositoryRequest) -> SyncResponse, by known_caller;
    maintain_repository(MaintainRepositoryRequest) -> MaintenanceResponse, by known_caller;
    create_organisation(CreateOrganisationRequest) -> Organisation, by known_caller;
    get_organisation(GetOrganisationRequest) -> Organisation, by known_caller;
    list_organisations(ListOrganisationsRequest) -> ListOrganisationsResponse, by known_caller;
    get_repository(GetRepositoryRequest) -> RepositoryResponse, by caller;
    list_repositories(ListRepositoriesRequest) -> ListRepositoriesResponse, by caller;
    update_repository(UpdateRepositoryRequest) -> RepositoryResponse, by known_caller;
    archive_repository(ArchiveRepositoryRequest) -> RepositoryResponse, by known_caller;
    unarchive_repository(UnarchiveRepositoryRequest) -> RepositoryResponse, by known_caller;
    delete_repository(DeleteRepositoryRequest) -> DeleteRepositoryResponse, by known_caller;
    add_push_target(AddPushTargetRequest) -> PushTarget, by known_caller;
    remove_push_target(RemovePushTargetRequest) -> RemovePushTargetResponse, by known_caller;
    list_push_targets(ListPushTargetsRequest) -> ListPushTargetsResponse, by known_caller;
    set_credential(SetCredentialRequest) -> Credential, by known_caller;
    list_credentials(ListCredentialsRequest) -> ListCredentialsResponse, by known_caller;
    delete_credential(DeleteCredentialRequest) -> DeleteCredentialResponse, by known_caller;
    list_branches(ListBranchesRequest) -> ListBranchesResponse, by caller;
    list_commits(ListCommitsRequest) -> ListCommitsResponse, by caller;
    list_ref_updates(ListRefUpdatesRequest) -> ListRefUpdatesResponse, by caller;
    get_sync_task(GetSyncTaskRequest) -> SyncTask, by known_caller;
    list_sync_tasks(ListSyncTasksRequest) -> ListSyncTasksResponse, by known_caller;
    cancel_sync_task(CancelSyncTaskRequest) -> SyncTask, by known_caller;
    retry_sync_task(RetrySyncTaskRequest) -> SyncTask, by known_caller;
    get_queue_stats(GetQueueStatsRequest) -> GetQueueStatsResponse, by known_caller;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_found_and_anything_else_refused() {
        let of = |values: &[&'static str]| {
            let mut metadata = MetadataMap::new();
            for value in values {
                metadata.append("authorization", value.parse().unwrap());
            }
            bearer(&metadata).map(|token| token.map(str::to_owned)).map_err(|error| error.kind())
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["Bearer abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(of(&["bearer  abc "]), Ok(Some("abc".to_owned())));
        for bad in [&["Basic abc"][..], &["abc"], &["Bearer "], &[""], &["Bearer a", "Bearer b"]] {
            assert_eq!(of(bad), Err(ErrorKind::Unauthenticated), "{bad:?}");
        }
    }
}
