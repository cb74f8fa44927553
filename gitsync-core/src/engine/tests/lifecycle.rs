//! Requests, deletions and what callers do wrong.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::hooks::{PauseAt, deaf, start};
use super::world::{World, is_done};
use crate::engine::task::PURGE_CHUNK;
use crate::engine::{CreateRepository, EngineOptions, NoSteps};
use crate::error::ErrorKind;
use crate::memory::Call;
use crate::model::{Depth, RepositoryId, TaskId};
use crate::queue::QueueStats;
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::store::{RepositoryPatch, Store as _};

#[tokio::test]
async fn what_a_caller_does_wrong_is_said_clearly_and_leaves_nothing() {
    let world = World::new();
    let (repository, _) = world.create("a", false).await;
    let organisation = repository.organisation;
    let wish = |name: &str| CreateRepository { name: name.to_owned(), ..CreateRepository::default() };
    let kind = |wish| {
        let gitsync = world.gitsync.clone();
        async move { gitsync.create_repository(organisation, wish).await.unwrap_err().kind() }
    };
    assert_eq!(kind(wish("../x")).await, ErrorKind::InvalidInput);
    assert_eq!(kind(wish("A")).await, ErrorKind::AlreadyExists);
    assert_eq!(kind(CreateRepository { is_mirror: Some(true), ..wish("b") }).await, ErrorKind::InvalidInput);
    assert_eq!(kind(CreateRepository { source_type: "svn".into(), ..wish("b") }).await, ErrorKind::InvalidInput);
    for refused in ["http://example.com/a", "https://127.0.0.1/a", "file:///etc", "https://169.254.169.254/a"] {
        let source = Some(SourceUrl::parse(refused).unwrap().url);
        assert_eq!(kind(CreateRepository { source, ..wish("b") }).await, ErrorKind::SourceRefused, "{refused}");
    }
    let page = crate::model::PageRequest::new(10, None).unwrap();
    let all = world.gitsync.list_repositories(&crate::store::RepositoryFilter::default(), &page).await.unwrap();
    assert_eq!(all.items.len(), 1);
    assert_eq!(world.gitsync.sync(crate::model::RepositoryId(99)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_depth_that_the_git_engine_cannot_fetch_is_refused_and_never_ignored() {
    let world = World::new();
    world.upstream(3);
    let (repository, _) = world.create("a", true).await;
    let depth = Depth::new(1).ok();
    let wish = CreateRepository {
        name: "b".to_owned(),
        source: Some(world.source.clone()),
        depth,
        ..CreateRepository::default()
    };
    let error = world.gitsync.create_repository(repository.organisation, wish).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Unsupported, Some("depth")));
    let patch = RepositoryPatch { depth: Some(depth), ..RepositoryPatch::default() };
    let error = world.gitsync.update_repository(repository.id, repository.version, &patch).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    // A process with another git engine takes it.
    world.store.update_repository(repository.id, repository.version, &patch).await.unwrap();
    world.work().await;
    let failed = world.repository(repository.id).await;
    assert_eq!(failed.error.map(|error| error.kind), Some(ErrorKind::Unsupported));
    assert!(!world.published(&repository).exists());
}

#[tokio::test]
async fn an_initialized_repository_is_there_and_empty() {
    let world = World::new();
    let (repository, task) = world.create("a", false).await;
    world.work().await;
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
    let made = world.repository(repository.id).await;
    assert_eq!((made.status, made.total_commits), (RepositoryStatus::Active, 0));
    assert_eq!(made.default_branch.map(|name| name.to_string()).as_deref(), Some("refs/heads/main"));
    assert!(world.published(&repository).exists());
}

#[tokio::test]
async fn a_directory_in_the_way_is_not_touched_and_set_aside_with_force() {
    for has_source in [false, true] {
        let world = World::new();
        world.upstream(2);
        let (repository, task) = world.create("a", has_source).await;
        fs::create_dir_all(world.published(&repository)).unwrap();
        fs::write(world.published(&repository).join("mine"), "x").unwrap();
        world.work().await;
        let failed = world.gitsync.task(task.id).await.unwrap().error.unwrap();
        assert_eq!(failed.kind, ErrorKind::AlreadyExists);
        assert!(failed.message.contains("migrate with force"), "{}", failed.message);
        assert!(world.published(&repository).join("mine").exists());
        assert_eq!(world.backend.count(Call::Fetch), 0, "it is said before anything is fetched");

        world.gitsync.migrate(repository.id, Some(world.source.clone()), true).await.unwrap();
        world.work().await;
        world.gitsync.janitor().round().await;
        assert_eq!(fs::read_to_string(world.set_aside().join("mine")).unwrap(), "x");
        assert_eq!(world.repository(repository.id).await.error, None);
    }
}

#[tokio::test]
async fn a_deleted_repository_leaves_neither_rows_nor_files_and_its_name_is_free() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let task = world.gitsync.delete_repository(repository.id).await.unwrap();
    assert_eq!(world.gitsync.repository(repository.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(world.published(&repository).exists(), "the files go with the task");
    world.work().await;
    assert!(!world.published(&repository).exists());
    assert_eq!((world.remains("trash"), world.remains("tmp")), (0, 0));
    assert_eq!(world.remains("fence"), 1, "for workers that were outrun: ids are not given twice");
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
    let again = world.mirror().await;
    assert_ne!(again.id, repository.id);
    world.check_books(again.id).await;
}

#[tokio::test]
async fn a_directory_in_the_way_survives_the_deletion_of_the_repository_that_failed() {
    let world = World::new();
    let (repository, _) = world.create("a", false).await;
    fs::create_dir_all(world.published(&repository)).unwrap();
    fs::write(world.published(&repository).join("mine"), "x").unwrap();
    world.work().await;
    let task = world.gitsync.delete_repository(repository.id).await.unwrap();
    world.work().await;
    assert!(world.published(&repository).join("mine").exists(), "gitsync did not make it");
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
}

#[tokio::test]
async fn the_files_of_another_repository_are_never_touched() {
    let world = World::new();
    world.upstream(2);
    let other = world.mirror().await;
    let (repository, first) = world.create("a", true).await;
    // Somebody has moved directories about.
    fs::rename(world.published(&other), world.published(&repository)).unwrap();
    let there = world.refs_on_disk(&repository).await;
    world.work().await;
    assert_eq!(world.gitsync.task(first.id).await.unwrap().error.unwrap().kind, ErrorKind::AlreadyExists);
    for force in [false, true] {
        let task = world.gitsync.migrate(repository.id, None, force).await.unwrap();
        world.work().await;
        let error = world.gitsync.task(task.id).await.unwrap().error.unwrap();
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        assert!(error.message.contains("never replaced"), "{}", error.message);
    }
    world.set("refs/heads/main", None);
    let task = world.sync(repository.id).await;
    assert_eq!(task.error.unwrap().kind, ErrorKind::AlreadyExists);
    let task = world.gitsync.delete_repository(repository.id).await.unwrap();
    world.work().await;
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
    assert_eq!(world.refs_on_disk(&repository).await, there);
}

#[tokio::test]
async fn a_deletion_removes_more_rows_than_one_call_does() {
    let world = World::new();
    world.upstream(2 * PURGE_CHUNK + 5);
    let repository = world.mirror().await;
    let task = world.gitsync.delete_repository(repository.id).await.unwrap();
    world.work().await;
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
    // It would be refused while the old one had rows.
    world.mirror().await;
}

#[tokio::test]
async fn an_archived_repository_rests_until_it_is_taken_back() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let waiting = world.gitsync.sync(repository.id).await.unwrap();
    assert_eq!(world.gitsync.queue_stats().await.unwrap().ready, 1);
    let archived = world.gitsync.archive_repository(repository.id).await.unwrap();
    assert_eq!(archived.status, RepositoryStatus::Archived);
    assert_eq!(world.gitsync.task(waiting.id).await.unwrap().status, TaskStatus::Cancelled);
    assert_eq!(world.gitsync.queue_stats().await.unwrap(), QueueStats::default(), "its job is out of the queue");
    assert_eq!(world.gitsync.sync(repository.id).await.unwrap_err().kind(), ErrorKind::Conflict);
    world.clock.set(repository.next_sync_at.unwrap());
    assert_eq!(world.gitsync.scheduler().scan().await.unwrap(), 0);
    assert_eq!(world.gitsync.archive_repository(repository.id).await.unwrap(), archived);

    let back = world.gitsync.unarchive_repository(repository.id).await.unwrap();
    assert_eq!(back.status, RepositoryStatus::Active);
    assert!(is_done(&world.sync(repository.id).await));
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_migrate_needs_force_where_there_is_a_clone() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let error = world.gitsync.migrate(repository.id, None, false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.hint_text().is_some());
    let other = SourceUrl::parse("https://example.com/other.git").unwrap().url;
    let commit = world.backend.commit(&[], "other");
    world.backend.set_ref(&other, "refs/heads/main", Some(commit)).unwrap();
    world.gitsync.migrate(repository.id, Some(other.clone()), true).await.unwrap();
    world.work().await;
    let moved = world.repository(repository.id).await;
    assert_eq!((moved.source, moved.last_commit), (Some(other), Some(commit)));
}

#[tokio::test]
async fn kept_tips_go_after_their_retention() {
    let world = World::new();
    let line = world.upstream(2);
    let repository = world.mirror().await;
    let other = world.backend.commit(&[], "other");
    world.set("refs/heads/main", Some(other));
    world.sync(repository.id).await;
    world.gitsync.janitor().round().await;
    assert_eq!(world.kept_on_disk(&repository).await, [line[1]]);
    world.clock.advance(std::time::Duration::from_secs(91 * 24 * 3600));
    world.gitsync.janitor().round().await;
    assert!(world.kept_on_disk(&repository).await.is_empty());
    world.check_books(repository.id).await;
}

/// A clone goes on while everybody believes that it has ended, as far as the database knows.
#[tokio::test]
async fn the_janitor_leaves_temporary_directories_alone_that_may_still_be_published() {
    let world = World::new();
    world.upstream(2);
    let (repository, task) = world.create("a", true).await;
    let pause = PauseAt::new("fetched");
    let engine = world.engine_with(Arc::clone(&pause) as _, deaf());
    let worker = start(&engine);
    pause.reached.notified().await;
    let temporary = world.only_temporary();
    world.gitsync.janitor().round().await;
    assert!(temporary.exists(), "it is at work");
    // The next attempt has begun by its row only, or waits behind a deletion: the fence on disk is still the first one's.
    world.gitsync.delete_repository(repository.id).await.unwrap();
    world.gitsync.janitor().round().await;
    assert!(temporary.exists(), "it is at work for a repository that is being deleted");

    let outrun = temporary.with_file_name(format!("{}-0", task.id));
    fs::create_dir(&outrun).unwrap();
    world.gitsync.janitor().round().await;
    assert_eq!((outrun.exists(), temporary.exists()), (false, true), "only what a later attempt has outrun goes");
    pause.open.notify_one();
    worker.await.unwrap();
}

#[tokio::test]
async fn the_janitor_removes_temporary_directories_of_what_has_ended_unless_it_is_being_published() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let task = world.sync(repository.id).await;
    let leave = |name: String| {
        let path = world.storage().temporaries().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let ended = leave(format!("{}-99", task.id));
    let (unknown, strange) = (leave(format!("{}-1", TaskId::generate())), leave("strange".into()));
    let publishing = world.storage().fence(repository.id).hold_for_upkeep().unwrap().unwrap();
    world.gitsync.janitor().round().await;
    assert!(ended.exists(), "somebody holds the fence");
    drop(publishing);
    world.gitsync.janitor().round().await;
    assert!(!ended.exists());
    assert!(unknown.exists() && strange.exists(), "perhaps somebody else's, and young");

    let options = EngineOptions { temporary_retention: Duration::ZERO, ..EngineOptions::default() };
    world.engine_with(Arc::new(NoSteps), options).janitor().round().await;
    assert_eq!((world.remains("tmp"), world.remains("trash")), (0, 0));
}

#[tokio::test]
async fn a_thing_that_cannot_be_removed_does_not_keep_the_janitor_from_the_others() {
    let world = World::new();
    let storage = world.storage();
    // The fence cannot be opened, so the journal cannot be replayed.
    fs::create_dir(storage.fence(RepositoryId(1)).path()).unwrap();
    fs::write(storage.journal(RepositoryId(1)), "{").unwrap();
    fs::write(storage.journal(RepositoryId(2)), "{").unwrap();
    fs::write(storage.trash().join("file"), "").unwrap();
    world.gitsync.janitor().round().await;
    assert_eq!((world.remains("journal"), world.remains("trash")), (1, 0));
}

#[tokio::test]
async fn a_broken_repository_does_not_keep_the_janitor_from_the_others() {
    let world = World::new();
    let line = world.upstream(2);
    let (broken, _) = world.create("broken", true).await;
    world.work().await;
    let repository = world.mirror().await;
    let other = world.backend.commit(&[], "other");
    world.set("refs/heads/main", Some(other));
    world.sync(repository.id).await;
    assert_eq!(world.kept_on_disk(&repository).await, [line[1]]);
    fs::write(world.published(&broken).join("scripted.json"), "{").unwrap();
    world.clock.advance(Duration::from_secs(91 * 24 * 3600));
    for _ in 0..5 {
        world.gitsync.janitor().round().await;
    }
    assert!(world.kept_on_disk(&repository).await.is_empty());
}
