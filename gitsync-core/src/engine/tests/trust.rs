//! What a sync may build upon: records, disk and policy that are as it left them.

use std::fs;

use super::hooks::{die_at, push};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::plan::RefPattern;
use crate::store::RepositoryPatch;

/// A worker dies while it records, and upstream takes back what it was recording.
#[tokio::test]
async fn what_was_recorded_of_a_tip_that_upstream_took_back_does_not_count() {
    let world = World::new();
    let line = world.upstream(3);
    let repository = world.mirror().await;
    let mut tip = line[2];
    for number in 0..7 {
        tip = world.backend.commit(&[tip], &format!("taken back {number}"));
    }
    world.set("refs/heads/main", Some(tip));
    world.gitsync.sync(repository.id).await.unwrap();
    die_at(&world, "batch recorded").await;
    assert!(world.commits(repository.id, false).await.len() > 3, "something was recorded");
    world.set("refs/heads/main", Some(line[2]));
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    world.check_books(repository.id).await;
}

/// Upstream and records agree; the disk is another matter.
#[tokio::test]
async fn what_is_pushed_into_a_mirror_is_overwritten_and_kept() {
    let world = World::new();
    let line = world.upstream(3);
    let repository = world.mirror().await;
    let pushed = push(&world, &repository, "refs/heads/main", Some(line[2])).await;
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.kept_on_disk(&repository).await, [pushed]);
    world.check_books(repository.id).await;
}

/// Nothing is left out by it yet, so all references are as they were.
#[tokio::test]
async fn what_is_excluded_from_now_on_git_is_told_of_by_the_next_sync() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let exclude_refs = Some(vec![RefPattern::new("refs/heads/tmp/*").unwrap()]);
    let patch = RepositoryPatch { exclude_refs, ..RepositoryPatch::default() };
    world.gitsync.update_repository(repository.id, repository.version, &patch).await.unwrap();
    assert!(is_done(&world.sync(repository.id).await));
    let config = fs::read_to_string(world.published(&repository).join("gitsync.config")).unwrap();
    assert!(config.contains("^refs/heads/tmp/*"), "{config}");
    world.check_books(repository.id).await;
}

/// With an upstream and without, and though nothing moved.
#[tokio::test]
async fn what_is_configured_by_now_is_also_told_to_repositories_that_are_older() {
    let world = World::new();
    world.upstream(2);
    let (own, _) = world.create("own", false).await;
    let mirror = world.mirror().await;
    for repository in [world.repository(own.id).await, mirror] {
        let path = world.published(&repository).join("gitsync.config");
        let config = fs::read_to_string(&path).unwrap();
        assert!(config.contains("autogc = false"), "{config}");
        fs::write(&path, "[transfer]\n\thideRefs = refs/gitsync\n").unwrap();
        assert!(is_done(&world.sync(repository.id).await));
        assert_eq!(fs::read_to_string(&path).unwrap(), config);
    }
}
