//! What syncs do to disk and records.

use std::fs;

use super::hooks::push;
use super::world::{LONG_ENOUGH, World, is_done};
use crate::backend::Head;
use crate::engine::CreateRepository;
use crate::engine::task::ORPHAN_CHUNK;
use crate::error::{Error, ErrorKind};
use crate::memory::Call;
use crate::model::RefChange;
use crate::plan::MovementKind;
use crate::source::SourceUrl;
use crate::state::{RepositoryStatus, TaskStatus};

#[tokio::test]
async fn a_mirror_is_cloned_recorded_and_active() {
    let world = World::new();
    let line = world.upstream(7);
    world.set("refs/tags/v1", Some(line[2]));
    let repository = world.mirror().await;
    assert_eq!((repository.status, repository.total_commits), (RepositoryStatus::Active, 7));
    assert_eq!(repository.last_commit, line.last().copied());
    assert!(repository.next_sync_at.is_some());
    assert_eq!(world.remains("tmp"), 0);
    let log = world.updates(repository.id).await;
    assert_eq!(log.len(), 1, "a first clone is one entry");
    assert_eq!(log[0].change, RefChange::Cloned { refs: 2 });
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_sync_without_news_asks_once_and_touches_nothing() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    let before = [Call::List, Call::Fetch, Call::UpdateRefs, Call::Walk].map(|call| world.backend.count(call));
    let task = world.sync(repository.id).await;
    let after = [Call::List, Call::Fetch, Call::UpdateRefs, Call::Walk].map(|call| world.backend.count(call));
    assert!(is_done(&task));
    assert_eq!(after, [before[0] + 1, before[1], before[2], before[3]]);
    let synced = world.repository(repository.id).await;
    assert_eq!(synced.last_synced_at, task.completed_at);
    assert_eq!(synced.last_changed_at, repository.last_changed_at);
}

#[tokio::test]
async fn a_fast_forward_counts_what_is_new_and_keeps_nothing() {
    let world = World::new();
    let line = world.upstream(3);
    let repository = world.mirror().await;
    let next = world.backend.commit(&[line[2]], "next");
    world.set("refs/heads/main", Some(next));
    let task = world.sync(repository.id).await;
    assert_eq!((task.status, task.commits_synced), (TaskStatus::Completed, 1));
    assert!(world.kept_on_disk(&repository).await.is_empty());
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_clone_in_place_of_another_orphans_more_commits_than_one_call_does() {
    let world = World::new();
    world.upstream(2 * ORPHAN_CHUNK + 5);
    let repository = world.mirror().await;
    let other = world.backend.commit(&[], "other history");
    world.set("refs/heads/main", Some(other));
    world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_force_push_loses_nothing() {
    let world = World::new();
    let line = world.upstream(4);
    world.set("refs/heads/gone", Some(line[1]));
    let repository = world.mirror().await;
    let other = world.backend.commit(&[line[1]], "other history");
    world.set("refs/heads/main", Some(other));
    world.set("refs/heads/gone", None);
    assert!(is_done(&world.sync(repository.id).await));

    let mut expected = vec![line[1], line[3]];
    expected.sort();
    assert_eq!(world.kept_on_disk(&repository).await, expected);
    assert_eq!(world.commits(repository.id, false).await.len(), 3);
    assert_eq!(world.commits(repository.id, true).await.len(), 5, "orphaned commits stay on record");
    let kinds: Vec<_> = world
        .updates(repository.id)
        .await
        .into_iter()
        .filter_map(|update| match update.change {
            RefChange::Moved(movement) => Some((movement.name.to_string(), movement.kind)),
            RefChange::Cloned { .. } => None,
        })
        .collect();
    assert_eq!(
        kinds,
        [("refs/heads/gone".into(), MovementKind::Deleted), ("refs/heads/main".into(), MovementKind::Forced)]
    );
    world.check_books(repository.id).await;

    world.set("refs/heads/main", line.last().copied());
    assert!(is_done(&world.sync(repository.id).await), "back again: orphans are recorded anew");
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn head_follows_a_renamed_default_branch() {
    let world = World::new();
    let line = world.upstream(2);
    let repository = world.mirror().await;
    world.set("refs/heads/trunk", line.last().copied());
    world.set("refs/heads/main", None);
    world.backend.set_head(&world.source, Head::Branch("refs/heads/trunk".into_name())).unwrap();
    assert!(is_done(&world.sync(repository.id).await));
    let synced = world.repository(repository.id).await;
    assert_eq!(synced.default_branch.map(|name| name.to_string()).as_deref(), Some("refs/heads/trunk"));
    assert!(world.branches(repository.id).await.iter().all(|branch| branch.is_default));
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn an_empty_upstream_is_mirrored_and_may_fill_up() {
    let world = World::new();
    world.set("refs/heads/main", None);
    let repository = world.mirror().await;
    assert_eq!((repository.status, repository.total_commits), (RepositoryStatus::Active, 0));
    world.upstream(2);
    assert!(is_done(&world.sync(repository.id).await));
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn an_upstream_that_collapses_is_looked_at_twice() {
    let world = World::new();
    let line = world.upstream(2);
    let repository = world.mirror().await;
    world.set("refs/heads/main", None);
    let task = world.sync(repository.id).await;
    assert_eq!(task.error.unwrap().kind, ErrorKind::UpstreamShrank);
    let suspicious = world.repository(repository.id).await;
    assert_eq!((suspicious.status, suspicious.total_commits), (RepositoryStatus::Active, 2));
    assert!(suspicious.shrank_at.is_some());

    world.clock.set(suspicious.next_sync_at.unwrap());
    assert_eq!(world.gitsync.scheduler().scan().await.unwrap(), 1);
    world.work().await;
    assert_eq!(world.repository(repository.id).await.total_commits, 0, "after an hour it is believed");
    assert_eq!(world.kept_on_disk(&repository).await, [line[1]], "and still nothing is lost");
    world.check_books(repository.id).await;
}

/// Whether somebody wants it cloned anew or its files are gone; only who names another source wants what that has.
#[tokio::test]
async fn an_upstream_that_collapses_is_not_cloned_in_place_of_what_it_was() {
    for files_are_lost in [false, true] {
        let world = World::new();
        let line = world.upstream(2);
        let repository = world.mirror().await;
        let before = world.refs_on_disk(&repository).await;
        let again = async || {
            let task = match files_are_lost {
                false => world.gitsync.migrate(repository.id, None, true).await.unwrap(),
                true => world.gitsync.sync(repository.id).await.unwrap(),
            };
            world.work().await;
            world.gitsync.task(task.id).await.unwrap()
        };
        if files_are_lost {
            fs::remove_dir_all(world.published(&repository)).unwrap();
        }
        world.set("refs/heads/main", None);
        assert_eq!(again().await.error.unwrap().kind, ErrorKind::UpstreamShrank);
        let suspicious = world.repository(repository.id).await;
        assert_eq!((suspicious.status, suspicious.total_commits), (RepositoryStatus::Active, 2));
        assert_eq!((world.remains("tmp"), world.published(&repository).exists()), (0, !files_are_lost));
        if !files_are_lost {
            assert_eq!(world.refs_on_disk(&repository).await, before);
        }

        world.clock.set(suspicious.next_sync_at.unwrap());
        assert!(is_done(&again().await), "after an hour it is believed");
        assert_eq!(world.kept_on_disk(&repository).await.contains(&line[1]), !files_are_lost);
        world.check_books(repository.id).await;
    }

    let world = World::new();
    world.upstream(2);
    let repository = world.mirror().await;
    let other: SourceUrl = "https://example.com/other.git".parse().unwrap();
    world.backend.set_ref(&other, "refs/heads/main", None).unwrap();
    let task = world.gitsync.migrate(repository.id, Some(other), true).await.unwrap();
    world.work().await;
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
}

#[tokio::test]
async fn accepting_a_shrink_prunes_at_once_and_a_recovery_clears_it() {
    let world = World::new();
    let line = world.upstream(2);
    let repository = world.mirror().await;
    world.set("refs/heads/main", None);
    world.sync(repository.id).await;
    world.set("refs/heads/main", line.last().copied());
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.repository(repository.id).await.shrank_at, None);

    world.set("refs/heads/main", None);
    let task = world.gitsync.sync_accepting_shrink(repository.id).await.unwrap();
    world.work().await;
    assert!(is_done(&world.gitsync.task(task.id).await.unwrap()));
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_failed_reclone_changes_nothing_and_a_successful_one_forgets_nothing() {
    let world = World::new();
    let line = world.upstream(3);
    let repository = world.mirror().await;
    let before = world.refs_on_disk(&repository).await;
    let fresh = world.backend.commit(&[], "another history");
    world.set("refs/heads/main", Some(fresh));

    world.backend.fail_next(Call::Fetch, Error::new(ErrorKind::Corrupt, "the pack is broken"));
    world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    assert_eq!(world.repository(repository.id).await.status, RepositoryStatus::Failed);
    assert_eq!(world.refs_on_disk(&repository).await, before);
    assert_eq!(world.remains("tmp"), 0);

    world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    assert_eq!(world.kept_on_disk(&repository).await, [line[2]]);
    assert_eq!(world.remains("trash"), 0);
    world.check_books(repository.id).await;
}

/// References that cannot be read for a moment are not references that are not there.
#[tokio::test]
async fn a_reclone_does_not_go_on_without_the_old_references_for_a_passing_error() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    let other = world.backend.commit(&[], "other");
    world.set("refs/heads/main", Some(other));
    world.sync(repository.id).await;
    let kept = world.kept_on_disk(&repository).await;
    assert_eq!(kept.len(), 1);
    let refs = world.published(&repository).join("scripted.json");
    let aside = world.published(&repository).join("aside");
    fs::rename(&refs, &aside).unwrap();
    fs::create_dir(&refs).unwrap();
    world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    assert!(aside.exists(), "it was replaced");
    fs::remove_dir(&refs).unwrap();
    fs::rename(&aside, &refs).unwrap();
    assert_eq!(world.kept_on_disk(&repository).await, kept);
    world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    assert_eq!(world.kept_on_disk(&repository).await, kept, "a clone carries over what was kept before");
    assert_eq!(world.remains("aside"), 0);
    world.check_books(repository.id).await;
}

/// A bare repository follows branches and tags; all else is its users'.
#[tokio::test]
async fn a_reclone_leaves_references_alone_that_upstream_does_not_decide_about() {
    let world = World::new();
    world.upstream(3);
    let organisation = world.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap().id;
    let wish = CreateRepository {
        name: "bare".into(),
        source: Some(world.source.clone()),
        is_mirror: Some(false),
        ..CreateRepository::default()
    };
    let (repository, _) = world.gitsync.create_repository(organisation, wish).await.unwrap();
    world.work().await;
    let notes = push(&world, &repository, "refs/notes/commits", None).await;
    let mine = push(&world, &repository, "refs/heads/mine", None).await;
    world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    let there = world.refs_on_disk(&repository).await;
    assert!(there.contains(&("refs/notes/commits".into(), notes)), "{there:?}");
    assert_eq!(world.kept_on_disk(&repository).await, [mine], "a branch is upstream's to decide about");
}

#[tokio::test]
async fn a_reclone_in_place_of_a_damaged_repository_sets_its_files_aside() {
    let world = World::new();
    world.upstream(3);
    let repository = world.mirror().await;
    fs::write(world.published(&repository).join("scripted.json"), "{").unwrap();
    let task = world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    let ended = world.gitsync.task(task.id).await.unwrap();
    assert!(is_done(&ended), "{ended:?}");
    world.check_books(repository.id).await;
    world.gitsync.janitor().round().await;
    let aside = world.set_aside();
    assert_eq!(fs::read_to_string(aside.join("scripted.json")).unwrap(), "{");
    let name = aside.file_name().unwrap().to_str().unwrap();
    assert!(ended.progress.phase.ends_with(name), "the task says where: {}", ended.progress.phase);
}

/// A clone whose manifest is lost or damaged can be cloned anew, as the errors say.
#[tokio::test]
async fn a_forced_migrate_repairs_a_damaged_manifest() {
    for (damage, expected) in [(Some("{"), ErrorKind::Corrupt), (None, ErrorKind::AlreadyExists)] {
        let world = World::new();
        let line = world.upstream(2);
        let repository = world.mirror().await;
        let manifest = world.published(&repository).join("gitsync.json");
        match damage {
            Some(text) => fs::write(manifest, text).unwrap(),
            None => fs::remove_file(manifest).unwrap(),
        }
        let other = world.backend.commit(&[], "other");
        world.set("refs/heads/main", Some(other));
        let error = world.sync(repository.id).await.error.unwrap();
        assert_eq!(error.kind, expected);
        assert!(error.message.contains("migrate with force"), "{}", error.message);

        let task = world.gitsync.migrate(repository.id, None, true).await.unwrap();
        world.work().await;
        let ended = world.gitsync.task(task.id).await.unwrap();
        assert!(is_done(&ended), "{damage:?}: {:?}", ended.error);
        assert_eq!(world.kept_on_disk(&repository).await, [line[1]]);
        assert_eq!(world.remains("aside"), usize::from(damage.is_none()));
        world.check_books(repository.id).await;
    }
}

/// A tip that the clone happens to have, because another reference reaches it for now, is kept all the same.
#[tokio::test]
async fn a_reclone_keeps_what_only_a_passing_reference_reaches() {
    let world = World::new();
    let line = world.upstream(3);
    world.set("refs/heads/topic", Some(line[2]));
    world.set("refs/heads/main", Some(line[0]));
    world.set("refs/pull/1/head", Some(line[2]));
    let repository = world.mirror().await;
    world.set("refs/heads/topic", None);
    world.gitsync.migrate(repository.id, None, true).await.unwrap();
    world.work().await;
    assert_eq!(world.kept_on_disk(&repository).await, [line[2]]);
    world.set("refs/pull/1/head", None);
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.kept_on_disk(&repository).await, [line[2]]);
    world.check_books(repository.id).await;
}

#[tokio::test]
async fn a_pushed_repository_without_a_source_records_what_is_there() {
    let world = World::new();
    let (repository, _) = world.create("own", false).await;
    world.work().await;
    let made = world.repository(repository.id).await;
    assert_eq!((made.status, made.next_sync_at), (RepositoryStatus::Active, None));

    push(&world, &repository, "refs/heads/main", None).await;
    assert!(is_done(&world.sync(repository.id).await));
    assert_eq!(world.repository(repository.id).await.total_commits, 1);
}

#[tokio::test]
async fn the_scheduler_syncs_what_is_due_and_only_once() {
    let world = World::new();
    world.upstream(1);
    let repository = world.mirror().await;
    assert_eq!(world.gitsync.scheduler().scan().await.unwrap(), 0);
    world.clock.advance(2 * LONG_ENOUGH * 6);
    assert_eq!(world.gitsync.scheduler().scan().await.unwrap(), 1);
    assert_eq!(world.gitsync.scheduler().scan().await.unwrap(), 0);
    assert_eq!(world.work().await, 1);
    assert!(world.repository(repository.id).await.next_sync_at > Some(crate::Clock::now(&world.clock)));
}

trait IntoName {
    fn into_name(self) -> crate::model::RefName;
}

impl IntoName for &str {
    fn into_name(self) -> crate::model::RefName {
        crate::model::RefName::new(self).unwrap()
    }
}
