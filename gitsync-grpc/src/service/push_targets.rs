//! Push targets.

use gitsync_core::model::RepositoryId;
use gitsync_core::source::SourceUrl;
use tonic::Status;

use super::Service;
use super::repositories::source;
use crate::access::{Principal, Role};
use crate::convert;
use crate::proto::*;
use crate::status::{refused, status};

impl Service {
    pub(super) async fn add_push_target(
        &self,
        caller: &Principal,
        request: AddPushTargetRequest,
    ) -> Result<PushTarget, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.check_role(caller, id, Role::Admin).await.map_err(status)?;
        let added = self.gitsync.add_push_target(id, &url(&request.url)?).await.map_err(status)?;
        Ok(convert::push_target(&added))
    }

    pub(super) async fn remove_push_target(
        &self,
        caller: &Principal,
        request: RemovePushTargetRequest,
    ) -> Result<RemovePushTargetResponse, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.check_role(caller, id, Role::Admin).await.map_err(status)?;
        self.gitsync.remove_push_target(id, &url(&request.url)?).await.map_err(status)?;
        Ok(RemovePushTargetResponse {})
    }

    pub(super) async fn list_push_targets(
        &self,
        caller: &Principal,
        request: ListPushTargetsRequest,
    ) -> Result<ListPushTargetsResponse, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.check_role(caller, id, Role::Reader).await.map_err(status)?;
        let targets = self.gitsync.push_targets(id).await.map_err(status)?;
        Ok(ListPushTargetsResponse { push_targets: targets.iter().map(convert::push_target).collect() })
    }
}

fn url(text: &str) -> Result<SourceUrl, Status> {
    source("url", text)?.ok_or_else(|| refused("url", "the address is missing"))
}
