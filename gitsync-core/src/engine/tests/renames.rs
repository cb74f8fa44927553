//! What becomes of a repository that its host calls by another name.

use super::hooks::die_at;
use super::world::{LONG_ENOUGH, World, is_done};
use crate::engine::disk::Manifest;
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::source::SourceUrl;

fn redirect_to(world: &World, target: &str) {
    world.backend.fail_next(Call::List, Error::new(ErrorKind::SourceRedirected, "moved").redirected_to(target));
}

fn moved_to(world: &World, target: &str) {
    world.backend.fail_next(Call::List, Error::new(ErrorKind::SourceRedirected, "moved").moved_to(target));
}

/// Makes an upstream that has what another has.
fn copy(world: &World, target: &str) -> SourceUrl {
    let there = SourceUrl::parse(target).unwrap().url;
    for (name, id) in world.backend.upstream_refs(&world.source) {
        world.backend.set_ref(&there, std::str::from_utf8(name.as_bytes()).unwrap(), Some(id)).unwrap();
    }
    there
}

#[tokio::test]
async fn a_new_name_at_the_same_host_is_kept() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let there = copy(&world, "https://example.com/renamed.git");
    for news in [false, true] {
        if news {
            let commit = world.backend.commit(&[repository.last_commit.unwrap()], "news");
            world.backend.set_ref(&there, "refs/heads/main", Some(commit)).unwrap();
        } else {
            moved_to(&world, "https://example.com/renamed.git");
        }
        let walks = world.backend.count(Call::Walk);
        assert!(is_done(&world.sync(repository.id).await));
        assert_eq!(world.repository(repository.id).await.source, Some(there.clone()));
        assert_eq!(world.backend.count(Call::Walk), walks + usize::from(news), "nothing is recorded anew");
    }
    let manifest = Manifest::read(&world.published(&repository)).unwrap().unwrap();
    assert_eq!((manifest.source, manifest.formerly), (Some(there), Some(world.source.clone())));
}

#[tokio::test]
async fn a_clone_is_known_by_the_name_it_was_led_to() {
    let world = World::new();
    world.upstream(2);
    let there = copy(&world, "https://example.com/renamed.git");
    moved_to(&world, "https://example.com/renamed.git");
    let repository = world.mirror().await;
    assert_eq!(world.repository(repository.id).await.source, Some(there));
    assert!(is_done(&world.sync(repository.id).await));
}

/// Only the server itself says how its repositories are called, and for good.
#[tokio::test]
async fn other_redirects_rename_nothing() {
    let chains: [&[(&str, bool)]; 5] = [
        &[("https://example.com/renamed.git", false)],
        &[("https://elsewhere.example.com/a.git", true)],
        &[("https://example.com:8443/a.git", true)],
        &[("https://example.com/between.git", false), ("https://example.com/renamed.git", true)],
        &[("https://elsewhere.example.com/a.git", true), ("https://example.com/renamed.git", true)],
    ];
    for chain in chains {
        let world = World::new();
        world.upstream(2);
        let repository = world.mirror().await;
        copy(&world, chain.last().unwrap().0);
        for (target, for_good) in chain {
            if *for_good { moved_to(&world, target) } else { redirect_to(&world, target) }
        }
        let task = world.sync(repository.id).await;
        assert!(is_done(&task), "{chain:?}");
        assert_eq!(world.repository(repository.id).await.source.as_ref(), Some(&world.source), "{chain:?}");
        // That it has gone to another server is told to whoever looks.
        let is_told = task.progress.phase.contains("has moved to");
        assert_eq!(is_told, chain.iter().all(|(_, for_good)| *for_good), "{chain:?}: {}", task.progress.phase);
    }
}

#[tokio::test]
async fn of_several_names_the_last_one_that_holds_for_good_is_kept() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let targets = ["b", "c", "d"].map(|name| format!("https://example.com/{name}.git"));
    copy(&world, &targets[2]);
    moved_to(&world, &targets[0]);
    moved_to(&world, &targets[1]);
    redirect_to(&world, &targets[2]);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.repository(repository.id).await.source.unwrap().to_string(), targets[1]);
}

/// The files may know the new name before the records do.
#[tokio::test]
async fn a_sync_that_dies_while_it_takes_a_new_name_is_repeated() {
    for step in ["listed", "fetched", "references published", "recorded"] {
        let world = World::new();
        let line = world.upstream(2);
        let repository = world.mirror().await;
        let news = world.backend.commit(&[line[1]], "news");
        world.set("refs/heads/main", Some(news));
        let there = copy(&world, "https://example.com/renamed.git");
        moved_to(&world, "https://example.com/renamed.git");
        let task = world.gitsync.sync(repository.id).await.unwrap();
        die_at(&world, step).await;
        // Not even the old name leads anywhere else now.
        world.clock.advance(LONG_ENOUGH);
        world.work().await;
        let ended = world.gitsync.task(task.id).await.unwrap();
        assert!(is_done(&ended), "{step}: {:?}", ended.error);
        moved_to(&world, "https://example.com/renamed.git");
        assert!(is_done(&world.sync(repository.id).await), "{step}");
        assert_eq!(world.repository(repository.id).await.source, Some(there), "{step}");
        world.check_books(repository.id).await;
    }
}
