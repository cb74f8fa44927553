//! What is requested of repositories, and becomes a task.

use gitsync_core::model::{RepositoryId, SyncTask as Model};
use tonic::Status;

use super::Service;
use super::repositories::source;
use crate::access::{Principal, Role};
use crate::proto::*;
use crate::status::status;

impl Service {
    pub(super) async fn migrate_repository(
        &self,
        caller: &Principal,
        request: MigrateRepositoryRequest,
    ) -> Result<MigrationResponse, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.repository(caller, id, Role::Writer).await.map_err(status)?;
        let task = self
            .gitsync
            .migrate(id, source("source_url", &request.source_url)?, request.force)
            .await
            .map_err(status)?;
        Ok(MigrationResponse {
            repository_id: id.0,
            status: task.status.to_string(),
            message: message(&task),
            task_id: task.id.to_string(),
        })
    }

    pub(super) async fn sync_repository(
        &self,
        caller: &Principal,
        request: SyncRepositoryRequest,
    ) -> Result<SyncResponse, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.repository(caller, id, Role::Writer).await.map_err(status)?;
        let task = if request.accept_shrink() {
            self.gitsync.sync_accepting_shrink(id).await
        } else {
            self.gitsync.sync(id).await
        };
        let task = task.map_err(status)?;
        Ok(SyncResponse {
            repository_id: id.0,
            status: task.status.to_string(),
            commits_synced: i32::try_from(task.commits_synced).unwrap_or(i32::MAX),
            message: message(&task),
            task_id: task.id.to_string(),
        })
    }

    pub(super) async fn maintain_repository(
        &self,
        caller: &Principal,
        request: MaintainRepositoryRequest,
    ) -> Result<MaintenanceResponse, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.repository(caller, id, Role::Writer).await.map_err(status)?;
        let task = if request.verify {
            self.gitsync.verify_repository(id).await
        } else {
            self.gitsync.maintain_repository(id).await
        };
        let task = task.map_err(status)?;
        Ok(MaintenanceResponse {
            repository_id: id.0,
            status: task.status.to_string(),
            message: message(&task),
            task_id: task.id.to_string(),
        })
    }

    pub(super) async fn delete_repository(
        &self,
        caller: &Principal,
        request: DeleteRepositoryRequest,
    ) -> Result<DeleteRepositoryResponse, Status> {
        let id = RepositoryId(request.repository_id);
        self.scope.repository(caller, id, Role::Admin).await.map_err(status)?;
        let task = self.gitsync.delete_repository(id).await.map_err(status)?;
        Ok(DeleteRepositoryResponse {
            repository_id: id.0,
            status: task.status.to_string(),
            message: message(&task),
            task_id: task.id.to_string(),
        })
    }
}

fn message(task: &Model) -> String {
    let waits = if task.held { ", and waits for the one that runs" } else { "" };
    format!("the {} is {}{waits}", task.kind.as_str(), task.status)
}
