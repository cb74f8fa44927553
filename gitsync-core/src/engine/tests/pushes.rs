//! What becomes of push targets after syncs.

use std::sync::Arc;
use std::time::Duration;

use super::hooks::{PauseAt, die_at, start};
use super::world::{LONG_ENOUGH, World, is_done};
use crate::engine::{EngineOptions, NoSteps};
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::model::{ObjectId, PushCounts, PushStatus, PushTarget, Repository, RepositoryId};
use crate::rules::FIRST_PUSH_PAUSE;
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};
use crate::testing::DieAt;

/// Makes a place that takes pushes, and adds it as a target.
async fn target(world: &World, id: RepositoryId, name: &str) -> SourceUrl {
    let url: SourceUrl = format!("https://target.example/{name}").parse().unwrap();
    world.backend.set_ref(&url, "refs/heads/none", None).unwrap();
    world.gitsync.add_push_target(id, &url).await.unwrap();
    url
}

async fn only_target(world: &World, id: RepositoryId) -> PushTarget {
    let mut targets = world.gitsync.push_targets(id).await.unwrap();
    assert_eq!(targets.len(), 1);
    targets.remove(0)
}

fn pushes(world: &World) -> usize {
    world.backend.count(Call::Push)
}

/// A mirror with one target that has everything.
async fn pushed() -> (World, Vec<ObjectId>, Repository, SourceUrl) {
    let world = World::new();
    let line = world.upstream(4);
    world.set("refs/heads/gone", Some(line[1]));
    let repository = world.mirror().await;
    let url = target(&world, repository.id, "a").await;
    assert!(is_done(&world.sync(repository.id).await));
    (world, line, repository, url)
}

#[tokio::test]
async fn a_target_follows_the_mirror() {
    let (world, line, repository, url) = pushed().await;
    assert_eq!(world.backend.upstream_refs(&url), world.backend.upstream_refs(&world.source));
    let first = only_target(&world, repository.id).await;
    assert_eq!((first.status(), first.last.updated, first.error), (PushStatus::Pushed, 2, None));

    let other = world.backend.commit(&[line[0]], "other");
    world.set("refs/heads/main", Some(other));
    world.set("refs/heads/gone", None);
    world.set("refs/notes/x", Some(line[0]));
    world.clock.advance(Duration::from_secs(10));
    assert!(is_done(&world.sync(repository.id).await));
    assert!(!world.kept_on_disk(&repository).await.is_empty());
    assert_eq!(world.backend.upstream_refs(&url), world.backend.upstream_refs(&world.source), "without what is ours");
    let second = only_target(&world, repository.id).await;
    assert_eq!(second.last, PushCounts { updated: 2, deleted: 1, ..PushCounts::default() });
    assert!(second.pushed_at > first.pushed_at);
}

#[tokio::test]
async fn nothing_is_pushed_to_a_target_that_has_everything() {
    let (world, _, repository, _) = pushed().await;
    let (before, targets) = (pushes(&world), only_target(&world, repository.id).await);
    world.clock.advance(LONG_ENOUGH);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!((pushes(&world), only_target(&world, repository.id).await), (before, targets));
}

#[tokio::test]
async fn an_empty_repository_empties_no_target_unless_that_is_accepted() {
    let world = World::new();
    let (own, _) = world.create("own", false).await;
    let url = target(&world, own.id, "a").await;
    let theirs = world.backend.commit(&[], "theirs");
    world.backend.set_ref(&url, "refs/heads/theirs", Some(theirs)).unwrap();
    world.work().await;
    assert!(is_done(&world.sync(own.id).await));
    assert_eq!((pushes(&world), only_target(&world, own.id).await.status()), (0, PushStatus::Waiting));
    // What once came from here goes, once it is believed that it is gone.
    let (world, _, repository, url) = pushed().await;
    for name in ["refs/heads/main", "refs/heads/gone"] {
        world.set(name, None);
    }
    let shrunk = world.sync(repository.id).await;
    assert_eq!(shrunk.error.unwrap().kind, ErrorKind::UpstreamShrank);
    assert_eq!(world.backend.upstream_refs(&url).len(), 2);
    world.gitsync.sync_accepting_shrink(repository.id).await.unwrap();
    world.work().await;
    assert_eq!(world.backend.upstream_refs(&url), []);

    // Files that are lost are made anew, with nothing in them: the target has the last copy.
    let (own, _) = world.create("own", false).await;
    let url = target(&world, own.id, "b").await;
    world.work().await;
    let own = world.repository(own.id).await;
    super::hooks::push(&world, &own, "refs/heads/main", None).await;
    assert!(is_done(&world.sync(own.id).await));
    assert_eq!(world.backend.upstream_refs(&url).len(), 1);
    std::fs::remove_dir_all(world.published(&own)).unwrap();
    assert!(is_done(&world.sync(own.id).await));
    assert_eq!(world.backend.upstream_refs(&url).len(), 1);
}

#[tokio::test]
async fn a_clone_is_pushed_and_so_is_what_was_pushed_locally() {
    let world = World::new();
    world.upstream(3);
    let (mirror, _) = world.create("mirror", true).await;
    let url = target(&world, mirror.id, "a").await;
    world.work().await;
    assert_eq!(world.backend.upstream_refs(&url), world.backend.upstream_refs(&world.source));

    let (own, _) = world.create("own", false).await;
    let url = target(&world, own.id, "b").await;
    world.work().await;
    let own = world.repository(own.id).await;
    super::hooks::push(&world, &own, "refs/heads/main", None).await;
    assert!(is_done(&world.sync(own.id).await));
    assert_eq!(world.backend.upstream_refs(&url).len(), 1);
}

#[tokio::test]
async fn a_target_that_fails_is_its_own_affair_and_is_tried_again() {
    let (world, line, repository, url) = pushed().await;
    let other = target(&world, repository.id, "b").await;
    let next = world.backend.commit(&[line[3]], "next");
    world.set("refs/heads/main", Some(next));
    world.backend.fail_next(Call::Push, Error::new(ErrorKind::Unauthenticated, "no entry"));
    let task = world.sync(repository.id).await;
    assert!(is_done(&task));
    assert_eq!(world.repository(repository.id).await.status, RepositoryStatus::Active);
    assert_eq!(world.backend.upstream_refs(&other), world.backend.upstream_refs(&world.source));
    let [failed, fine] = &world.gitsync.push_targets(repository.id).await.unwrap()[..] else { panic!("two targets") };
    assert_eq!((failed.status(), failed.failures, fine.status()), (PushStatus::Failed, 1, PushStatus::Pushed));
    assert_eq!(failed.error.as_ref().unwrap().kind, ErrorKind::Unauthenticated);

    // Not before its pause is over, also if there is news.
    let before = pushes(&world);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(pushes(&world), before);
    world.clock.advance(FIRST_PUSH_PAUSE);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(pushes(&world), before + 1);
    assert_eq!(world.backend.upstream_refs(&url), world.backend.upstream_refs(&world.source));
    assert!(world.gitsync.push_targets(repository.id).await.unwrap().iter().all(|target| target.error.is_none()));
}

#[tokio::test]
async fn a_repository_is_due_earlier_for_a_target_that_lacks_something() {
    let (world, _, repository, _) = pushed().await;
    // Upstream has not changed for long, so it is asked rarely.
    world.clock.advance(Duration::from_secs(30 * 24 * 3600));
    target(&world, repository.id, "b").await;
    world.backend.fail_next(Call::Push, Error::new(ErrorKind::SourceUnreachable, "away"));
    let done = world.sync(repository.id).await;
    let minimum = EngineOptions::default().sync_interval_min;
    let due = world.repository(repository.id).await.next_sync_at.unwrap();
    assert_eq!(due, done.completed_at.unwrap().after(minimum));
    world.clock.advance(minimum);
    world.gitsync.scheduler().scan().await.unwrap();
    world.work().await;
    assert!(world.gitsync.push_targets(repository.id).await.unwrap().iter().all(|target| target.error.is_none()));
    let due = world.repository(repository.id).await.next_sync_at.unwrap();
    assert!(due > done.completed_at.unwrap().after(minimum * 10), "as if nothing had been");
}

#[tokio::test]
async fn what_a_target_refuses_is_named_and_comes_later() {
    let (world, line, repository, url) = pushed().await;
    world.backend.protect(&url, "refs/heads/main", Some("protected branch")).unwrap();
    let next = world.backend.commit(&[line[3]], "next");
    world.set("refs/heads/main", Some(next));
    world.set("refs/heads/new", Some(next));
    assert!(is_done(&world.sync(repository.id).await));
    let failed = only_target(&world, repository.id).await;
    assert_eq!((failed.status(), failed.last.updated), (PushStatus::Failed, 1));
    let error = failed.error.unwrap();
    assert_eq!(error.kind, ErrorKind::PermissionDenied);
    assert!(error.message.contains("refs/heads/main (protected branch)"), "{}", error.message);
    world.backend.protect(&url, "refs/heads/main", None).unwrap();
    world.clock.advance(LONG_ENOUGH);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.backend.upstream_refs(&url), world.backend.upstream_refs(&world.source));
}

#[tokio::test]
async fn a_worker_that_dies_anywhere_leaves_a_target_to_the_next() {
    for step in 0.. {
        let (world, line, repository, url) = pushed().await;
        let other = world.backend.commit(&[line[0]], "other");
        world.set("refs/heads/main", Some(other));
        world.set("refs/heads/gone", None);
        world.gitsync.sync(repository.id).await.unwrap();
        let hook = DieAt::new(step);
        let worker = world.engine(Arc::clone(&hook) as _).worker();
        let died = tokio::select! {
            result = worker.run_until_idle() => result.is_err(),
            () = hook.died() => true,
        };
        world.clock.advance(LONG_ENOUGH);
        world.work().await;
        let expected = world.backend.upstream_refs(&world.source);
        assert_eq!(world.backend.upstream_refs(&url), expected, "died at step {step}");
        assert_eq!(only_target(&world, repository.id).await.status(), PushStatus::Pushed);
        world.check_books(repository.id).await;
        if !died {
            assert!(step > 7, "the steps are really there");
            return;
        }
    }
}

#[tokio::test]
async fn what_was_published_by_a_task_that_never_came_back_is_pushed_by_the_next_sync() {
    let (world, line, repository, url) = pushed().await;
    let next = world.backend.commit(&[line[3]], "next");
    world.set("refs/heads/main", Some(next));
    let task = world.gitsync.sync(repository.id).await.unwrap();
    die_at(&world, "references published").await;
    world.gitsync.cancel_task(task.id).await.unwrap();
    world.clock.advance(LONG_ENOUGH);
    world.work().await;
    assert_eq!(world.gitsync.task(task.id).await.unwrap().status, TaskStatus::Cancelled);
    assert_ne!(world.backend.upstream_refs(&url), world.backend.upstream_refs(&world.source));
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.backend.upstream_refs(&url), world.backend.upstream_refs(&world.source));
}

#[tokio::test]
async fn a_task_that_is_cancelled_while_it_pushes_leaves_the_other_targets() {
    let (world, line, repository, _) = pushed().await;
    let other = target(&world, repository.id, "b").await;
    let next = world.backend.commit(&[line[3]], "next");
    world.set("refs/heads/main", Some(next));
    let task = world.gitsync.sync(repository.id).await.unwrap();
    let hook = PauseAt::new("pushed");
    let worker = start(&world.engine(Arc::clone(&hook) as _));
    hook.reached.notified().await;
    world.gitsync.cancel_task(task.id).await.unwrap();
    // The worker asks once a second.
    while !worker.is_finished() {
        world.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
        hook.open.notify_one();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ended = world.gitsync.task(task.id).await.unwrap();
    assert!(ended.status.is_terminal());
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.backend.upstream_refs(&other), world.backend.upstream_refs(&world.source));
}

#[tokio::test]
async fn pushing_ends_by_its_own_time_and_goes_on_with_the_next_sync() {
    let (world, line, repository, url) = pushed().await;
    let next = world.backend.commit(&[line[3]], "next");
    world.set("refs/heads/main", Some(next));
    world.gitsync.sync(repository.id).await.unwrap();
    let options = EngineOptions { push_time_limit: Duration::from_nanos(1), ..EngineOptions::default() };
    let before = pushes(&world);
    world.engine_with(Arc::new(NoSteps), options).worker().run_until_idle().await.unwrap();
    assert_eq!(pushes(&world), before, "there was no time");
    let left = only_target(&world, repository.id).await;
    assert_eq!((left.status(), left.failures), (PushStatus::Pushed, 0), "no fault of the target");
    world.check_books(repository.id).await;
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.backend.upstream_refs(&url), world.backend.upstream_refs(&world.source));
}

#[tokio::test]
async fn targets_are_under_the_policy() {
    let world = World::new();
    let (repository, _) = world.create("a", false).await;
    for (url, kind) in [
        ("http://target.example/a", ErrorKind::SourceRefused),
        ("https://127.0.0.1/a", ErrorKind::SourceRefused),
        ("https://other.example/a", ErrorKind::SourceRefused),
        ("/tmp/a", ErrorKind::SourceRefused),
    ] {
        let refused = world.gitsync.add_push_target(repository.id, &url.parse().unwrap()).await;
        assert_eq!(refused.unwrap_err().kind(), kind, "{url}");
    }
    assert_eq!(world.gitsync.push_targets(repository.id).await.unwrap(), []);
}

#[tokio::test]
async fn a_redirect_of_a_target_is_checked_before_it_is_followed() {
    let (world, line, repository, url) = pushed().await;
    let next = world.backend.commit(&[line[3]], "next");
    world.set("refs/heads/main", Some(next));
    let redirect = |to: &str| Error::new(ErrorKind::SourceRedirected, "elsewhere").redirected_to(to);
    world.backend.fail_next(Call::Push, redirect("http://127.0.0.1/a"));
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(only_target(&world, repository.id).await.error.unwrap().kind, ErrorKind::SourceRefused);
    for elsewhere in ["https://moved.example/a", "http://target.example/a", "/tmp/a"] {
        world.backend.fail_next(Call::Push, redirect(elsewhere));
        world.clock.advance(LONG_ENOUGH);
        assert!(is_done(&world.sync(repository.id).await));
        let error = only_target(&world, repository.id).await.error.unwrap();
        assert_eq!(error.kind, ErrorKind::SourceRefused, "{elsewhere}");
    }
    let renamed: SourceUrl = format!("{url}-renamed").parse().unwrap();
    world.backend.set_ref(&renamed, "refs/heads/none", None).unwrap();
    world.backend.fail_next(Call::Push, redirect(&renamed.to_string()));
    world.clock.advance(LONG_ENOUGH);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.backend.upstream_refs(&renamed), world.backend.upstream_refs(&world.source));
    assert_eq!(only_target(&world, repository.id).await.url, url);
}
