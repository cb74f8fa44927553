//! Who may do what: each method by each kind of caller.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use gitsync_core::engine::CreateRepository;
use gitsync_core::model::{OrganisationId, RepositoryId, TaskId};
use gitsync_core::plan::RefPattern;
use gitsync_core::source::{Credentials, SourceUrl};
use gitsync_core::store::RepositoryPatch;
use gitsync_core::testing::StoreCall;
use gitsync_grpc::proto::*;
use prost_reflect::DescriptorPool;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use crate::support::{Client, StoreKind, World, entry, on_all_stores};

on_all_stores!(
    each_method_keeps_to_its_role,
    what_is_foreign_looks_like_what_is_not_there,
    lists_look_for_the_caller_s_organisations_only_until_they_are_found,
    public_repositories_are_read_without_a_token_where_the_server_says_so,
    foreign_ids_cost_what_missing_ones_cost,
    who_reads_only_what_is_public_sees_what_is_in_it_and_no_more,
    only_who_has_a_role_everywhere_is_told_the_storages,
    the_owner_is_whom_the_token_names_and_a_deletion_is_asked_for_again_by_an_admin_only,
);

/// What a method needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// Only a token: it shows what the token may see.
    Token,
    Reader,
    Writer,
    Admin,
    ReaderEverywhere,
    AdminEverywhere,
}

/// What is there: an organisation, a repository in it, and a task of that.
#[derive(Clone, Copy)]
struct Ids {
    organisation: OrganisationId,
    repository: RepositoryId,
    task: TaskId,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<String, Status>> + Send + 'a>>;
type Call = for<'a> fn(&'a mut Client, Ids) -> Answer<'a>;

async fn shown<T: Debug>(answer: impl Future<Output = Result<Response<T>, Status>>) -> Result<String, Status> {
    Ok(format!("{:?}", answer.await?.into_inner()))
}

/// A method with a request about what is there.
macro_rules! call {
    ($method:ident, $request:ident { $($field:ident: $value:expr),* }) => {
        |client, ids| {
            let _ = ids;
            #[allow(clippy::needless_update, reason = "some requests have no more fields")]
            let request = $request { $($field: ($value)(ids)),*, ..$request::default() };
            Box::pin(shown(client.$method(request)))
        }
    };
    ($method:ident, $request:ident) => {
        |client, _| Box::pin(shown(client.$method($request::default())))
    };
}

/// Where repositories are pushed to.
const TARGET: &str = "https://classified.example.com/target.git";

const METHODS: &[(&str, Need, Call)] = &[
    (
        "CreateRepository",
        Need::Writer,
        call!(
            create_repository,
            CreateRepositoryRequest {
                organisation_id: |ids: Ids| ids.organisation.0,
                name: |ids: Ids| format!("another-{}", ids.task)
            }
        ),
    ),
    (
        "MigrateRepository",
        Need::Writer,
        call!(
            migrate_repository,
            MigrateRepositoryRequest { repository_id: |ids: Ids| ids.repository.0, force: |_| true }
        ),
    ),
    (
        "SyncRepository",
        Need::Writer,
        call!(sync_repository, SyncRepositoryRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    (
        "MaintainRepository",
        Need::Writer,
        call!(
            maintain_repository,
            MaintainRepositoryRequest { repository_id: |ids: Ids| ids.repository.0, verify: |_| true }
        ),
    ),
    (
        "CreateOrganisation",
        Need::AdminEverywhere,
        call!(create_organisation, CreateOrganisationRequest { slug: |_| "new".to_owned() }),
    ),
    (
        "GetOrganisation",
        Need::Reader,
        call!(get_organisation, GetOrganisationRequest { organisation_id: |ids: Ids| ids.organisation.0 }),
    ),
    ("ListOrganisations", Need::Token, call!(list_organisations, ListOrganisationsRequest)),
    (
        "GetRepository",
        Need::Reader,
        call!(get_repository, GetRepositoryRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    ("ListRepositories", Need::Token, call!(list_repositories, ListRepositoriesRequest)),
    (
        "UpdateRepository",
        Need::Writer,
        call!(
            update_repository,
            UpdateRepositoryRequest {
                repository_id: |ids: Ids| ids.repository.0,
                repository: |_| Some(Repository::default()),
                update_mask: |_| Some(prost_types::FieldMask { paths: vec!["description".to_owned()] })
            }
        ),
    ),
    (
        "ArchiveRepository",
        Need::Writer,
        call!(archive_repository, ArchiveRepositoryRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    (
        "UnarchiveRepository",
        Need::Writer,
        call!(unarchive_repository, UnarchiveRepositoryRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    (
        "DeleteRepository",
        Need::Admin,
        call!(delete_repository, DeleteRepositoryRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    (
        "AddPushTarget",
        Need::Admin,
        call!(
            add_push_target,
            AddPushTargetRequest { repository_id: |ids: Ids| ids.repository.0, url: |_| TARGET.to_owned() }
        ),
    ),
    (
        "RemovePushTarget",
        Need::Admin,
        call!(
            remove_push_target,
            RemovePushTargetRequest { repository_id: |ids: Ids| ids.repository.0, url: |_| TARGET.to_owned() }
        ),
    ),
    (
        "ListPushTargets",
        Need::Reader,
        call!(list_push_targets, ListPushTargetsRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    (
        "SetCredential",
        Need::Admin,
        call!(
            set_credential,
            SetCredentialRequest {
                organisation_id: |ids: Ids| ids.organisation.0,
                name: |_| "stored".to_owned(),
                scope: |_| "a.example".to_owned(),
                secret: |_| Some(set_credential_request::Secret::Bearer("classified".to_owned()))
            }
        ),
    ),
    (
        "ListCredentials",
        Need::Reader,
        call!(list_credentials, ListCredentialsRequest { organisation_id: |ids: Ids| ids.organisation.0 }),
    ),
    (
        "DeleteCredential",
        Need::Admin,
        call!(
            delete_credential,
            DeleteCredentialRequest { organisation_id: |ids: Ids| ids.organisation.0, name: |_| "stored".to_owned() }
        ),
    ),
    (
        "ListBranches",
        Need::Reader,
        call!(list_branches, ListBranchesRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    (
        "ListCommits",
        Need::Reader,
        call!(list_commits, ListCommitsRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    (
        "ListRefUpdates",
        Need::Reader,
        call!(list_ref_updates, ListRefUpdatesRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    (
        "GetSyncTask",
        Need::Reader,
        call!(get_sync_task, GetSyncTaskRequest { task_id: |ids: Ids| ids.task.to_string() }),
    ),
    (
        "ListSyncTasks",
        Need::Reader,
        call!(list_sync_tasks, ListSyncTasksRequest { repository_id: |ids: Ids| ids.repository.0 }),
    ),
    ("ListSyncTasks", Need::ReaderEverywhere, call!(list_sync_tasks, ListSyncTasksRequest)),
    ("WatchSyncTask", Need::Reader, |client, ids| {
        Box::pin(async move {
            let request = WatchSyncTaskRequest { task_id: ids.task.to_string() };
            let first = client.watch_sync_task(request).await?.into_inner().message().await?;
            Ok(format!("{first:?}"))
        })
    }),
    (
        "CancelSyncTask",
        Need::Writer,
        call!(cancel_sync_task, CancelSyncTaskRequest { task_id: |ids: Ids| ids.task.to_string() }),
    ),
    (
        "RetrySyncTask",
        Need::Writer,
        call!(retry_sync_task, RetrySyncTaskRequest { task_id: |ids: Ids| ids.task.to_string() }),
    ),
    ("GetQueueStats", Need::ReaderEverywhere, call!(get_queue_stats, GetQueueStatsRequest)),
];

fn tokens() -> String {
    [
        entry("reader", "acme = \"reader\"", ""),
        entry("writer", "acme = \"writer\"", ""),
        entry("admin", "acme = \"admin\"", ""),
        entry("foreign", "other = \"admin\"", ""),
        entry("everywhere", "\"*\" = \"admin\"", ""),
        entry("expired", "\"*\" = \"admin\"", "expires_at = \"2020-01-01T00:00:00Z\""),
    ]
    .concat()
}

const CALLERS: &[Option<&str>] = &[
    None,
    Some("Basic token-admin"),
    Some("Bearer token-nobody"),
    Some("Bearer token-expired"),
    Some("Bearer token-foreign"),
    Some("Bearer token-reader"),
    Some("Bearer token-writer"),
    Some("Bearer token-admin"),
    Some("Bearer token-everywhere"),
];

fn expected(caller: Option<&str>, need: Need) -> Code {
    let name = caller.and_then(|text| text.strip_prefix("Bearer token-"));
    let is_everywhere_method = need >= Need::ReaderEverywhere;
    let role = match name {
        Some("everywhere") => return Code::Ok,
        Some("reader") => Need::Reader,
        Some("writer") => Need::Writer,
        Some("admin") => Need::Admin,
        Some("foreign") if need == Need::Token => return Code::Ok,
        Some("foreign") if is_everywhere_method => return Code::PermissionDenied,
        Some("foreign") => return Code::NotFound,
        _ => return Code::Unauthenticated,
    };
    if !is_everywhere_method && role >= need { Code::Ok } else { Code::PermissionDenied }
}

/// Makes two organisations, and a repository in the first.
async fn settle(world: &World) -> Ids {
    let organisation = world.organisation("acme").await;
    world.organisation("other").await;
    prepare(world, organisation, "classified", "").await
}

/// Makes a repository on which the method can work.
async fn prepare(world: &World, organisation: OrganisationId, name: &str, method: &str) -> Ids {
    let (repository, first) = world.mirror(organisation, name).await;
    let patch = RepositoryPatch { description: Some("classified".to_owned()), ..RepositoryPatch::default() };
    let version = world.gitsync.repository(repository).await.unwrap().version;
    world.gitsync.update_repository(repository, version, &patch).await.unwrap();
    let task = match method {
        "CancelSyncTask" | "RetrySyncTask" => world.gitsync.sync(repository).await.unwrap().id,
        _ => first,
    };
    if method == "RetrySyncTask" {
        world.work().await;
    }
    if matches!(method, "RemovePushTarget" | "ListPushTargets") {
        world.gitsync.add_push_target(repository, &TARGET.parse().unwrap()).await.unwrap();
    }
    if matches!(method, "DeleteCredential" | "ListCredentials") {
        let (name, scope) = ("stored".parse().unwrap(), "a.example".parse().unwrap());
        let secret = Credentials::Bearer("classified".into());
        world.gitsync.set_credential(organisation, name, scope, &secret).await.unwrap();
    }
    if method == "UnarchiveRepository" {
        world.gitsync.archive_repository(repository).await.unwrap();
    }
    Ids { organisation, repository, task }
}

async fn each_method_keeps_to_its_role(kind: StoreKind) {
    let world = World::guarded(kind, &tokens(), false).await;
    let organisation = settle(&world).await.organisation;
    let fresh =
        async |method| prepare(&world, organisation, &format!("classified-{}", TaskId::generate()), method).await;
    let mut clients = Vec::new();
    for caller in CALLERS {
        clients.push((caller, world.client(*caller).await));
    }
    for (method, need, call) in METHODS {
        let mut ids = fresh(method).await;
        for (caller, client) in &mut clients {
            let answer = call(client, ids).await;
            let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
            assert_eq!(code, expected(**caller, *need), "{method} by {caller:?}: {answer:?}");
            if code == Code::Ok && *need >= Need::Writer {
                // It has changed something.
                ids = fresh(method).await;
            }
            if !matches!(
                caller,
                Some("Bearer token-reader" | "Bearer token-writer" | "Bearer token-admin" | "Bearer token-everywhere")
            ) {
                let shown = format!("{answer:?}");
                assert!(!shown.contains("classified") && !shown.contains("acme"), "{method} tells {caller:?}: {shown}");
            }
        }
    }
}

#[test]
fn no_method_is_left_out() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let service = pool.get_service_by_name("gitsync.v1.GitRepositoryService").unwrap();
    for method in service.methods() {
        assert!(METHODS.iter().any(|(name, ..)| *name == method.name()), "{} is not tested", method.name());
    }
}

async fn what_is_foreign_looks_like_what_is_not_there(kind: StoreKind) {
    let world = World::guarded(kind, &tokens(), false).await;
    let ids = settle(&world).await;
    let mut client = world.client(Some("Bearer token-foreign")).await;
    let mut get = async |request: GetRepositoryRequest, id: &str| {
        let status = client.get_repository(request).await.unwrap_err();
        (status.code(), status.message().replace(id, "ID"))
    };
    let by_id = |id: i32| GetRepositoryRequest { repository_id: id, ..GetRepositoryRequest::default() };
    let foreign = ids.repository.0.to_string();
    assert_eq!(get(by_id(ids.repository.0), &foreign).await, get(by_id(4711), "4711").await);
    let by_name = |organisation: &str, name: &str| GetRepositoryRequest {
        organisation_slug: organisation.to_owned(),
        name: name.to_owned(),
        ..GetRepositoryRequest::default()
    };
    let missing = get(by_name("nobody", "nothing"), "nobody/nothing").await;
    assert_eq!(get(by_name("acme", "classified"), "acme/classified").await, missing);
    assert_eq!(get(by_name("acme", "nothing"), "acme/nothing").await, missing);
    // Neither does a name that cannot be one tell what organisations there are.
    assert_eq!(get(by_name("acme", "a b"), "acme").await, get(by_name("nobody", "a b"), "nobody").await);
}

async fn lists_look_for_the_caller_s_organisations_only_until_they_are_found(kind: StoreKind) {
    let tokens = entry("a", "acme = \"reader\", later = \"reader\"", "");
    let world = World::guarded(kind, &tokens, false).await;
    world.organisation("acme").await;
    let mut client = world.client(Some("Bearer token-a")).await;
    let mut list = async || {
        let before = world.store.count(StoreCall::OrganisationBySlug);
        client.list_repositories(ListRepositoriesRequest::default()).await.unwrap();
        let found = client.list_organisations(ListOrganisationsRequest::default()).await.unwrap().into_inner();
        let slugs: Vec<_> = found.organisations.into_iter().map(|found| found.slug).collect();
        (slugs.join(" "), world.store.count(StoreCall::OrganisationBySlug) - before)
    };
    assert_eq!(list().await, ("acme".to_owned(), 3));
    assert_eq!(list().await, ("acme".to_owned(), 2), "the other one may be there by now");
    world.organisation("later").await;
    assert_eq!(list().await, ("acme later".to_owned(), 1));
    assert_eq!(list().await, ("acme later".to_owned(), 0));
}

async fn public_repositories_are_read_without_a_token_where_the_server_says_so(kind: StoreKind) {
    for public_reads in [false, true] {
        let world = World::guarded(kind, &tokens(), public_reads).await;
        let ids = settle(&world).await;
        let (hidden, _) = world.mirror(ids.organisation, "hidden").await;
        let version = world.gitsync.repository(ids.repository).await.unwrap().version;
        let patch = RepositoryPatch { is_public: Some(true), ..RepositoryPatch::default() };
        world.gitsync.update_repository(ids.repository, version, &patch).await.unwrap();
        for caller in [None, Some("Bearer token-foreign")] {
            let mut client = world.client(caller).await;
            let refused = if caller.is_none() { Code::Unauthenticated } else { Code::NotFound };
            for (method, need, call) in METHODS {
                if *need != Need::Reader
                    || matches!(
                        *method,
                        "GetOrganisation"
                            | "GetSyncTask"
                            | "ListSyncTasks"
                            | "WatchSyncTask"
                            | "ListPushTargets"
                            | "ListCredentials"
                    )
                {
                    continue;
                }
                let code = call(&mut client, ids).await.map_or_else(|status| status.code(), |_| Code::Ok);
                assert_eq!(code, if public_reads { Code::Ok } else { refused }, "{method} by {caller:?}");
                let code = call(&mut client, Ids { repository: hidden, ..ids }).await.unwrap_err().code();
                assert_eq!(code, if public_reads { Code::NotFound } else { refused }, "{method} by {caller:?}");
            }
            let request = ListSyncTasksRequest { repository_id: ids.repository.0, ..ListSyncTasksRequest::default() };
            assert_eq!(client.list_sync_tasks(request).await.unwrap_err().code(), refused);
            let request = SyncRepositoryRequest { repository_id: ids.repository.0, ..SyncRepositoryRequest::default() };
            assert_eq!(client.sync_repository(request).await.unwrap_err().code(), refused);
        }
        if public_reads {
            let listed = world.client(None).await.list_repositories(ListRepositoriesRequest::default()).await.unwrap();
            let names: Vec<_> = listed.into_inner().repositories.into_iter().map(|found| found.name).collect();
            assert_eq!(names, ["classified"]);
        }
    }
}

async fn foreign_ids_cost_what_missing_ones_cost(kind: StoreKind) {
    const LOOKS: [StoreCall; 4] =
        [StoreCall::Organisation, StoreCall::OrganisationBySlug, StoreCall::Repository, StoreCall::RepositoryByName];
    for public_reads in [false, true] {
        let world = World::guarded(kind, &tokens(), public_reads).await;
        let ids = settle(&world).await;
        let get = |id: i32| GetRepositoryRequest { repository_id: id, ..GetRepositoryRequest::default() };
        let named = |slug: &str| GetRepositoryRequest {
            organisation_slug: slug.to_owned(),
            name: "nothing".to_owned(),
            ..GetRepositoryRequest::default()
        };
        let organisation =
            |id: i32| GetOrganisationRequest { organisation_id: id, ..GetOrganisationRequest::default() };
        let mut client = world.client(Some("Bearer token-foreign")).await;
        client.get_organisation(organisation(ids.organisation.0 + 1)).await.expect("its own");
        // Before somebody else has asked for it, and after.
        for _ in 0..2 {
            let mut costs = async |method: &str, request: (GetOrganisationRequest, GetRepositoryRequest)| {
                let before = LOOKS.map(|call| world.store.count(call));
                let code = match method {
                    "GetOrganisation" => client.get_organisation(request.0).await.unwrap_err().code(),
                    _ => client.get_repository(request.1).await.unwrap_err().code(),
                };
                assert_eq!(code, Code::NotFound, "{method}");
                let after = LOOKS.map(|call| world.store.count(call));
                std::array::from_fn::<_, 4, _>(|index| after[index] - before[index])
            };
            let unused = GetRepositoryRequest::default;
            let there = costs("GetOrganisation", (organisation(ids.organisation.0), unused())).await;
            assert_eq!(there, costs("GetOrganisation", (organisation(4711), unused())).await);
            let unused = GetOrganisationRequest::default;
            let there = costs("GetRepository", (unused(), get(ids.repository.0))).await;
            assert_eq!(there, costs("GetRepository", (unused(), get(4711))).await);
            let there = costs("GetRepository by name", (unused(), named("acme"))).await;
            assert_eq!(there, costs("GetRepository by name", (unused(), named("nobody"))).await);

            let mut everywhere = world.client(Some("Bearer token-everywhere")).await;
            everywhere.get_repository(get(ids.repository.0)).await.unwrap();
        }
    }
}

async fn who_reads_only_what_is_public_sees_what_is_in_it_and_no_more(kind: StoreKind) {
    let world = World::guarded(kind, &tokens(), true).await;
    let organisation = world.organisation("acme").await;
    let missing = SourceUrl::parse("https://classified.example.com/missing.git").unwrap().url;
    let wish = CreateRepository {
        name: "open".to_owned(),
        owner: "classified".to_owned(),
        is_public: true,
        source: Some(missing),
        ..CreateRepository::default()
    };
    let (repository, _) = world.gitsync.create_repository(organisation, wish).await.unwrap();
    world.work().await;
    let patch = RepositoryPatch {
        exclude_refs: Some(vec![RefPattern::new("refs/classified/*").unwrap()]),
        sync_interval: Some(Some(std::time::Duration::from_secs(3600))),
        ..RepositoryPatch::default()
    };
    let version = world.gitsync.repository(repository.id).await.unwrap().version;
    world.gitsync.update_repository(repository.id, version, &patch).await.unwrap();
    let mut shown = Vec::new();
    for caller in [Some("Bearer token-reader"), None, Some("Bearer token-foreign")] {
        let mut client = world.client(caller).await;
        let request = GetRepositoryRequest { repository_id: repository.id.0, ..GetRepositoryRequest::default() };
        let found = client.get_repository(request).await.unwrap().into_inner().repository.unwrap();
        let request = ListRepositoriesRequest { organisation_id: organisation.0, ..ListRepositoriesRequest::default() };
        let listed = client.list_repositories(request).await.unwrap().into_inner().repositories;
        assert_eq!(listed, std::slice::from_ref(&found), "{caller:?}");
        shown.push(found);
    }
    let all = &shown[0];
    for hidden in [&all.source_url, &all.source_type, &all.owner, &all.storage, &all.error_kind, &all.error_message] {
        assert!(!hidden.is_empty(), "{all:?}");
    }
    assert!(!all.exclude_refs.is_empty() && all.sync_interval.is_some() && all.version > 0, "{all:?}");
    let public = Repository {
        id: repository.id.0,
        name: "open".to_owned(),
        organisation_id: organisation.0,
        organisation_slug: "acme".to_owned(),
        status: "failed".to_owned(),
        is_public: true,
        is_bare: true,
        is_mirror: true,
        created_at: all.created_at,
        ..Repository::default()
    };
    assert_eq!(shown[1..], [public.clone(), public]);

    // Where it is pushed to is not theirs to know either ..
    for caller in [None, Some("Bearer token-foreign")] {
        let request = ListPushTargetsRequest { repository_id: repository.id.0 };
        let refused = world.client(caller).await.list_push_targets(request).await.unwrap_err();
        assert!(matches!(refused.code(), Code::Unauthenticated | Code::NotFound), "{caller:?}: {refused:?}");
    }

    // .. nor are the tasks.
    let ids = prepare(&world, organisation, "filled", "").await;
    let version = world.gitsync.repository(ids.repository).await.unwrap().version;
    let patch = RepositoryPatch { is_public: Some(true), ..RepositoryPatch::default() };
    world.gitsync.update_repository(ids.repository, version, &patch).await.unwrap();
    for (caller, expected) in [(Some("Bearer token-reader"), ids.task.to_string()), (None, String::new())] {
        let request = ListRefUpdatesRequest { repository_id: ids.repository.0, ..ListRefUpdatesRequest::default() };
        let found = world.client(caller).await.list_ref_updates(request).await.unwrap().into_inner().updates;
        assert_eq!(found.iter().map(|update| &update.task_id).collect::<Vec<_>>(), [&expected], "{caller:?}");
    }
}

async fn only_who_has_a_role_everywhere_is_told_the_storages(kind: StoreKind) {
    let world = World::guarded(kind, &tokens(), false).await;
    let ids = settle(&world).await;
    let storage = format!("choose one of {}", world.gitsync.repository(ids.repository).await.unwrap().storage);
    for (caller, is_told) in [("Bearer token-writer", false), ("Bearer token-everywhere", true)] {
        let request = CreateRepositoryRequest {
            organisation_id: ids.organisation.0,
            name: "new".to_owned(),
            storage: Some("elsewhere".to_owned()),
            ..CreateRepositoryRequest::default()
        };
        let status = world.client(Some(caller)).await.create_repository(request).await.unwrap_err();
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "storage", "{caller}");
        assert_eq!(status.message().contains(&storage), is_told, "{caller}: {status:?}");
        assert_eq!(details.error_info().unwrap().metadata["hint"].contains(&storage), is_told, "{caller}: {details:?}");
    }
}

async fn the_owner_is_whom_the_token_names_and_a_deletion_is_asked_for_again_by_an_admin_only(kind: StoreKind) {
    let world = World::guarded(kind, &tokens(), false).await;
    let ids = settle(&world).await;
    let mut writer = world.client(Some("Bearer token-writer")).await;
    let request = CreateRepositoryRequest {
        organisation_id: ids.organisation.0,
        name: "mine".to_owned(),
        exclude_refs: vec!["refs/pull/*".to_owned()],
        ..CreateRepositoryRequest::default()
    };
    let created = writer.create_repository(request).await.unwrap().into_inner().repository.unwrap();
    assert_eq!((created.owner.as_str(), created.exclude_refs), ("writer", vec!["refs/pull/*".to_owned()]));

    let mut admin = world.client(Some("Bearer token-admin")).await;
    let request = DeleteRepositoryRequest { repository_id: ids.repository.0 };
    let task_id = admin.delete_repository(request).await.unwrap().into_inner().task_id;
    let retry = RetrySyncTaskRequest { task_id: task_id.clone() };
    assert_eq!(writer.retry_sync_task(retry).await.unwrap_err().code(), Code::PermissionDenied);
    // Whoever saw the task before sees how it ended.
    world.work().await;
    let mut foreign = world.client(Some("Bearer token-foreign")).await;
    let get = GetSyncTaskRequest { task_id };
    assert_eq!(writer.get_sync_task(get.clone()).await.unwrap().into_inner().status, "completed");
    assert_eq!(foreign.get_sync_task(get).await.unwrap_err().code(), Code::NotFound);
}
