//! A history of a limited depth: it stays limited, and it changes with the depth and with the source.

use gitsync_core::ErrorKind;
use gitsync_core::engine::CreateRepository;
use gitsync_core::model::{Depth, Repository};
use gitsync_core::state::TaskStatus;
use gitsync_core::store::RepositoryPatch;
use gitsync_core::testing::{Upstream, check_depth, check_mirror};

use crate::world::{Engine, World};

fn depth(generations: i64) -> Option<Depth> {
    Some(Depth::new(generations).unwrap())
}

/// Clones with a depth.
async fn clone(world: &World, depth: Option<Depth>) -> Repository {
    let (repository, task) = world.create(CreateRepository { depth, ..CreateRepository::default() }).await;
    assert_eq!((task.status, task.error), (TaskStatus::Completed, None));
    compare(world, &repository, &world.upstream).await;
    repository
}

/// Changes the depth from now on, and syncs.
async fn deepen(world: &World, repository: &Repository, depth: Option<Depth>) -> Repository {
    let patch = RepositoryPatch { depth: Some(depth), ..RepositoryPatch::default() };
    world.gitsync.update_repository(repository.id, repository.version, &patch).await.unwrap();
    let repository = world.sync(repository.id).await;
    compare(world, &repository, &world.upstream).await;
    repository
}

/// Syncs and compares, and returns how many commits were new.
async fn sync(world: &World, repository: &Repository) -> u64 {
    let task = world.gitsync.sync(repository.id).await.unwrap();
    let (repository, task) = world.work(task.id, repository.id).await;
    assert_eq!((task.status, task.error), (TaskStatus::Completed, None));
    compare(world, &repository, &world.upstream).await;
    task.commits_synced
}

async fn compare(world: &World, repository: &Repository, upstream: &Upstream) {
    check_mirror(&world.gitsync, repository.id, &world.dir(), upstream.dir()).await;
    check_depth(&world.dir(), upstream.dir(), repository.depth);
}

#[tokio::test]
async fn a_shallow_mirror_stays_shallow() {
    for engine in Engine::ALL {
        let world = World::new(engine);
        let upstream = &world.upstream;
        upstream.history("main", 20);
        upstream.tag("old", upstream.git().id("main~15"));
        let repository = clone(&world, depth(3)).await;
        assert_eq!(repository.total_commits, 6, "{engine:?}: three of each");
        assert_eq!(sync(&world, &repository).await, 0);

        upstream.commit("main");
        assert_eq!(sync(&world, &repository).await, 1, "{engine:?}");
        upstream.history("main", 10);
        assert_eq!(sync(&world, &repository).await, 3, "{engine:?}: the others never came");
        upstream.branch("main", upstream.git().id("main~5"));
        upstream.branch("topic", upstream.git().id("old"));
        upstream.delete("refs/tags/old");
        sync(&world, &repository).await;
        upstream.merge("main", "topic");
        sync(&world, &repository).await;
    }
}

/// A branch goes where another one already ends: the boundary stays, and what it left is out of reach.
#[tokio::test]
async fn a_branch_that_moves_past_the_boundary_leaves_its_commits() {
    for engine in Engine::ALL {
        let world = World::new(engine);
        let tip = world.upstream.history("main", 20);
        world.upstream.branch("old", world.upstream.git().id("main~10"));
        let repository = clone(&world, depth(2)).await;
        assert_eq!(repository.total_commits, 4, "{engine:?}");
        world.upstream.branch("old", tip);
        assert_eq!(sync(&world, &repository).await, 0, "{engine:?}");
        assert_eq!(world.gitsync.repository(repository.id).await.unwrap().total_commits, 2, "{engine:?}");
    }
}

#[tokio::test]
async fn a_depth_that_grows_brings_what_is_missing() {
    for engine in Engine::ALL {
        let world = World::new(engine);
        world.upstream.history("main", 30);
        world.upstream.branch("topic", world.upstream.git().id("main~10"));
        world.upstream.history("topic", 5);
        let mut repository = clone(&world, depth(2)).await;
        for (generations, commits) in [(4, 8), (12, 22), (3, 6)] {
            repository = deepen(&world, &repository, depth(generations)).await;
            assert_eq!(repository.total_commits, commits, "{engine:?}: {generations}");
        }
        repository = deepen(&world, &repository, None).await;
        assert_eq!(repository.total_commits, 35, "{engine:?}");
        assert!(!world.dir().join("shallow").exists());
        world.upstream.commit("topic");
        assert_eq!(sync(&world, &repository).await, 1);

        // What is whole stays so.
        let patch = RepositoryPatch { depth: Some(depth(3)), ..RepositoryPatch::default() };
        let repository = world.gitsync.repository(repository.id).await.unwrap();
        let refused = world.gitsync.update_repository(repository.id, repository.version, &patch).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    }
}

#[tokio::test]
async fn another_source_is_taken_by_force_and_what_was_there_is_kept() {
    for engine in Engine::ALL {
        for generations in [depth(3), None] {
            let world = World::new(engine);
            let old = world.upstream.history("main", 20);
            world.other.history("main", 10);
            world.other.branch("topic", world.other.git().id("main~2"));
            world.other.history("topic", 7);
            let repository = clone(&world, generations).await;
            let refs = world.git().refs();

            let source = Some(world.other.file_source());
            let refused = world.gitsync.migrate(repository.id, source.clone(), false).await;
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
            assert_eq!(world.git().refs(), refs);

            let task = world.gitsync.migrate(repository.id, source.clone(), true).await.unwrap();
            let (repository, task) = world.work(task.id, repository.id).await;
            assert_eq!((task.status, task.error), (TaskStatus::Completed, None), "{engine:?}");
            assert_eq!(repository.source, source);
            compare(&world, &repository, &world.other).await;
            let expected = generations.map_or(20, |depth| i64::from(depth.get().get()));
            let counted = world.git().run(&["rev-list", "--count", &old.to_string()]);
            assert_eq!(counted, expected.to_string(), "{engine:?}: what was there is kept as it was");

            world.other.commit("main");
            let repository = world.sync(repository.id).await;
            compare(&world, &repository, &world.other).await;
        }
    }
}

/// The new clone has what was the boundary of the old one, or has it not; old tips are kept either way.
#[tokio::test]
async fn a_shallow_mirror_is_cloned_anew_as_a_whole() {
    for engine in Engine::ALL {
        for old_is_gone in [false, true] {
            let world = World::new(engine);
            let upstream = &world.upstream;
            let old = upstream.history("main", 20);
            let repository = clone(&world, depth(3)).await;
            let base = upstream.git().id("main~1");
            upstream.branch("main", upstream.commit_on(if old_is_gone { &[] } else { std::slice::from_ref(&base) }));
            upstream.git().run(&["gc", "--quiet", "--prune=now"]);

            let patch = RepositoryPatch { depth: Some(None), ..RepositoryPatch::default() };
            world.gitsync.update_repository(repository.id, repository.version, &patch).await.unwrap();
            let task = world.gitsync.migrate(repository.id, None, true).await.unwrap();
            let (repository, task) = world.work(task.id, repository.id).await;
            assert_eq!((task.status, task.error), (TaskStatus::Completed, None), "{engine:?}");
            compare(&world, &repository, upstream).await;
            let expected = if old_is_gone { "3" } else { "20" };
            assert_eq!(world.git().run(&["rev-list", "--count", &old.to_string()]), expected, "{engine:?}");

            upstream.history("main", 3);
            assert_eq!(sync(&world, &repository).await, 3, "{engine:?}");
        }
    }
}
