//! Watching tasks over the wire.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gitsync_core::engine::{CreateRepository, MAX_WATCHERS};
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_grpc::access::{Authorizer, OpenAccess, Principal, Role};
use gitsync_grpc::client::kind;
use gitsync_grpc::proto::*;
use gitsync_grpc::server::ServerOptions;
use tonic::Code;

use crate::support::{StoreKind, World, entry, on_all_stores, patient, tokens_file};

on_all_stores!(
    a_watch_ends_with_the_final_state,
    a_watch_goes_on_with_the_task_that_took_the_place,
    a_server_that_ends_tells_who_watches,
    a_task_that_is_not_there_is_not_watched,
    a_watch_ends_when_its_token_is_revoked,
);

async fn a_watch_ends_with_the_final_state(kind: StoreKind) {
    let world = World::open(kind).await;
    let organisation = world.organisation("acme").await;
    let (repository, _) = world.mirror(organisation, "a").await;
    let task = world.gitsync.sync(repository).await.unwrap();
    let mut client = world.client(None).await;
    let request = WatchSyncTaskRequest { task_id: task.id.to_string() };
    let mut changes = client.watch_sync_task(request).await.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().status, "pending");
    world.work().await;
    let mut last = None;
    while let Some(change) = changes.message().await.unwrap() {
        last = Some(change.status);
    }
    assert_eq!(last.as_deref(), Some("completed"));
}

async fn a_watch_goes_on_with_the_task_that_took_the_place(kind: StoreKind) {
    let world = World::open(kind).await;
    let organisation = world.organisation("acme").await;
    let wish = CreateRepository { name: "a".to_owned(), ..CreateRepository::default() };
    let (repository, first) = world.gitsync.create_repository(organisation, wish).await.unwrap();
    let mut client = world.client(None).await;
    let request = WatchSyncTaskRequest { task_id: first.id.to_string() };
    let mut changes = client.watch_sync_task(request).await.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().kind, "initialize");
    // The deletion takes over the task that waits, or its place.
    world.gitsync.delete_repository(repository.id).await.unwrap();
    world.work().await;
    let mut last = None;
    while let Some(change) = changes.message().await.unwrap() {
        last = Some((change.kind, change.status));
    }
    assert_eq!(last, Some(("delete".to_owned(), "completed".to_owned())));
}

async fn a_server_that_ends_tells_who_watches(kind: StoreKind) {
    let world = World::open(kind).await;
    let organisation = world.organisation("acme").await;
    let (repository, _) = world.mirror(organisation, "a").await;
    let task = world.gitsync.sync(repository).await.unwrap();
    let request = WatchSyncTaskRequest { task_id: task.id.to_string() };
    let mut changes = world.client(None).await.watch_sync_task(request).await.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().status, "pending");
    world.stop.cancel();
    assert_eq!(changes.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(changes.message().await.unwrap(), None);
}

async fn a_task_that_is_not_there_is_not_watched(kind: StoreKind) {
    let world = World::open(kind).await;
    let request = WatchSyncTaskRequest { task_id: "01890000-0000-7000-8000-000000000000".to_owned() };
    assert_eq!(world.client(None).await.watch_sync_task(request).await.unwrap_err().code(), Code::NotFound);
}

/// Watchers that go without a word make room for others: the places are bounded, and none is lost.
#[tokio::test]
async fn watchers_that_left_cost_nothing() {
    let options = ServerOptions { max_streams: 1000, ..patient() };
    let world = World::serve(StoreKind::Memory, |_| Arc::new(OpenAccess), |service| service, options).await;
    let organisation = world.organisation("acme").await;
    let (repository, _) = world.mirror(organisation, "a").await;
    let task = world.gitsync.sync(repository).await.unwrap();
    let request = WatchSyncTaskRequest { task_id: task.id.to_string() };
    // All places but a few are taken.
    let mut others = Vec::new();
    for _ in 0..MAX_WATCHERS - 2_000 {
        others.push(world.gitsync.watch_task(task.id).await.unwrap());
    }
    // More than are left, one connection after the other.
    for _ in 0..6 {
        let mut client = world.client(None).await;
        let mut watchers = Vec::new();
        for _ in 0..500 {
            watchers.push(client.watch_sync_task(request.clone()).await.unwrap().into_inner());
        }
        for watcher in &mut watchers {
            assert_eq!(watcher.message().await.unwrap().unwrap().status, "pending");
        }
    }
}

#[tokio::test]
async fn one_caller_does_not_take_the_places_of_others() {
    let tokens = ["a", "b"].map(|name| entry(name, "acme = \"reader\"", "")).concat();
    let authorizer = |dir: &Path| tokens_file(dir, &tokens, false);
    let world =
        World::serve(StoreKind::Memory, authorizer, |service| service.max_watches_per_caller(2), patient()).await;
    let organisation = world.organisation("acme").await;
    let (repository, _) = world.mirror(organisation, "a").await;
    let task = world.gitsync.sync(repository).await.unwrap();
    let request = WatchSyncTaskRequest { task_id: task.id.to_string() };
    let mut first = world.client(Some("Bearer token-a")).await;
    let mut watches = Vec::new();
    for _ in 0..2 {
        watches.push(first.watch_sync_task(request.clone()).await.unwrap());
    }
    let status = first.watch_sync_task(request.clone()).await.unwrap_err();
    assert_eq!((status.code(), kind(&status).as_deref()), (Code::ResourceExhausted, Some("limit_exceeded")));
    world.client(Some("Bearer token-b")).await.watch_sync_task(request.clone()).await.unwrap();

    // The server hears that they left when it gets to it.
    watches.clear();
    while let Err(status) = first.watch_sync_task(request.clone()).await {
        assert_eq!(status.code(), Code::ResourceExhausted);
    }
}

/// Knows everybody until it is told to forget.
#[derive(Clone, Debug, Default)]
struct Forgetful(Arc<AtomicBool>);

#[tonic::async_trait]
impl Authorizer for Forgetful {
    async fn authenticate(&self, _: Option<&str>) -> Result<Principal> {
        if self.0.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unauthenticated, "the token is not known"));
        }
        Ok(Principal::new("somebody").with_role_everywhere(Role::Reader))
    }
}

async fn a_watch_ends_when_its_token_is_revoked(kind: StoreKind) {
    let authorizer = Forgetful::default();
    let world = World::serve(kind, |_| Arc::new(authorizer.clone()), |service| service, patient()).await;
    let organisation = world.organisation("acme").await;
    let (repository, _) = world.mirror(organisation, "a").await;
    let task = world.gitsync.sync(repository).await.unwrap();
    let request = WatchSyncTaskRequest { task_id: task.id.to_string() };
    let mut changes = world.client(None).await.watch_sync_task(request).await.unwrap().into_inner();
    assert_eq!(changes.message().await.unwrap().unwrap().status, "pending");
    authorizer.0.store(true, Ordering::SeqCst);
    world.work().await;
    assert_eq!(changes.message().await.unwrap_err().code(), Code::Unauthenticated);
}
