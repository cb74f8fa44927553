//! Upkeep by a git program that is a script: when it is asked for, and what becomes of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use super::hooks::{PauseAt, deaf, start};
use super::logs::Log;
use super::world::{LONG_ENOUGH, World, is_done};
use crate::error::ErrorKind;
use crate::model::{PageRequest, Repository, SyncTask, TaskKind};
use crate::state::{RepositoryStatus, TaskStatus};
use crate::store::TaskFilter;

/// Installs a program that notes each call in a file, and does what else a script says.
fn install(world: &World, script: &str) {
    let path = world.git_program();
    let calls = path.with_extension("calls");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *\" version\") echo git version 2.47.0; exit;; esac\necho \"$*\" >> {}\n{script}\n",
        calls.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// How often the program was called, but for its version.
fn calls(world: &World) -> usize {
    fs::read_to_string(world.git_program().with_extension("calls")).unwrap_or_default().lines().count()
}

fn add_packs(world: &World, repository: &Repository, count: usize) {
    let directory = world.published(repository).join("objects/pack");
    fs::create_dir_all(&directory).unwrap();
    for number in 0..count {
        fs::write(directory.join(format!("pack-{number}.pack")), "").unwrap();
    }
}

/// Moves upstream and syncs that.
async fn sync_something(world: &World, repository: &Repository) {
    let commit = world.backend.commit(&[], &format!("at {:?}", world.commits(repository.id, true).await.len()));
    world.set("refs/heads/other", Some(commit));
    assert!(is_done(&world.sync(repository.id).await));
}

async fn upkeep(world: &World) -> Vec<SyncTask> {
    let filter = TaskFilter { kind: Some(TaskKind::Maintain), ..TaskFilter::default() };
    world.gitsync.list_tasks(&filter, &PageRequest::new(100, None).unwrap()).await.unwrap().items
}

#[tokio::test]
async fn a_sync_that_leaves_many_packs_is_followed_by_upkeep() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    install(&world, "");
    add_packs(&world, &repository, 16);
    sync_something(&world, &repository).await;
    assert_eq!(upkeep(&world).await.len(), 0, "as many as there may be");
    add_packs(&world, &repository, 17);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(upkeep(&world).await.len(), 0, "nothing moved");
    let before = world.repository(repository.id).await;
    sync_something(&world, &repository).await;
    let tasks = upkeep(&world).await;
    assert!(tasks.len() == 1 && is_done(&tasks[0]), "{tasks:?}");
    assert_eq!(calls(&world), 2, "the packs, and the graph of commits");
    let after = world.repository(repository.id).await;
    assert_eq!((after.status, after.error, after.failures), (before.status, None, 0));
}

#[tokio::test]
async fn upkeep_that_was_outrun_changes_nothing_any_more() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    install(&world, "");
    let task = world.gitsync.verify_repository(repository.id).await.unwrap();
    let pause = PauseAt::new("verified");
    let engine = world.engine_with(Arc::clone(&pause) as _, deaf());
    let slow = start(&engine);
    pause.reached.notified().await;
    assert_eq!(calls(&world), 1, "it has verified");

    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
    assert_eq!(calls(&world), 4, "somebody else did it all");
    pause.open.notify_one();
    slow.await.unwrap();
    assert_eq!(calls(&world), 4);
}

#[tokio::test]
async fn upkeep_that_fails_says_nothing_about_the_repository() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    install(&world, "case \"$*\" in *\" repack \"*) echo 'fatal: not today' >&2; exit 1;; esac");
    let task = world.gitsync.maintain_repository(repository.id).await.unwrap();
    for _ in 0..4 {
        world.work().await;
        world.clock.advance(LONG_ENOUGH);
    }
    let failed = world.gitsync.task(task.id).await.unwrap();
    let error = failed.error.unwrap();
    assert_eq!((failed.status, failed.attempt, error.kind), (TaskStatus::Failed, 4, ErrorKind::Internal));
    assert!(error.message.contains("not today"), "{}", error.message);
    let after = world.repository(repository.id).await;
    assert_eq!((after.status, after.error), (RepositoryStatus::Active, None));
}

#[tokio::test]
async fn that_there_is_no_git_program_is_told_once() {
    let (log, _guard) = Log::begin();
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    add_packs(&world, &repository, 17);
    for _ in 0..2 {
        sync_something(&world, &repository).await;
    }
    assert_eq!(upkeep(&world).await.len(), 0);
    let text = log.text();
    assert_eq!(text.matches("repositories get no upkeep").count(), 1, "{text}");
}
