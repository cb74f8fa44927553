//! References that are left out: from the beginning, from some day on, and no more.

use gitsync_core::engine::CreateRepository;
use gitsync_core::model::{Page, PageRequest, RefChange, Repository};
use gitsync_core::plan::{MovementKind, RefPattern};
use gitsync_core::state::TaskStatus;
use gitsync_core::store::RepositoryPatch;
use gitsync_core::testing::{Git, check_mirror};

use crate::world::{Engine, World};

/// Leaves out other references from now on, and syncs.
async fn exclude(world: &World, repository: &Repository, patterns: &[&str]) -> Repository {
    let patch = RepositoryPatch { exclude_refs: Some(all(patterns)), ..RepositoryPatch::default() };
    world.gitsync.update_repository(repository.id, repository.version, &patch).await.unwrap();
    world.sync(repository.id).await
}

fn all(patterns: &[&str]) -> Vec<RefPattern> {
    patterns.iter().map(|pattern| RefPattern::new(*pattern).unwrap()).collect()
}

/// Compares the mirror and its records with what git fetches without these references.
async fn compare(world: &World, repository: &Repository, patterns: &[&str]) {
    let reference = tempfile::tempdir().unwrap();
    let git = Git::at(reference.path());
    git.run(&["init", "--quiet", "--bare", "--initial-branch=main", "."]);
    let negative: Vec<_> = patterns.iter().map(|pattern| format!("^{pattern}")).collect();
    let url = world.upstream.dir().display().to_string();
    let fetch = ["fetch", "--quiet", "--no-tags", &url, "+refs/*:refs/*"];
    git.run(&fetch.into_iter().chain(negative.iter().map(String::as_str)).collect::<Vec<_>>());
    check_mirror(&world.gitsync, repository.id, &world.dir(), reference.path()).await;

    // What is configured on disk is the same: a fetch by hand finds nothing to do.
    let ours = world.git();
    let configured = ours.run(&["config", "--get-all", "remote.origin.fetch"]);
    let configured: Vec<_> = configured.lines().filter(|refspec| refspec.starts_with('^')).collect();
    assert_eq!(configured[1..], negative);
    let before = ours.refs();
    ours.run(&["fetch", "--quiet", "--prune"]);
    assert_eq!(ours.refs(), before);
    ours.assert_sound();
}

async fn deleted(world: &World, repository: &Repository) -> Vec<String> {
    let page = PageRequest::new(1000, None).unwrap();
    let Page { items, .. } = world.gitsync.list_ref_updates(repository.id, &page).await.unwrap();
    let name = |change| match change {
        RefChange::Moved(movement) if movement.kind == MovementKind::Deleted => Some(movement.name.to_string()),
        _ => None,
    };
    items.into_iter().filter_map(|update| name(update.change)).collect()
}

#[tokio::test]
async fn what_is_left_out_changes_with_the_next_sync() {
    for engine in Engine::ALL {
        let world = World::new(engine);
        let upstream = &world.upstream;
        let base = upstream.history("main", 5);
        for (name, parent) in [("refs/pull/1/head", base), ("refs/merge-requests/7/head", base)] {
            upstream.reference(name, upstream.commit_on(&[parent]));
        }
        let wip = upstream.commit("wip/a");
        upstream.tag("v1", upstream.commit_on(&[base]));

        let patterns = ["refs/pull/*", "refs/merge-requests/*"];
        let wish = CreateRepository { exclude_refs: all(&patterns), ..CreateRepository::default() };
        let (repository, task) = world.create(wish).await;
        assert_eq!((task.status, &task.error), (TaskStatus::Completed, &None), "{engine:?}");
        compare(&world, &repository, &patterns).await;

        let patterns = ["refs/pull/*", "refs/merge-requests/*/head", "refs/heads/wip/*"];
        let repository = exclude(&world, &repository, &patterns).await;
        compare(&world, &repository, &patterns).await;
        let kept = world.git().refs().into_iter().filter(|(name, _)| name.starts_with(b"refs/gitsync/kept/"));
        assert_eq!(kept.map(|(_, id)| id).collect::<Vec<_>>(), [wip], "{engine:?}: its tip is kept");
        assert_eq!(deleted(&world, &repository).await, ["refs/heads/wip/a"]);

        upstream.commit("wip/a");
        let repository = exclude(&world, &repository, &[]).await;
        compare(&world, &repository, &[]).await;
    }
}

#[tokio::test]
async fn what_is_left_out_from_now_on_does_not_count_as_lost() {
    let world = World::new(Engine::Gix);
    let tip = world.upstream.history("main", 3);
    let tags: Vec<_> = (0..150).map(|number| format!("refs/tags/nightly-{number}")).collect();
    world.upstream.references(tags.iter().map(|tag| (tag.as_bytes(), tip)));
    let (repository, _) = world.create(CreateRepository::default()).await;
    assert_eq!(repository.recorded_refs, 151);
    let repository = exclude(&world, &repository, &["refs/tags/nightly-*"]).await;
    assert_eq!((repository.recorded_refs, repository.shrank_at), (1, None));
    compare(&world, &repository, &["refs/tags/nightly-*"]).await;
}

#[tokio::test]
async fn a_default_branch_that_is_left_out_is_unborn() {
    for engine in Engine::ALL {
        let world = World::new(engine);
        world.upstream.history("main", 3);
        world.upstream.commit("other");
        let wish = CreateRepository { exclude_refs: all(&["refs/heads/main"]), ..CreateRepository::default() };
        let (repository, task) = world.create(wish).await;
        assert_eq!((task.status, &task.error), (TaskStatus::Completed, &None), "{engine:?}");
        assert_eq!((repository.total_commits, repository.last_commit), (1, None));
        compare(&world, &repository, &["refs/heads/main"]).await;
        let repository = exclude(&world, &repository, &["refs/heads/other"]).await;
        assert_eq!((repository.total_commits, repository.last_commit), (3, world.upstream.tip("main")));
        compare(&world, &repository, &["refs/heads/other"]).await;
    }
}
