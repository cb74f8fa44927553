//! Tasks.

use std::pin::Pin;

use futures_util::stream;
use gitsync_core::model::{RepositoryId, SyncTask as Model, TaskId, TaskKind};
use gitsync_core::state::TaskStatus;
use gitsync_core::store::TaskFilter;
use gitsync_core::{Error, ErrorKind};
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::page::{self, List};
use super::scope::check_everywhere;
use super::{Caller, Service, known};
use crate::access::{Principal, Role};
use crate::convert;
use crate::places::Place;
use crate::proto::git_repository_service_server::GitRepositoryService;
use crate::proto::*;
use crate::status::{at, refused, status};

impl Service {
    pub(super) async fn get_sync_task(
        &self,
        caller: &Principal,
        request: GetSyncTaskRequest,
    ) -> Result<SyncTask, Status> {
        let task = self.scope.task(caller, id(&request.task_id)?, Role::Reader).await.map_err(status)?;
        Ok(convert::task(&task))
    }

    pub(super) async fn list_sync_tasks(
        &self,
        caller: &Principal,
        request: ListSyncTasksRequest,
    ) -> Result<ListSyncTasksResponse, Status> {
        let list = List::of("tasks", request.repository_id);
        let page = list.request(request.page_size, &request.page_token)?;
        let mut filter = TaskFilter::default();
        if request.repository_id == 0 {
            check_everywhere(caller, Role::Reader).map_err(at("repository_id"))?;
        } else {
            let id = RepositoryId(request.repository_id);
            // Tasks are not public, even where the repository is.
            self.scope.check_role(caller, id, Role::Reader).await.map_err(status)?;
            filter.repository = Some(id);
        }
        if !request.status.is_empty() {
            let status = TaskStatus::from_name(&request.status);
            filter.status = Some(status.ok_or_else(|| refused("status", "there is no such status of a task"))?);
        }
        if !request.kind.is_empty() {
            let kind = TaskKind::from_name(&request.kind);
            filter.kind = Some(kind.ok_or_else(|| refused("kind", "there is no such kind of task"))?);
        }
        let filter = &filter;
        let (tasks, next_page_token) = list
            .answer(page, |page| async move {
                Ok(page::convert(self.gitsync.list_tasks(filter, &page).await?, convert::task))
            })
            .await?;
        Ok(ListSyncTasksResponse { tasks, next_page_token })
    }

    pub(super) async fn watch_sync_task(
        &self,
        caller: &Principal,
        metadata: MetadataMap,
        request: WatchSyncTaskRequest,
    ) -> Result<<Service as GitRepositoryService>::WatchSyncTaskStream, Status> {
        let task = self.scope.task(caller, id(&request.task_id)?, Role::Reader).await.map_err(status)?;
        let place = self.enter(caller).map_err(status)?;
        let changes = self.gitsync.watch_task(task.id).await.map_err(status)?;
        let watch = Watch { service: self.clone(), metadata, changes: Box::pin(changes), _place: place };
        Ok(Box::pin(stream::unfold(Some(watch), |watch| async {
            let mut watch = watch?;
            let change = watch.next().await?;
            let goes_on = change.is_ok();
            Some((change, goes_on.then_some(watch)))
        })))
    }

    pub(super) async fn cancel_sync_task(
        &self,
        caller: &Principal,
        request: CancelSyncTaskRequest,
    ) -> Result<SyncTask, Status> {
        let task = self.scope.task(caller, id(&request.task_id)?, Role::Writer).await.map_err(status)?;
        Ok(convert::task(&self.gitsync.cancel_task(task.id).await.map_err(status)?))
    }

    pub(super) async fn retry_sync_task(
        &self,
        caller: &Principal,
        request: RetrySyncTaskRequest,
    ) -> Result<SyncTask, Status> {
        let mut task = self.scope.task(caller, id(&request.task_id)?, Role::Writer).await.map_err(status)?;
        if task.kind == TaskKind::Delete {
            // It takes as much to ask for a deletion again as it took to ask for it.
            task = self.scope.task(caller, task.id, Role::Admin).await.map_err(status)?;
        }
        Ok(convert::task(&self.gitsync.retry_task(task.id).await.map_err(status)?))
    }

    pub(super) async fn get_queue_stats(
        &self,
        caller: &Principal,
        _request: GetQueueStatsRequest,
    ) -> Result<GetQueueStatsResponse, Status> {
        check_everywhere(caller, Role::Reader).map_err(status)?;
        let stats = self.gitsync.queue_stats().await.map_err(status)?;
        Ok(GetQueueStatsResponse {
            ready: convert::count(stats.ready),
            scheduled: convert::count(stats.scheduled),
            running: convert::count(stats.running),
            oldest_ready: stats.oldest_ready.map(convert::duration),
            hosts: stats.hosts.iter().map(convert::spared_host).collect(),
        })
    }
}

/// A caller that watches a task.
struct Watch {
    service: Service,
    metadata: MetadataMap,
    changes: Pin<Box<dyn Stream<Item = gitsync_core::Result<Model>> + Send>>,
    _place: Place<String>,
}

impl Watch {
    /// Returns the next state of the task; an error is the last thing said.
    async fn next(&mut self) -> Option<Result<SyncTask, Status>> {
        let change = tokio::select! {
            biased;
            () = self.service.stopping.cancelled() => {
                return Some(Err(status(Error::new(ErrorKind::Unavailable, "the server ends"))));
            }
            change = self.changes.next() => change?,
        };
        Some(self.show(change).await)
    }

    /// A token that was revoked or has expired meanwhile sees no more.
    async fn show(&mut self, change: gitsync_core::Result<Model>) -> Result<SyncTask, Status> {
        let task = change.map_err(status)?;
        let Caller(principal) = self.service.authenticate(&self.metadata).await?;
        let caller = known(principal)?;
        self.service.scope.check_task(&caller, &task, Role::Reader).await.map_err(status)?;
        Ok(convert::task(&task))
    }
}

fn id(text: &str) -> Result<TaskId, Status> {
    text.parse().map_err(at("task_id"))
}
