//! A process may die between any two steps: whoever comes next makes everything right.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::hooks::{PauseAt, die_at, eventually, start};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::engine::disk::Manifest;
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::model::Repository;
use crate::queue::QueueStats;
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::testing::DieAt;

/// Works until idle or until the given step; tells whether it died there.
async fn work_until(world: &World, step: usize) -> bool {
    let hook = DieAt::new(step);
    let engine = world.engine(Arc::clone(&hook) as _);
    let worker = engine.worker();
    tokio::select! {
        result = worker.run_until_idle() => {
            result.unwrap();
            false
        }
        () = hook.died() => true,
    }
}

/// Goes on as another process, after the dead one's lease.
async fn recover(world: &World) {
    world.clock.advance(LONG_ENOUGH);
    world.gitsync.janitor().round().await;
    world.work().await;
    world.gitsync.janitor().round().await;
    for directory in ["tmp", "trash", "journal"] {
        assert_eq!(world.remains(directory), 0, "{directory}");
    }
}

#[tokio::test]
async fn a_clone_that_dies_anywhere_is_finished_by_the_next_worker() {
    for step in 0.. {
        let world = World::new();
        let line = world.upstream(10);
        world.set("refs/tags/v1", Some(line[3]));
        let (repository, task) = world.create("a", true).await;
        let died = work_until(&world, step).await;
        recover(&world).await;
        let ended = world.gitsync.task(task.id).await.unwrap();
        assert_eq!(ended.status, TaskStatus::Completed, "died at step {step}: {ended:?}");
        world.check_books(repository.id).await;
        if !died {
            assert!(step > 8, "the steps are really there");
            return;
        }
    }
}

#[tokio::test]
async fn a_sync_that_dies_anywhere_is_finished_by_the_next_worker() {
    for step in 0.. {
        let world = World::new();
        let line = world.upstream(10);
        world.set("refs/heads/gone", Some(line[8]));
        let repository = world.mirror().await;
        let forced = world.backend.commit(&[line[4]], "forced");
        let forced = world.backend.commit(&[forced], "forced further");
        world.set("refs/heads/main", Some(forced));
        world.set("refs/heads/gone", None);
        world.set("refs/heads/new", Some(line[2]));
        world.gitsync.sync(repository.id).await.unwrap();
        let died = work_until(&world, step).await;
        recover(&world).await;
        world.check_books(repository.id).await;
        let mut kept = vec![line[8], line[9]];
        kept.sort();
        assert_eq!(world.kept_on_disk(&repository).await, kept, "died at step {step}");
        if !died {
            assert!(step > 6, "the steps are really there");
            return;
        }
    }
}

#[tokio::test]
async fn a_reclone_that_dies_anywhere_leaves_the_old_or_the_new() {
    for step in 0.. {
        let world = World::new();
        let line = world.upstream(5);
        let repository = world.mirror().await;
        let other = world.backend.commit(&[], "other");
        world.set("refs/heads/main", Some(other));
        world.gitsync.migrate(repository.id, None, true).await.unwrap();
        let died = work_until(&world, step).await;
        let there = world.refs_on_disk(&repository).await;
        assert!(there.iter().any(|(_, id)| *id == line[4]), "the old tip has a name at any time");
        recover(&world).await;
        world.check_books(repository.id).await;
        assert_eq!(world.kept_on_disk(&repository).await, [line[4]], "died at step {step}");
        if !died {
            return;
        }
    }
}

/// Nobody but the next worker is left to hear of the cancellation.
#[tokio::test]
async fn a_cancellation_outlives_the_worker_that_should_have_heard_of_it() {
    for step in 0.. {
        let world = World::new();
        world.upstream(10);
        let (repository, task) = world.create("a", true).await;
        if !work_until(&world, step).await {
            assert!(step > 8, "the steps are really there");
            return;
        }
        let asked = world.gitsync.cancel_task(task.id).await.unwrap();
        recover(&world).await;
        let ended = world.gitsync.task(task.id).await.unwrap();
        if asked.status == TaskStatus::Running {
            assert_eq!(ended.status, TaskStatus::Cancelled, "died at step {step}");
            assert_eq!(world.repository(repository.id).await.status, RepositoryStatus::Failed);
        } else {
            assert_eq!(ended.status, TaskStatus::Completed, "it had ended before");
        }
        world.gitsync.migrate(repository.id, None, true).await.unwrap();
        world.work().await;
        world.check_books(repository.id).await;
    }
}

/// Dies also between publishing and recording a clone from a smaller source.
#[tokio::test]
async fn a_forced_migrate_to_a_smaller_source_survives_a_crash() {
    let smaller = SourceUrl::parse("https://example.com/smaller.git").unwrap().url;
    for step in 0.. {
        let world = World::new();
        let line = world.upstream(2);
        for number in 0..120 {
            world.set(&format!("refs/tags/{number}"), Some(line[0]));
        }
        let repository = world.mirror().await;
        let other = world.backend.commit(&[], "other");
        world.backend.set_ref(&smaller, "refs/heads/main", Some(other)).unwrap();
        let task = world.gitsync.migrate(repository.id, Some(smaller.clone()), true).await.unwrap();
        let died = work_until(&world, step).await;
        world.clock.advance(LONG_ENOUGH);
        world.work().await;
        let ended = world.gitsync.task(task.id).await.unwrap();
        assert_eq!(ended.status, TaskStatus::Completed, "died at step {step}: {:?}", ended.error);
        if !died {
            return;
        }
    }
}

/// The clone was published, but not recorded, and before the next attempt somebody wants another source.
#[tokio::test]
async fn a_clone_that_was_published_is_not_taken_for_one_of_another_source() {
    let elsewhere = SourceUrl::parse("https://example.com/elsewhere.git").unwrap().url;
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let other = world.backend.commit(&[], "other");
    world.backend.set_ref(&elsewhere, "refs/heads/main", Some(other)).unwrap();
    let task = world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.backend.fail_next(Call::Walk, Error::new(ErrorKind::Timeout, "too slow"));
    world.work().await;
    let rewritten = world.gitsync.migrate(repository.id, Some(elsewhere.clone()), true).await.unwrap();
    assert_eq!(rewritten.id, task.id);
    recover(&world).await;
    let manifest = Manifest::read(&world.published(&repository)).unwrap().unwrap();
    assert_eq!(manifest.source, Some(elsewhere.clone()));
    assert_eq!(world.repository(repository.id).await.source, Some(elsewhere));
}

/// What was published is gone on with: neither cloned nor made once more.
#[tokio::test]
async fn a_reclone_that_died_after_publishing_is_only_recorded() {
    let world = World::new();
    let line = world.upstream(2);
    let repository = world.mirror().await;
    let next = world.backend.commit(&[line[1]], "next");
    world.set("refs/heads/main", Some(next));
    world.gitsync.migrate(repository.id, None, true).await.unwrap();
    die_at(&world, "published").await;
    let fetches = world.backend.count(Call::Fetch);
    recover(&world).await;
    assert_eq!(world.backend.count(Call::Fetch), fetches);
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn an_initialize_that_dies_anywhere_is_finished() {
    for step in 0.. {
        let world = World::new();
        let (_, task) = world.create("a", false).await;
        let died = work_until(&world, step).await;
        recover(&world).await;
        let ended = world.gitsync.task(task.id).await.unwrap();
        assert_eq!(ended.status, TaskStatus::Completed, "died at step {step}: {:?}", ended.error);
        if !died {
            assert!(step > 4, "the steps are really there");
            return;
        }
    }
}

#[tokio::test]
async fn a_deletion_that_dies_anywhere_is_finished() {
    for step in 0.. {
        let world = World::new();
        world.upstream(3);
        let repository = world.mirror().await;
        let task = world.gitsync.delete_repository(repository.id).await.unwrap();
        let died = work_until(&world, step).await;
        recover(&world).await;
        assert!(!world.published(&repository).exists());
        let ended = world.gitsync.task(task.id).await.unwrap();
        assert_eq!(ended.status, TaskStatus::Completed, "died at step {step}");
        assert_eq!(world.gitsync.queue_stats().await.unwrap(), QueueStats::default(), "died at step {step}");
        if !died {
            assert!(step > 3, "the steps are really there");
            return;
        }
    }
}

/// A swap by two renames broke off between them, and the new directory went with its attempt.
fn break_a_swap(world: &World, repository: &Repository) {
    let storage = world.storage();
    fs::rename(world.published(repository), storage.trash().join("old")).unwrap();
    let journal = r#"{"finished":".gitsync/tmp/new","published":"org/mirror","old":".gitsync/trash/old"}"#;
    fs::write(storage.journal(repository.id), journal).unwrap();
}

#[tokio::test]
async fn whoever_comes_next_ends_a_swap_that_broke_off() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    let fetches = world.backend.count(Call::Fetch);
    break_a_swap(&world, &repository);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.backend.count(Call::Fetch), fetches, "it is not cloned anew");
    world.check_books(repository.id).await;

    break_a_swap(&world, &repository);
    let busy = world.storage().fence(repository.id).hold_for_upkeep().unwrap().unwrap();
    world.gitsync.janitor().round().await;
    assert_eq!(world.remains("trash"), 1, "what a swap needs is no trash");
    drop(busy);
    world.gitsync.janitor().round().await;
    world.check_books(repository.id).await;
    assert_eq!((world.remains("trash"), world.remains("journal")), (0, 0));
}

#[tokio::test]
async fn a_job_whose_workers_keep_dying_fails_in_the_end() {
    let world = World::new();
    world.upstream(3);
    let (repository, task) = world.create("a", true).await;
    for _ in 0..4 {
        assert!(work_until(&world, 1).await);
        world.clock.advance(LONG_ENOUGH);
    }
    world.work().await;
    let failed = world.gitsync.task(task.id).await.unwrap();
    assert_eq!(failed.status, TaskStatus::Failed);
    assert_eq!(world.repository(repository.id).await.status, RepositoryStatus::Failed);
}

/// What an earlier attempt left is removed by the next one; the janitor need not come.
#[tokio::test]
async fn an_attempt_removes_what_earlier_ones_left() {
    let world = World::new();
    world.upstream(3);
    let (repository, task) = world.create("a", true).await;
    die_at(&world, "fetched").await;
    eventually("the attempt is dropped", || world.remains("tmp") == 0).await;
    // As after a real death, when nothing is dropped.
    let left = world.storage().temporary(task.id, 1);
    fs::create_dir_all(left.join("objects")).unwrap();
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    assert_eq!(world.remains("tmp"), 0);
    world.check_books(repository.id).await;

    let lock = world.published(&repository).join("packed-refs.lock");
    let old = SystemTime::now() - LONG_ENOUGH;
    fs::File::create(&lock).unwrap().set_modified(old).unwrap();
    assert!(is_done(&world.sync(repository.id).await));
    assert!(!lock.exists(), "no reference could ever be changed");
}

/// An attempt is dropped (abandoned, outrun, its runtime gone) while its thread publishes. What is published is whole.
#[tokio::test]
async fn an_attempt_that_is_dropped_while_it_publishes_publishes_all_or_nothing() {
    for (has_source, last_step) in [(true, "references written"), (false, "initialized")] {
        let world = World::new();
        world.upstream(3);
        let (repository, task) = world.create("a", has_source).await;
        let pause = PauseAt::new(last_step);
        let engine = world.engine(Arc::clone(&pause) as _);
        let worker = start(&engine);
        pause.reached.notified().await;
        // The thread reads git's configuration before it publishes, and from a pipe it reads what and when we want.
        let temporary = world.only_temporary();
        let config = temporary.join("config");
        assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
        pause.open.notify_one();
        let mut pipe = tokio::task::spawn_blocking(move || fs::File::options().write(true).open(config).unwrap());
        let mut pipe = tokio::select! {
            pipe = &mut pipe => pipe.unwrap(),
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("nobody reads the configuration"),
        };
        worker.abort();
        assert!(worker.await.unwrap_err().is_cancelled());
        // Time for everything the attempt owned to be dropped.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(temporary.join("scripted.json").exists(), "it is removed while it is published");
        pipe.write_all(b"[include]\n\tpath = gitsync.config\n").unwrap();
        drop(pipe);
        eventually("the thread has ended", || world.remains("tmp") == 0).await;
        let published = world.published(&repository);
        assert_eq!(Manifest::read(&published).unwrap().map(|manifest| manifest.task), Some(task.id));
        fs::remove_file(published.join("config")).unwrap();
        recover(&world).await;
        assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
        if has_source {
            world.check_books(repository.id).await;
        }
    }
}
