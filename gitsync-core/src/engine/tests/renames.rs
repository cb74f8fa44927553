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
        let told = chain.iter().all(|(_, for_good)| *for_good).then(|| chain.last().unwrap().0);
        let phase = &task.progress.phase;
        assert_eq!(
            phase.split_once("has moved to ").map(|(_, rest)| rest),
            told.map(|to| format!("{to} for good")).as_deref()
        );
    }
}

/// A clone in place of files that cannot be carried over has more to say than that.
#[tokio::test]
async fn a_task_shows_all_that_is_remarked() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    std::fs::remove_file(world.published(&repository).join("gitsync.json")).unwrap();
    copy(&world, "https://elsewhere.example.com/a.git");
    moved_to(&world, "https://elsewhere.example.com/a.git");
    let task = world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    let phase = world.gitsync.task(task.id).await.unwrap().progress.phase;
    assert!(phase.contains("has moved to") && phase.contains("set aside"), "{phase}");
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

/// What failed has named it, and the records have not heard of that.
#[tokio::test]
async fn a_second_name_before_the_first_was_recorded_leads_to_the_same_repository() {
    let world = World::new();
    let line = world.upstream(2);
    let repository = world.mirror().await;
    world.set("refs/heads/main", Some(world.backend.commit(&[line[1]], "news")));
    let [first, second] = ["b", "c"].map(|name| copy(&world, &format!("https://example.com/{name}.git")));
    moved_to(&world, &first.to_string());
    world.backend.fail_next(Call::Fetch, Error::new(ErrorKind::LimitExceeded, "too much"));
    let failed = world.sync(repository.id).await;
    assert_eq!(failed.error.unwrap().kind, ErrorKind::LimitExceeded);
    assert_eq!(world.repository(repository.id).await.source.as_ref(), Some(&world.source));
    moved_to(&world, &second.to_string());
    world.backend.fail_next(Call::Fetch, Error::new(ErrorKind::LimitExceeded, "too much"));
    world.sync(repository.id).await;
    moved_to(&world, &second.to_string());
    let task = world.sync(repository.id).await;
    assert!(is_done(&task), "{:?}", task.error);
    assert_eq!(world.repository(repository.id).await.source, Some(second));
}

#[tokio::test]
async fn a_clone_by_the_old_name_is_looked_at_as_one_of_the_same_source() {
    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let there = copy(&world, "https://example.com/renamed.git");
    moved_to(&world, &there.to_string());
    assert!(is_done(&world.sync(repository.id).await));
    world.backend.set_ref(&there, "refs/heads/main", None).unwrap();
    moved_to(&world, &there.to_string());
    let task = world.gitsync.migrate(repository.id, Some(world.source.clone()), true).await.unwrap();
    world.work().await;
    let ended = world.gitsync.task(task.id).await.unwrap();
    assert_eq!(ended.error.map(|error| error.kind), Some(ErrorKind::UpstreamShrank));
}

#[tokio::test]
async fn a_push_target_that_becomes_the_source_is_not_pushed_to_in_the_same_sync() {
    let world = World::new();
    let line = world.upstream(2);
    let repository = world.mirror().await;
    let target = SourceUrl::parse("https://target.example/b.git").unwrap().url;
    world.backend.set_ref(&target, "refs/heads/main", Some(line[0])).unwrap();
    world.gitsync.add_push_target(repository.id, &target).await.unwrap();
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.backend.count(Call::Push), 1);
    let elsewhere = SourceUrl::parse("https://target.example/a.git").unwrap().url;
    world.backend.set_ref(&elsewhere, "refs/heads/main", Some(line[1])).unwrap();
    world.gitsync.migrate(repository.id, Some(elsewhere), true).await.unwrap();
    world.work().await;
    let before = world.backend.count(Call::Push);
    let news = world.backend.commit(&[line[1]], "news");
    world.backend.set_ref(&target, "refs/heads/main", Some(news)).unwrap();
    moved_to(&world, &target.to_string());
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.repository(repository.id).await.source.as_ref(), Some(&target));
    assert_eq!(world.backend.count(Call::Push), before);
    let targets = world.gitsync.push_targets(repository.id).await.unwrap();
    assert_eq!(targets[0].error.as_ref().map(|error| error.kind), Some(ErrorKind::SourceRefused));
}
