//! Workers that were outrun and go on all the same: nothing of theirs is published.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use super::hooks::{PauseAt, deaf, let_report, start};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::error::ErrorKind;
use crate::memory::Call;
use crate::source::SourceUrl;

/// A worker stops before it changes references, its lease runs out, others do its work and more, and it goes on.
#[tokio::test]
async fn a_worker_that_was_only_slow_changes_nothing_any_more() {
    let world = World::new();
    let line = world.upstream(3);
    let repository = world.mirror().await;
    world.set("refs/heads/passing", Some(line[1]));
    let task = world.gitsync.sync(repository.id).await.unwrap();
    let pause = PauseAt::new("fetched");
    let engine = world.engine_with(Arc::clone(&pause) as _, deaf());
    let slow = start(&engine);
    pause.reached.notified().await;
    let_report(&world, task.id, "fetching").await;

    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    world.set("refs/heads/passing", None);
    assert!(is_done(&world.sync(repository.id).await));
    // The one change that the slow worker plans could be made once more.
    let updates = world.backend.count(Call::UpdateRefs);
    pause.open.notify_one();
    slow.await.unwrap();
    assert_eq!(world.backend.count(Call::UpdateRefs), updates);
    world.check_books(repository.id).await;
}

/// A worker stops before it pushes, another one pushes what is newer by then, and it goes on: the fence is asked again once the
/// target has said what it has.
#[tokio::test]
async fn a_push_that_was_outrun_changes_no_target_any_more() {
    let world = World::new();
    let line = world.upstream(3);
    let repository = world.mirror().await;
    let target: SourceUrl = "https://target.example/a".parse().unwrap();
    world.backend.set_ref(&target, "refs/heads/none", None).unwrap();
    world.gitsync.add_push_target(repository.id, &target).await.unwrap();
    let task = world.gitsync.sync(repository.id).await.unwrap();
    let pause = PauseAt::new("pushing");
    let engine = world.engine_with(Arc::clone(&pause) as _, deaf());
    let slow = start(&engine);
    pause.reached.notified().await;
    let_report(&world, task.id, "pushing").await;

    world.clock.advance(LONG_ENOUGH);
    world.set("refs/heads/main", Some(world.backend.commit(&[line[0]], "newer")));
    assert!(is_done(&world.sync(repository.id).await));
    let (newer, pushes) = (world.backend.upstream_refs(&world.source), world.backend.count(Call::Push));
    assert_eq!(world.backend.upstream_refs(&target), newer);
    pause.open.notify_one();
    slow.await.unwrap();
    assert_eq!(world.backend.count(Call::Push), pushes + 1, "it did go on");
    assert_eq!(world.backend.upstream_refs(&target), newer);
    assert_eq!(world.gitsync.push_targets(repository.id).await.unwrap()[0].error, None, "no fault of the target");
}

/// A clone stops before it is published, its repository is deleted meanwhile, and it goes on.
#[tokio::test]
async fn a_clone_that_was_outrun_is_not_published() {
    let world = World::new();
    world.upstream(3);
    let (repository, task) = world.create("a", true).await;
    let pause = PauseAt::new("references written");
    let engine = world.engine_with(Arc::clone(&pause) as _, deaf());
    let slow = start(&engine);
    pause.reached.notified().await;
    let_report(&world, task.id, "fetching").await;
    world.clock.advance(LONG_ENOUGH);
    world.gitsync.delete_repository(repository.id).await.unwrap();
    // Whoever comes next removes the clone if that can be done. Here it cannot.
    let (temporary, hidden) = (world.only_temporary(), world.storage().root().join("hidden"));
    fs::rename(&temporary, &hidden).unwrap();
    world.work().await;
    fs::rename(&hidden, &temporary).unwrap();
    assert_eq!(world.gitsync.repository(repository.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    pause.open.notify_one();
    slow.await.unwrap();
    assert!(!world.published(&repository).exists());
    assert_eq!(world.remains("tmp"), 0);
}

/// A worker is stopped right after it has begun a deletion. Another one does it, the name is used again.
#[tokio::test]
async fn a_deletion_that_was_outrun_does_not_take_the_next_repository_of_that_name() {
    for step in ["started", "taken over", "removed"] {
        let world = World::new();
        world.upstream(3);
        let repository = world.mirror().await;
        world.gitsync.delete_repository(repository.id).await.unwrap();
        let pause = PauseAt::new(step);
        let engine = world.engine_with(Arc::clone(&pause) as _, deaf());
        let zombie = start(&engine);
        pause.reached.notified().await;
        world.clock.advance(LONG_ENOUGH);
        world.work().await;
        let again = world.mirror().await;
        assert_ne!(again.id, repository.id);
        pause.open.notify_one();
        tokio::time::timeout(Duration::from_secs(5), zombie).await.ok();
        assert!(world.published(&again).exists(), "the new repository's files are gone");
        world.check_books(again.id).await;
    }
}
