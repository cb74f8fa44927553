//! Few packs, and nothing lost.

use std::fs;
use std::time::{Duration, Instant};

use gitsync_core::engine::EngineOptions;
use gitsync_core::model::{RepositoryId, TaskKind};
use gitsync_core::testing::{Git, check_mirror};
use gitsync_core::{ErrorKind, state::TaskStatus};

use crate::world::World;

/// How many packs there may be after any sync, whatever its repository has been through.
const FEW: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_synced_often_by_gix_has_few_packs_and_all_objects() {
    synced_often(World::on_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_is_synced_often_by_libgit2_has_few_packs_and_all_objects() {
    synced_often(World::on_git2()).await;
}

async fn synced_often(world: World) {
    let syncs = std::env::var("GITSYNC_SYNCS").map_or(50, |text| text.parse().expect("a number"));
    world.upstream.history("main", 20);
    let id = world.create(true).await;
    let mut lost = Vec::new();
    let mut took = Vec::new();
    for number in 0..syncs {
        if number % 10 == 5 {
            // What is overwritten is kept.
            lost.push(world.upstream.tip("main").unwrap());
            world.upstream.branch("main", world.upstream.git().id("main~1"));
        }
        world.upstream.commit("main");
        if number % 50 == 49 {
            // Upstream looks after itself, too, or it would be what gets slower.
            world.upstream.git().run(&["repack", "-a", "-d", "-q"]);
        }
        took.push(time_to_sync(&world, id).await);
        assert!(world.packs().len() < FEW, "after {number} syncs");
    }
    let upkeep = world.tasks(TaskKind::Maintain).await;
    assert!(!upkeep.is_empty() && upkeep.iter().all(|task| task.status == TaskStatus::Completed), "{upkeep:?}");
    tell(&took, upkeep.len());

    world.git().assert_sound();
    lost.sort();
    assert_eq!(world.kept(), lost);
    assert_eq!(world.verify(id).await.error, None);
    check_mirror(&world.gitsync(), id, &world.published(), world.upstream.dir()).await;
    check_clone(&world);
}

/// Compares the mirror with one that git makes.
fn check_clone(world: &World) {
    let dir = tempfile::tempdir().unwrap();
    let clone = dir.path().join("clone.git");
    let paths = [world.upstream.dir(), &clone].map(|path| path.to_str().unwrap());
    Git::at(dir.path()).run(&["clone", "--quiet", "--mirror", paths[0], paths[1]]);
    let listed = |git: Git| {
        let names = ["--branches", "--tags"];
        (
            git.run(&["for-each-ref", "refs/heads", "refs/tags"]),
            git.run(&[&["rev-list", "--objects"][..], &names].concat()),
        )
    };
    assert_eq!(listed(world.git()), listed(Git::at(clone)));
}

/// Syncs something that is new, and then does the upkeep if it is due.
async fn time_to_sync(world: &World, id: RepositoryId) -> Duration {
    let begun = Instant::now();
    let task = world.sync(id).await;
    assert_eq!((task.status, task.commits_synced), (TaskStatus::Completed, 1), "{task:?}");
    begun.elapsed()
}

fn tell(took: &[Duration], upkeep: usize) {
    let some = (took.len() / 10).max(1);
    let median = |of: &[Duration]| {
        let mut sorted = of.to_vec();
        sorted.sort();
        sorted[sorted.len() / 2]
    };
    let (first, last) = (median(&took[..some]), median(&took[took.len() - some..]));
    let ratio = last.as_secs_f64() / first.as_secs_f64();
    println!(
        "{} syncs, {upkeep} times upkeep; a sync took {first:?} at first and {last:?} at last: {ratio:.2}",
        took.len()
    );
}

/// Pushed objects are loose ones. Some are not in use yet, as those of a push or a fetch under way.
#[tokio::test(flavor = "multi_thread")]
async fn upkeep_by_hand_packs_what_was_pushed_and_removes_nothing() {
    let world = World::on_git2();
    let id = world.create(false).await;
    world.upstream.history("main", 5);
    let published = world.published();
    world.upstream.git().run(&["push", "--quiet", published.to_str().unwrap(), "main"]);
    world.sync(id).await;
    let unused = world.git().feed(&["hash-object", "-w", "--stdin"], b"not in use yet");
    let unused = String::from_utf8(unused).unwrap();
    let underway = published.join("objects/tmp_objdir-gitsync-1/pack/pack-1.pack");
    fs::create_dir_all(underway.parent().unwrap()).unwrap();
    fs::write(&underway, "half of it").unwrap();

    let task = world.done(world.gitsync().maintain_repository(id).await).await;
    assert_eq!((task.status, task.error), (TaskStatus::Completed, None));
    assert_eq!(world.packs().len(), 1);
    assert!(world.git().run(&["count-objects"]).starts_with("0 objects"), "nothing is loose");
    for file in ["pack/multi-pack-index", "info/commit-graphs/commit-graph-chain"] {
        assert!(published.join("objects").join(file).exists(), "{file}");
    }
    assert_eq!(world.git().run(&["cat-file", "-p", unused.trim()]), "not in use yet");
    assert!(underway.exists());
    world.git().assert_sound();
    let repository = world.repository(id).await;
    assert_eq!(repository.total_commits, 5, "the books are left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_git_program_there_is_no_upkeep_and_syncs_go_on() {
    let mut world = World::on_gix();
    world.upstream.history("main", 3);
    world.options = EngineOptions { git_program: "/nonexistent/git".into(), max_packs: 1, ..world.options };
    let id = world.create(true).await;
    for _ in 0..3 {
        world.upstream.commit("main");
        assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
    }
    assert_eq!((world.packs().len(), world.tasks(TaskKind::Maintain).await.len()), (4, 0));
    let task = world.done(world.gitsync().maintain_repository(id).await).await;
    let error = task.error.unwrap();
    assert_eq!((task.status, error.kind), (TaskStatus::Failed, ErrorKind::Unsupported));
    assert!(error.message.contains("install git"), "{}", error.message);
    assert_eq!(world.repository(id).await.error, None);
    assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn upkeep_is_asked_for_where_something_moved_and_waits_its_turn() {
    let mut world = World::on_gix();
    world.upstream.history("main", 3);
    world.options.max_packs = usize::MAX;
    let id = world.create(true).await;
    for _ in 0..3 {
        world.upstream.commit("main");
        world.sync(id).await;
    }
    world.options.max_packs = 2;
    world.sync(id).await;
    assert_eq!((world.packs().len(), world.tasks(TaskKind::Maintain).await.len()), (4, 0), "nothing moved");
    world.upstream.commit("main");
    world.sync(id).await;
    let upkeep = world.tasks(TaskKind::Maintain).await;
    assert_eq!(upkeep.len(), 1);
    assert_eq!((upkeep[0].status, upkeep[0].parameters.verify), (TaskStatus::Completed, false));
    assert!(world.packs().len() <= 2, "{:?}", world.packs());
}
