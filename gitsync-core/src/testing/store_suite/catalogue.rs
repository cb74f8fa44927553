//! Organisations and repositories, as users see and change them.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{SECOND, StoreHarness, completion, everything, refusal};
use crate::error::ErrorKind;
use crate::model::{Depth, Layout, OrganisationId, Repository, RepositoryId, TaskId, TaskKind};
use crate::plan::RefPattern;
use crate::rules::{Disposition, Request};
use crate::store::{CommitFilter, NewRepository, RepositoryFilter, RepositoryPatch};

/// An organisation is read back as it was returned.
pub async fn an_organisation_is_found_by_id_and_slug(h: StoreHarness) {
    let slug = "a-1".parse().expect("a slug");
    let made = h.store.create_organisation(&slug, "The \u{1d504} one").await.expect("an organisation can be made");
    assert_eq!((&made.slug, made.name.as_str()), (&slug, "The \u{1d504} one"));
    h.assert_now(Some(made.created_at));
    assert_eq!(h.store.organisation(made.id).await.expect("it is there"), made);
    assert_eq!(h.store.organisation_by_slug(&slug).await.expect("it is there"), made);
}

/// A slug belongs to one organisation.
pub async fn slugs_are_unique(h: StoreHarness) {
    let first = h.organisation().await;
    let second = h.store.create_organisation(&first.slug, "Other").await;
    assert_eq!(refusal(second), ErrorKind::AlreadyExists);
    let listed = h.store.list_organisations(&everything()).await.expect("organisations can be listed");
    assert_eq!(listed.items, [first]);
}

/// A name is taken in every spelling, in its organisation; what was refused leaves nothing behind.
pub async fn names_are_unique_without_regard_to_case(h: StoreHarness) {
    let (linux, _) = h.create("Linux").await;
    let again = h.new_mirror("lINUX").await;
    assert_eq!(refusal(h.store.create_repository(&again).await), ErrorKind::AlreadyExists);
    assert_eq!(refusal(h.store.task(again.task).await), ErrorKind::NotFound);
    assert_eq!(repositories(&h).await, std::slice::from_ref(&linux));

    let slug = "other".parse().expect("a slug");
    let other = h.store.create_organisation(&slug, "Other").await.expect("an organisation can be made").id;
    let elsewhere = NewRepository { organisation: other, ..again };
    let (elsewhere, _) = h.store.create_repository(&elsewhere).await.expect("the name is free there");
    let by_name = async |organisation| {
        let name = "LINUX".parse().expect("a name");
        h.store.repository_by_name(organisation, &name).await.expect("it is there")
    };
    assert_eq!(by_name(linux.organisation).await, linux);
    assert_eq!(by_name(other).await, elsewhere);
}

/// A repository that cannot be is not half made.
pub async fn an_impossible_repository_is_refused(h: StoreHarness) {
    let mirror = h.new_mirror("r").await;
    let homeless = NewRepository { organisation: OrganisationId(4711), ..mirror.clone() };
    assert_eq!(refusal(h.store.create_repository(&homeless).await), ErrorKind::NotFound);
    let sourceless = NewRepository { source: None, layout: Layout::Mirror, ..mirror.clone() };
    assert_eq!(refusal(h.store.create_repository(&sourceless).await), ErrorKind::InvalidInput);
    let deep = NewRepository { source: None, layout: Layout::Bare, depth: Depth::new(1).ok(), ..mirror.clone() };
    assert_eq!(refusal(h.store.create_repository(&deep).await), ErrorKind::InvalidInput);
    assert_eq!(refusal(h.store.task(mirror.task).await), ErrorKind::NotFound);
    assert_eq!((repositories(&h).await, h.outbox().await), (vec![], vec![]));
    h.store.create_repository(&mirror).await.expect("name and task are free");
    let refused = h.store.create_repository(&sourceless).await;
    assert_eq!(refusal(refused), ErrorKind::InvalidInput, "another name would not help");
}

/// A task's id is never another one's; asking again with the id of one's own request is no clash.
pub async fn task_ids_are_unique(h: StoreHarness) {
    let (first, task) = h.create("first").await;
    let clash = NewRepository { task: task.id, ..h.new_mirror("second").await };
    assert_eq!(refusal(h.store.create_repository(&clash).await), ErrorKind::AlreadyExists);
    assert_eq!(repositories(&h).await, [first]);

    let other = h.migrated("third").await;
    let request = |id| Request { kind: TaskKind::Sync, parameters: Default::default(), id };
    let refused = h.store.request_task(other.id, &request(task.id)).await;
    assert_eq!(refusal(refused), ErrorKind::AlreadyExists);
    assert_eq!(h.repository(other.id).await, other);

    let mine = request(TaskId::generate());
    let made = h.store.request_task(other.id, &mine).await.expect("the id is new");
    let again = h.store.request_task(other.id, &mine).await.expect("the request can be repeated");
    assert_eq!((made.disposition, again.disposition), (Disposition::Created, Disposition::Returned));
    assert_eq!((made.task.id, &again.task), (mine.id, &made.task));
}

/// Every field that an edit names is stored, and nothing else changes.
pub async fn an_edit_changes_what_it_names(h: StoreHarness) {
    let repository = h.migrated("r").await;
    h.clock.advance(10 * SECOND);
    let pull = RefPattern::new("refs/pull/*").expect("a pattern");
    let patch = RepositoryPatch {
        description: Some("\u{fc}ber".into()),
        owner: Some(String::new()),
        is_public: Some(false),
        sync_interval: Some(Some(Duration::from_micros(90_000_001))),
        exclude_refs: Some(vec![pull.clone()]),
        depth: Some(None),
    };
    let edit = async |version, patch: &RepositoryPatch| h.store.update_repository(repository.id, version, patch).await;
    let edited = edit(repository.version, &patch).await.expect("the repository can be edited");
    let expected = Repository {
        description: "\u{fc}ber".into(),
        owner: String::new(),
        is_public: false,
        sync_interval: Some(Duration::from_micros(90_000_001)),
        exclude_refs: vec![pull],
        version: edited.version,
        updated_at: edited.updated_at,
        next_sync_at: edited.next_sync_at,
        ..repository.clone()
    };
    assert_eq!(edited, expected);
    assert!(edited.version > repository.version);
    h.assert_now(Some(edited.updated_at));
    h.assert_at(edited.next_sync_at, h.in_seconds(90));
    assert_eq!(h.repository(repository.id).await, edited);

    let patch = RepositoryPatch { sync_interval: Some(None), ..RepositoryPatch::default() };
    let reset = edit(edited.version, &patch).await.expect("the repository can be edited");
    let expected =
        Repository { sync_interval: None, version: reset.version, updated_at: reset.updated_at, ..edited.clone() };
    assert_eq!(reset, expected);
    assert_eq!(refusal(edit(edited.version, &patch).await), ErrorKind::Conflict);
    assert_eq!(h.repository(repository.id).await, reset);
}

/// A depth is stored, changed and taken away; where the whole history is recorded there is none to be set.
pub async fn a_depth_takes_no_history_away(h: StoreHarness) {
    let shallow = NewRepository { depth: Depth::new(3).ok(), ..h.new_mirror("shallow").await };
    let (shallow, _) = h.store.create_repository(&shallow).await.expect("it can be made");
    let edit = async |before: &Repository, depth| {
        let patch = RepositoryPatch { depth: Some(depth), ..RepositoryPatch::default() };
        h.store.update_repository(before.id, before.version, &patch).await
    };
    let mut before = shallow;
    for depth in [Depth::new(Depth::MAX.into()).ok(), Depth::new(1).ok(), None] {
        before = edit(&before, depth).await.expect("it can be edited");
        assert_eq!((before.depth, h.repository(before.id).await), (depth, before.clone()));
    }
    let whole = h.migrated("whole").await;
    assert_eq!(refusal(edit(&whole, Depth::new(3).ok()).await), ErrorKind::Conflict);
    assert_eq!(h.repository(whole.id).await, whole);
}

/// Of edits that were made looking at the same version one is stored, and the others learn of it.
pub async fn edits_at_once_do_not_overwrite_each_other(h: StoreHarness) {
    let (repository, _) = h.create("r").await;
    let h = Arc::new(h);
    let edit = |number: u32| {
        let h = Arc::clone(&h);
        tokio::spawn(async move {
            let patch = RepositoryPatch { description: Some(number.to_string()), ..RepositoryPatch::default() };
            h.store.update_repository(repository.id, repository.version, &patch).await
        })
    };
    let edits: Vec<_> = (0..8).map(edit).collect();
    let mut stored = Vec::new();
    for edit in edits {
        match edit.await.expect("an edit does not panic") {
            Ok(repository) => stored.push(repository),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    }
    assert_eq!(stored, [h.repository(repository.id).await]);
}

/// What a user edits and what work writes are apart: neither makes the other fail or undoes it.
pub async fn edits_and_work_do_not_disturb_each_other(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    assert_eq!(work.repository.version, repository.version, "work does not make a user's version old");
    let patch = RepositoryPatch { description: Some("new".into()), ..RepositoryPatch::default() };
    let edited = h.store.update_repository(repository.id, repository.version, &patch).await;
    let edited = edited.expect("a repository that is worked on can be edited");
    assert_eq!((edited.status, edited.fence), (work.repository.status, work.repository.fence));
    h.complete(&work, completion(5, 1), None).await;
    let after = h.repository(repository.id).await;
    assert_eq!((after.description.as_str(), after.total_commits), ("new", 5));
    assert_eq!(after.version, edited.version);
}

/// Whatever names a record that is not there says so.
pub async fn what_does_not_exist_is_not_found(h: StoreHarness) {
    let (organisation, repository, task) = (OrganisationId(4711), RepositoryId(4711), TaskId::generate());
    let (name, slug) = ("r".parse().expect("a name"), "nobody".parse().expect("a slug"));
    let request = Request { kind: TaskKind::Sync, parameters: Default::default(), id: TaskId::generate() };
    let (patch, filter) = (RepositoryPatch::default(), CommitFilter::default());
    let store = &h.store;
    let refused = [
        ("organisation", store.organisation(organisation).await.map(drop)),
        ("organisation_by_slug", store.organisation_by_slug(&slug).await.map(drop)),
        ("repository", store.repository(repository).await.map(drop)),
        ("repository_by_name", store.repository_by_name(organisation, &name).await.map(drop)),
        ("update_repository", store.update_repository(repository, 1, &patch).await.map(drop)),
        ("archive_repository", store.archive_repository(repository).await.map(drop)),
        ("unarchive_repository", store.unarchive_repository(repository).await.map(drop)),
        ("request_task", store.request_task(repository, &request).await.map(drop)),
        ("cancel_task", store.cancel_task(task).await.map(drop)),
        ("task", store.task(task).await.map(drop)),
        ("baseline", store.baseline(repository).await.map(drop)),
        ("list_branches", store.list_branches(repository, &everything()).await.map(drop)),
        ("list_commits", store.list_commits(repository, &filter, &everything()).await.map(drop)),
        ("list_ref_updates", store.list_ref_updates(repository, &everything()).await.map(drop)),
    ];
    for (call, result) in refused {
        assert_eq!(result.map_err(|error| error.kind()), Err(ErrorKind::NotFound), "{call}");
    }
}

async fn repositories(h: &StoreHarness) -> Vec<Repository> {
    let page = h.store.list_repositories(&RepositoryFilter::default(), &everything()).await;
    page.expect("repositories can be listed").items
}
