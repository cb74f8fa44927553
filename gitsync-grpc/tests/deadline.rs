//! Requests that take too long.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use gitsync_core::testing::StoreCall;
use gitsync_grpc::access::OpenAccess;
use gitsync_grpc::client::kind;
use gitsync_grpc::proto::*;
use gitsync_grpc::server::ServerOptions;
use tonic::{Code, Status};

use crate::support::{StoreKind, World, list_by_hand, patient};

async fn with_limit(request_timeout: Duration) -> World {
    let options = ServerOptions { request_timeout, ..patient() };
    World::serve(StoreKind::Memory, |_| Arc::new(OpenAccess), |service| service, options).await
}

fn check(status: &Status) {
    assert_eq!((status.code(), kind(status).as_deref()), (Code::DeadlineExceeded, Some("timeout")), "{status:?}");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_dropped_and_says_so() {
    let world = with_limit(Duration::from_millis(50)).await;
    let held = world.store.delay(StoreCall::CreateOrganisation, 1);
    let request = CreateOrganisationRequest { slug: "acme".to_owned(), ..CreateOrganisationRequest::default() };
    check(&world.client(None).await.create_organisation(request).await.unwrap_err());
    held.release();
    world.organisation("acme").await;
}

#[tokio::test]
async fn what_the_client_waits_for_counts_if_it_is_less() {
    const EMPTY: &[u8] = &[0; 5];
    let world = with_limit(Duration::from_secs(3600)).await;
    let _held = world.store.delay(StoreCall::ListOrganisations, 1);
    check(&list_by_hand(world.address, &[("grpc-timeout", "500m")], Some(EMPTY)).await);

    let world = with_limit(Duration::from_millis(50)).await;
    let _held = world.store.delay(StoreCall::ListOrganisations, 1);
    check(&list_by_hand(world.address, &[("grpc-timeout", "1H")], Some(EMPTY)).await);
}

#[tokio::test]
async fn a_request_that_does_not_arrive_is_not_waited_for() {
    let world = with_limit(Duration::from_millis(50)).await;
    check(&list_by_hand(world.address, &[], None).await);
}

#[tokio::test]
async fn a_watch_is_bounded_only_until_it_begins() {
    let mut limit = Duration::from_millis(100);
    let (world, mut client, request, mut changes) = loop {
        let world = with_limit(limit).await;
        let organisation = world.organisation("acme").await;
        let (repository, _) = world.mirror(organisation, "a").await;
        let task = world.gitsync.sync(repository).await.unwrap();
        let request = WatchSyncTaskRequest { task_id: task.id.to_string() };
        let mut client = world.client(None).await;
        match client.watch_sync_task(request.clone()).await {
            Ok(changes) => break (world, client, request, changes.into_inner()),
            // The machine has much else to do.
            Err(status) => check(&status),
        }
        limit *= 2;
    };
    assert_eq!(changes.message().await.unwrap().unwrap().status, "pending");

    // When this one has ended, the time of the other one is over, too.
    let held = world.store.delay(StoreCall::Task, 1);
    check(&client.watch_sync_task(request).await.unwrap_err());
    held.release();
    world.work().await;
    let mut last = None;
    while let Some(change) = changes.message().await.unwrap() {
        last = Some(change.status);
    }
    assert_eq!(last.as_deref(), Some("completed"));
}
