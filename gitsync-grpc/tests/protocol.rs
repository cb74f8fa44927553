//! The protocol stays what its clients know.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use gitsync_grpc::proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, Kind};
use tokio_stream::StreamExt as _;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{StoreKind, World, on_all_stores};

on_all_stores!(the_service_describes_itself_and_says_how_it_is,);

/// Number, name and type.
type Field = (u32, &'static str, &'static str);

/// Messages as the clients of the system before this one have them. No number or type may ever change.
const PINNED: &[(&str, &[Field])] = &[
    (
        "CreateRepositoryRequest",
        &[
            (1, "name", "string"),
            (2, "description", "string"),
            (3, "source_url", "string"),
            (4, "source_type", "string"),
            (5, "organisation_id", "int32"),
            (6, "is_public", "bool"),
            (7, "is_bare", "bool"),
            (8, "is_mirror", "bool"),
            (9, "storage", "string"),
        ],
    ),
    ("RepositoryResponse", &[(1, "repository", "Repository"), (2, "message", "string"), (3, "task_id", "string")]),
    ("MigrateRepositoryRequest", &[(1, "repository_id", "int32"), (2, "source_url", "string"), (3, "force", "bool")]),
    (
        "MigrationResponse",
        &[(1, "repository_id", "int32"), (2, "status", "string"), (3, "message", "string"), (4, "task_id", "string")],
    ),
    ("SyncRepositoryRequest", &[(1, "repository_id", "int32")]),
    (
        "SyncResponse",
        &[
            (1, "repository_id", "int32"),
            (2, "status", "string"),
            (3, "commits_synced", "int32"),
            (4, "message", "string"),
            (5, "task_id", "string"),
        ],
    ),
    ("Repository", &[(1, "id", "int32"), (2, "name", "string")]),
    ("MaintainRepositoryRequest", &[(1, "repository_id", "int32"), (2, "verify", "bool")]),
    ("CreateOrganisationRequest", &[(1, "slug", "string"), (2, "name", "string")]),
    ("GetRepositoryRequest", &[(1, "repository_id", "int32")]),
    ("UpdateRepositoryRequest", &[(1, "repository_id", "int32")]),
    ("ArchiveRepositoryRequest", &[(1, "repository_id", "int32")]),
    ("UnarchiveRepositoryRequest", &[(1, "repository_id", "int32")]),
    ("DeleteRepositoryRequest", &[(1, "repository_id", "int32")]),
    ("ListBranchesRequest", &[(1, "repository_id", "int32")]),
    ("ListCommitsRequest", &[(1, "repository_id", "int32")]),
    ("ListRefUpdatesRequest", &[(1, "repository_id", "int32")]),
    ("ListSyncTasksRequest", &[(1, "repository_id", "int32")]),
    ("GetSyncTaskRequest", &[(1, "task_id", "string")]),
    ("WatchSyncTaskRequest", &[(1, "task_id", "string")]),
    ("CancelSyncTaskRequest", &[(1, "task_id", "string")]),
    ("RetrySyncTaskRequest", &[(1, "task_id", "string")]),
    ("SyncTask", &[(1, "task_id", "string"), (2, "repository_id", "int32")]),
];

fn type_of(kind: &Kind) -> String {
    match kind {
        Kind::String => "string".to_owned(),
        Kind::Int32 => "int32".to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::Message(message) => message.name().to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn field_numbers_never_change() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    for (message, fields) in PINNED {
        let descriptor = pool.get_message_by_name(&format!("gitsync.v1.{message}")).unwrap();
        for (number, name, kind) in *fields {
            let field = descriptor.get_field(*number).unwrap_or_else(|| panic!("{message} has no field {number}"));
            assert_eq!((field.name(), type_of(&field.kind()).as_str()), (*name, *kind), "{message}");
            assert!(!field.is_list(), "{message}.{name}");
        }
    }
}

#[tokio::test]
async fn what_was_added_to_old_requests_is_optional() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    for (message, known) in
        [("CreateRepositoryRequest", 6), ("SyncRepositoryRequest", 1), ("MigrateRepositoryRequest", 3)]
    {
        let descriptor = pool.get_message_by_name(&format!("gitsync.v1.{message}")).unwrap();
        for field in descriptor.fields().filter(|field| field.number() > known) {
            // A list may be empty.
            let is_optional = field.is_list() || field.field_descriptor_proto().proto3_optional();
            assert!(is_optional, "{message}.{}", field.name());
        }
    }
}

async fn the_service_describes_itself_and_says_how_it_is(kind: StoreKind) {
    let world = World::open(kind).await;
    let mut reflection = ServerReflectionClient::new(world.channel().await);
    let ask = |question| ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let questions = tokio_stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("gitsync.v1.GitRepositoryService".to_owned())),
    ]);
    let answers = reflection.server_reflection_info(questions).await.unwrap().into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap().message_response.unwrap()).collect().await;
    let MessageResponse::ListServicesResponse(services) = &answers[0] else { panic!("{answers:?}") };
    let names: Vec<_> = services.service.iter().map(|service| service.name.as_str()).collect();
    assert!(
        names.contains(&"gitsync.v1.GitRepositoryService") && names.contains(&"grpc.health.v1.Health"),
        "{names:?}"
    );
    assert!(
        matches!(&answers[1], MessageResponse::FileDescriptorResponse(files) if !files.file_descriptor_proto.is_empty())
    );

    let mut health = HealthClient::new(world.channel().await);
    let request = HealthCheckRequest { service: "gitsync.v1.GitRepositoryService".to_owned() };
    let answer = health.check(request).await.unwrap().into_inner();
    assert_eq!(answer.status, 1, "serving");
}
