//! Who is not let in costs no more than the headers of a request.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gitsync_core::Result;
use gitsync_grpc::Service;
use gitsync_grpc::access::{Authorizer, OpenAccess, Principal};
use gitsync_grpc::client::kind;
use gitsync_grpc::proto::git_repository_service_server::GitRepositoryService as _;
use gitsync_grpc::proto::*;
use tonic::{Code, Request};

use crate::support::{StoreKind, World, entry, list_by_hand, patient, tokens_file};

#[tokio::test]
async fn who_is_not_known_is_answered_before_the_message_arrives() {
    let tokens = entry("expired", "\"*\" = \"admin\"", "expires_at = \"2020-01-01T00:00:00Z\"");
    let world = World::guarded(StoreKind::Memory, &tokens, false).await;
    for shown in [None, Some("Basic token-a"), Some("Bearer token-nobody"), Some("Bearer token-expired")] {
        let headers = shown.map(|shown| ("authorization", shown));
        let answer = list_by_hand(world.address, headers.as_slice(), None);
        // The server itself would wait for an hour.
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await.expect("the message is waited for");
        assert_eq!((answer.code(), kind(&answer).as_deref()), (Code::Unauthenticated, Some("unauthenticated")));
    }
}

/// Lets everybody in, and counts how often it is asked.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

#[tonic::async_trait]
impl Authorizer for Counting {
    async fn authenticate(&self, token: Option<&str>) -> Result<Principal> {
        self.0.fetch_add(1, Ordering::SeqCst);
        OpenAccess.authenticate(token).await
    }
}

#[tokio::test]
async fn the_authorizer_is_asked_once_for_each_request() {
    let asked = Counting::default();
    let authorizer = asked.clone();
    let world = World::serve(StoreKind::Memory, |_| Arc::new(authorizer), |service| service, patient()).await;
    let mut client = world.client(None).await;
    for times in 1..4 {
        client.list_organisations(ListOrganisationsRequest::default()).await.unwrap();
        assert_eq!(asked.0.load(Ordering::SeqCst), times);
    }
}

/// Somebody may serve it without the server of this crate.
#[tokio::test]
async fn the_service_alone_lets_nobody_in_either() {
    let world = World::open(StoreKind::Memory).await;
    let service = Service::new(world.gitsync.clone(), tokens_file(world.dir.path(), "", false));
    let status = service.list_organisations(Request::new(ListOrganisationsRequest::default())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn the_largest_request_that_makes_sense_is_taken_and_one_beyond_the_limit_is_not() {
    let world = World::open(StoreKind::Memory).await;
    let organisation = world.organisation("acme").await;
    let (repository, _) = world.mirror(organisation, "a").await;
    let pattern = |number: usize| format!("refs/{number:03}/{}", "x".repeat(1024 - 9));
    let mut client = world.client(None).await;
    let mut update = async |patterns: usize| {
        let values = Repository {
            description: "x".repeat(4096),
            exclude_refs: (0..patterns).map(pattern).collect(),
            ..Repository::default()
        };
        let paths = ["description", "exclude_refs"].map(str::to_owned).to_vec();
        let request = UpdateRepositoryRequest {
            repository_id: repository.0,
            repository: Some(values),
            update_mask: Some(FieldMask { paths }),
            version: None,
        };
        client.update_repository(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(update(100).await, Ok(()));
    assert_eq!(update(101).await, Err(Code::InvalidArgument), "it is read");
    assert_eq!(update(300).await, Err(Code::OutOfRange), "it is not read");
}
