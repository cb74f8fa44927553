//! What is wrong with a request is told by the name of its field.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use gitsync_core::engine::CreateRepository;
use gitsync_core::model::RepositoryId;
use gitsync_grpc::proto::set_credential_request::Secret;
use gitsync_grpc::proto::*;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{StoreKind, World, on_all_stores};

on_all_stores!(bad_requests_name_their_field,);

/// Sends requests and expects that each is refused in this field of it.
macro_rules! refused {
    (
        $client:expr, $method:ident, $from:expr,
        {$($field:ident: $value:expr => $code:ident $name:literal;)*}
    ) => {{
        let from = $from;
        $({
            let mut request = from.clone();
            request.$field = $value;
            let case = concat!(stringify!($method), " ", stringify!($field));
            let status = $client.$method(request).await.expect_err(case);
            let violations = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
            let field = violations.first().map(|violation| violation.field.clone()).unwrap_or_default();
            assert_eq!((status.code(), field.as_str()), (Code::$code, $name), "{case}: {status:?}");
            assert!(!format!("{status:?}").contains("s3cret"), "{status:?}");
        })*
    }};
}

async fn bad_requests_name_their_field(kind: StoreKind) {
    let world = World::open(kind).await;
    let organisation = world.organisation("acme").await;
    let (repository, _) = world.mirror(organisation, "a").await;
    let empty = CreateRepository { name: "empty".to_owned(), ..CreateRepository::default() };
    let (empty, _) = world.gitsync.create_repository(organisation, empty).await.unwrap();
    world.work().await;
    let mut client = world.client(None).await;
    let text = |length: usize| "x".repeat(length);

    let organisation = CreateOrganisationRequest { slug: "b".to_owned(), ..CreateOrganisationRequest::default() };
    refused!(client, create_organisation, organisation, {
        slug: "B".to_owned() => InvalidArgument "slug";
        slug: "acme".to_owned() => AlreadyExists "";
        name: text(256) => InvalidArgument "name";
    });
    refused!(client, get_organisation, GetOrganisationRequest::default(), {
        slug: "../x".to_owned() => InvalidArgument "slug";
    });
    let create = CreateRepositoryRequest {
        organisation_id: empty.organisation.0,
        name: "b".to_owned(),
        ..CreateRepositoryRequest::default()
    };
    refused!(client, create_repository, create, {
        name: String::new() => InvalidArgument "name";
        name: "../x".to_owned() => InvalidArgument "name";
        name: text(101) => InvalidArgument "name";
        name: "A".to_owned() => AlreadyExists "";
        organisation_id: 99 => NotFound "organisation_id";
        description: text(4097) => InvalidArgument "description";
        source_url: "ext::sh".to_owned() => InvalidArgument "source_url";
        source_url: "file:///etc".to_owned() => InvalidArgument "source_url";
        source_url: "https://u:s3cret@example.com/a".to_owned() => InvalidArgument "source_url";
        source_url: "https://127.0.0.1/a".to_owned() => InvalidArgument "source_url";
        source_url: text(2049) => InvalidArgument "source_url";
        source_type: "svn".to_owned() => InvalidArgument "source_type";
        is_mirror: Some(true) => InvalidArgument "is_mirror";
        exclude_refs: vec!["pull/*".to_owned()] => InvalidArgument "exclude_refs";
        depth: Some(0) => InvalidArgument "depth";
        depth: Some(-1) => InvalidArgument "depth";
        depth: Some(1_000_001) => InvalidArgument "depth";
        exclude_refs: vec!["refs/pull/*".to_owned(); 101] => InvalidArgument "exclude_refs";
        storage: Some("/".to_owned()) => InvalidArgument "storage";
        storage: Some("elsewhere".to_owned()) => InvalidArgument "storage";
    });
    refused!(client, get_repository, GetRepositoryRequest::default(), {
        organisation_slug: "A/B".to_owned() => InvalidArgument "organisation_slug";
        repository_id: 99 => NotFound "repository_id";
    });
    let migrate =
        |id: RepositoryId| MigrateRepositoryRequest { repository_id: id.0, ..MigrateRepositoryRequest::default() };
    refused!(client, migrate_repository, migrate(empty.id), {
        force: true => InvalidArgument "source_url";
        source_url: "http://127.0.0.1/a".to_owned() => InvalidArgument "source_url";
    });
    refused!(client, migrate_repository, migrate(repository), { force: false => FailedPrecondition ""; });

    let update = |path: &str, change: &dyn Fn(&mut Repository)| {
        let mut values = Repository::default();
        change(&mut values);
        UpdateRepositoryRequest {
            repository_id: repository.0,
            repository: Some(values),
            update_mask: Some(FieldMask { paths: vec![path.to_owned()] }),
            version: None,
        }
    };
    refused!(client, update_repository, update("description", &|values| values.description = "x".repeat(4097)), {
        version: None => InvalidArgument "repository.description";
    });
    refused!(client, update_repository, update("exclude_refs", &|values| values.exclude_refs = vec!["x".to_owned()]), {
        version: None => InvalidArgument "repository.exclude_refs";
    });
    refused!(client, update_repository, update("depth", &|values| values.depth = Some(0)), {
        version: None => InvalidArgument "repository.depth";
    });
    // The engine of these tests fetches whole histories only.
    refused!(client, update_repository, update("depth", &|values| values.depth = Some(1)), {
        version: None => Unimplemented "repository.depth";
    });
    let many = |values: &mut Repository| values.exclude_refs = vec!["refs/pull/*".to_owned(); 101];
    refused!(client, update_repository, update("exclude_refs", &many), {
        version: None => InvalidArgument "repository.exclude_refs";
    });
    for seconds in [-1, 0, 59, i64::MAX] {
        let change = |values: &mut Repository| values.sync_interval = Some(Duration { seconds, nanos: 0 });
        refused!(client, update_repository, update("sync_interval", &change), {
            version: None => InvalidArgument "repository.sync_interval";
        });
    }
    refused!(client, update_repository, update("description", &|_| {}), {
        repository: None => InvalidArgument "repository";
        update_mask: None => InvalidArgument "update_mask";
        update_mask: Some(FieldMask { paths: vec!["name".to_owned()] }) => InvalidArgument "update_mask";
        version: Some(99) => FailedPrecondition "";
    });

    refused!(client, list_repositories, ListRepositoriesRequest::default(), {
        organisation_id: 99 => NotFound "organisation_id";
        status: "asleep".to_owned() => InvalidArgument "status";
        page_token: "00".to_owned() => InvalidArgument "page_token";
    });
    let add = AddPushTargetRequest { repository_id: repository.0, url: "https://target.example/a".to_owned() };
    refused!(client, add_push_target, add, {
        repository_id: 99 => NotFound "";
        url: String::new() => InvalidArgument "url";
        url: "ext::sh".to_owned() => InvalidArgument "url";
        url: "file:///etc".to_owned() => InvalidArgument "url";
        url: "https://u:s3cret@example.com/a".to_owned() => InvalidArgument "url";
        url: "https://127.0.0.1/a".to_owned() => InvalidArgument "url";
        url: "https://example.com/upstream.git".to_owned() => InvalidArgument "url";
    });
    let remove =
        RemovePushTargetRequest { repository_id: repository.0, url: "https://u:s3cret@x.example/a".to_owned() };
    refused!(client, remove_push_target, remove, {
        repository_id: repository.0 => InvalidArgument "url";
        url: "https://target.example/a".to_owned() => NotFound "";
    });

    let set = SetCredentialRequest {
        organisation_id: empty.organisation.0,
        name: "a".to_owned(),
        scope: "a.example".to_owned(),
        secret: Some(Secret::Bearer("s3cret".to_owned())),
    };
    client.set_credential(set.clone()).await.unwrap();
    let user_password = |user: &str| {
        let user = Some(user.to_owned());
        Some(Secret::UserPassword(UserPassword { user, password: "s3cret".to_owned() }))
    };
    let key = SshKey { key: "ssh-ed25519 s3cret".to_owned(), passphrase: None };
    refused!(client, set_credential, set.clone(), {
        organisation_id: 99 => NotFound "";
        name: "A b".to_owned() => InvalidArgument "name";
        name: "b".to_owned() => AlreadyExists "";
        scope: String::new() => InvalidArgument "scope";
        scope: "https://a.example".to_owned() => InvalidArgument "scope";
        scope: text(2000) => InvalidArgument "scope";
        secret: None => InvalidArgument "secret";
        secret: Some(Secret::Bearer("s3cret\n".to_owned())) => InvalidArgument "bearer";
        secret: user_password("s3cret:") => InvalidArgument "user_password.user";
        secret: Some(Secret::SshKey(key)) => InvalidArgument "ssh_key.key";
        secret: Some(Secret::Bearer(text(16 * 1024 + 1))) => InvalidArgument "secret";
    });
    let list = ListCredentialsRequest { organisation_id: empty.organisation.0, ..ListCredentialsRequest::default() };
    refused!(client, list_credentials, list, {
        organisation_id: 99 => NotFound "";
        page_token: "00".to_owned() => InvalidArgument "page_token";
    });
    let delete = DeleteCredentialRequest { organisation_id: empty.organisation.0, name: "a".to_owned() };
    refused!(client, delete_credential, delete, {
        name: "A b".to_owned() => InvalidArgument "name";
        name: "b".to_owned() => NotFound "";
    });

    refused!(client, list_branches, ListBranchesRequest { repository_id: repository.0, ..ListBranchesRequest::default() }, {
        page_size: -1 => InvalidArgument "page_size";
    });
    refused!(client, list_commits, ListCommitsRequest { repository_id: repository.0, ..ListCommitsRequest::default() }, {
        branch: "a..b".to_owned() => InvalidArgument "branch";
    });
    refused!(client, list_sync_tasks, ListSyncTasksRequest::default(), {
        status: "asleep".to_owned() => InvalidArgument "status";
        kind: "nap".to_owned() => InvalidArgument "kind";
    });
    refused!(client, get_sync_task, GetSyncTaskRequest::default(), { task_id: "x".to_owned() => InvalidArgument "task_id"; });
}
