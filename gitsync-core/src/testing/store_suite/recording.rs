//! What is recorded of branches, commits and movements.

use super::harness::{SECOND, StoreHarness, branch, commit, completion, error, everything, id, refusal};
use crate::error::ErrorKind;
use crate::model::{Commit, RecordedRef, RefChange, RefName, TaskKind};
use crate::plan::{Movement, MovementKind};
use crate::rules::{Completion, Outcome};
use crate::store::{Chunk, CommitFilter, Recording};

/// Branches, baseline, log and digests appear with the completion of the task, and not before.
pub async fn the_books_are_written_with_the_outcome(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    h.record(&work, &[commit(2, 2), commit(3, 3)]).await;
    assert_eq!(h.repository(repository.id).await.recording, Some(work.work.fence));
    let (main, topic) = (branch("main", 2), branch("topic", 3));
    let movement =
        Movement { name: main.name.clone(), old: Some(id(1)), new: Some(id(2)), kind: MovementKind::FastForward };
    let recording = Recording {
        changed: vec![main.clone(), topic.clone()],
        movements: vec![movement.clone()],
        baseline_digest: Some([7; 32]),
        policy_digest: Some([8; 32]),
        ..Recording::default()
    };
    h.complete(&work, completion(3, 2), Some(&recording)).await;

    assert_eq!(h.repository(repository.id).await.recording, None);
    assert_eq!(h.store.baseline(repository.id).await.expect("there is a baseline"), [main, topic]);
    let branches = h.store.list_branches(repository.id, &everything()).await.expect("branches can be listed").items;
    let summary: Vec<_> = branches.iter().map(|b| (b.name.short(), b.commit, b.is_default)).collect();
    assert_eq!(summary, [(b"main".as_slice(), id(2), true), (b"topic", id(3), false)]);
    let log = h.store.list_ref_updates(repository.id, &everything()).await.expect("the log can be listed").items;
    let changes: Vec<_> = log.iter().map(|update| &update.change).collect();
    assert_eq!(changes, [&RefChange::Moved(movement), &RefChange::Cloned { refs: 1 }], "the newest comes first");
    assert_eq!((log[0].task, log[0].repository), (work.task.id, repository.id));
    h.assert_now(Some(log[0].at));
    assert_eq!(h.commits(repository.id, false).await, [id(3), id(2), id(1)]);

    let next = h.running(repository.id, TaskKind::Sync).await;
    assert_eq!((next.baseline_digest, next.policy_digest), (Some([7; 32]), Some([8; 32])));
}

/// After a crash everything is walked: what that walk did not find is reached by nothing.
pub async fn a_full_walk_orphans_what_it_did_not_see(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let crashed = h.running(repository.id, TaskKind::Sync).await;
    h.record(&crashed, &[commit(2, 2)]).await;

    let work = h.start(crashed.task.id).await;
    assert!(work.was_recording);
    h.record(&work, &[commit(1, 1), commit(3, 3)]).await;
    h.orphan_unrecorded(&work).await;
    let main = branch("main", 3);
    let recording = Recording { changed: vec![main.clone()], full: true, ..Recording::default() };
    h.complete(&work, completion(2, 1), Some(&recording)).await;
    assert_eq!(h.commits(repository.id, false).await, [id(3), id(1)]);
    assert_eq!(h.commits(repository.id, true).await, [id(3), id(2), id(1)]);
    assert_eq!(h.store.baseline(repository.id).await.expect("there is a baseline"), [main]);
}

/// A call orphans no more than asked for, and never what this start recorded; the next call goes on with what is left.
pub async fn what_a_full_walk_did_not_see_is_orphaned_in_chunks(h: StoreHarness) {
    let other = h.migrated("other").await.id;
    let repository = h.migrated("r").await.id;
    let numbered = |numbers: std::ops::RangeInclusive<u8>| -> Vec<_> {
        numbers.map(|number| commit(number, number.into())).collect()
    };
    h.synced_commits(repository, &numbered(2..=4)).await;
    h.synced_commits(repository, &numbered(5..=8)).await;
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &[commit(3, 3), commit(9, 9)]).await;
    h.store.orphan_commits(work.work, &[id(8)]).await.expect("commits can be orphaned");
    let all = h.commits(repository, true).await;
    // Six are left: 1, 2, 4, 5, 6 and 7.
    let mut left = 6;
    for (limit, chunk) in [(0, Chunk::More), (1, Chunk::More), (3, Chunk::More), (2, Chunk::More), (2, Chunk::Last)] {
        let answer = h.store.orphan_unrecorded(work.work, limit).await.expect("commits can be orphaned");
        left -= limit.min(left);
        assert_eq!((answer, h.commits(repository, false).await.len()), (chunk, left + 2), "{limit}");
    }
    assert_eq!(h.commits(repository, false).await, [id(9), id(3)]);
    assert_eq!(h.commits(repository, true).await, all, "no row is gone");
    assert_eq!(h.commits(other, false).await, [id(1)]);
}

/// Whoever starts the task anew begins his walk anew: what only the one before recorded is orphaned too.
pub async fn an_orphaning_that_broke_off_is_done_by_the_next_start(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    h.synced_commits(repository, &[commit(2, 2), commit(3, 3), commit(4, 4)]).await;
    let paused = h.running(repository, TaskKind::Sync).await;
    h.record(&paused, &[commit(4, 4), commit(5, 5)]).await;
    let chunk = h.store.orphan_unrecorded(paused.work, 1).await;
    assert_eq!(chunk.expect("commits can be orphaned"), Chunk::More);

    let current = h.start(paused.task.id).await;
    assert!(current.was_recording);
    let before = h.commits(repository, false).await;
    assert_eq!(refusal(h.store.orphan_unrecorded(paused.work, 1).await), ErrorKind::LeaseLost);
    assert_eq!(h.commits(repository, false).await, before);
    h.record(&current, &[commit(1, 1), commit(4, 4)]).await;
    h.orphan_unrecorded(&current).await;
    assert_eq!(h.commits(repository, false).await, [id(4), id(1)], "also one that was orphaned is back");
    h.complete(&current, completion(2, 1), None).await;
    assert_eq!(refusal(h.store.orphan_unrecorded(current.work, 1).await), ErrorKind::Conflict);
}

/// A recording that is not full changes what it names, and nothing else.
pub async fn an_increment_changes_what_it_names(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    h.synced(repository, vec![branch("gone", 2), branch("moved", 2), branch("stays", 2)]).await;
    let before = h.log(repository).await;
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &[commit(3, 3)]).await;
    let moved = |short: &str, old, new, kind| Movement { name: branch(short, 0).name, old, new, kind };
    let movements = vec![
        moved("gone", Some(id(2)), None, MovementKind::Deleted),
        moved("moved", Some(id(2)), Some(id(3)), MovementKind::Forced),
        moved("new", None, Some(id(3)), MovementKind::Created),
    ];
    let recording = Recording {
        changed: vec![branch("moved", 3), branch("new", 3)],
        removed: vec![branch("gone", 2).name, branch("unknown", 2).name],
        movements: movements.clone(),
        ..Recording::default()
    };
    h.complete(&work, completion(3, 4), Some(&recording)).await;
    let expected = [branch("main", 1), branch("moved", 3), branch("new", 3), branch("stays", 2)];
    assert_eq!(h.baseline(repository).await, expected);
    let log = h.log(repository).await;
    let changes: Vec<_> = log.iter().rev().skip(before.len()).map(|update| update.change.clone()).collect();
    assert_eq!(changes, movements.into_iter().map(RefChange::Moved).collect::<Vec<_>>());
    assert_eq!(log[3..], before, "what was logged stays as it was");
    assert!(log.is_sorted_by(|newer, older| newer.id > older.id));
}

/// A full recording takes the place of all branches and tags.
pub async fn a_full_recording_replaces_all_references(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    h.synced(repository, vec![branch("old", 1)]).await;
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &[commit(1, 1), commit(2, 2)]).await;
    let recording = Recording { changed: vec![branch("main", 2)], full: true, ..Recording::default() };
    h.complete(&work, completion(2, 1), Some(&recording)).await;
    assert_eq!(h.baseline(repository).await, [branch("main", 2)]);
    assert_eq!(h.commits(repository, false).await, [id(2), id(1)]);

    let work = h.running(repository, TaskKind::Sync).await;
    h.complete(&work, completion(0, 0), Some(&Recording { full: true, ..Recording::default() })).await;
    assert_eq!((h.baseline(repository).await, h.branches(repository).await), (vec![], vec![]));
    assert_eq!(h.commits(repository, false).await, [id(2), id(1)], "commits are another matter");
}

/// Tags are part of the baseline, whatever they lead to, and are no branches; a branch's commit is where it leads to.
pub async fn tags_are_recorded_but_are_no_branches(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let tag = |name: &str, commit| RecordedRef { name: RefName::new(name).expect("a name"), id: id(9), commit };
    let tags = [tag("refs/tags/annotated", Some(id(1))), tag("refs/tags/tree", None)];
    h.synced(repository, tags.to_vec()).await;
    let expected: Vec<_> = [branch("main", 1)].into_iter().chain(tags).collect();
    assert_eq!(h.baseline(repository).await, expected);
    let branches = h.branches(repository).await;
    assert_eq!(branches.iter().map(|b| (&b.name, b.commit)).collect::<Vec<_>>(), [(&branch("main", 1).name, id(1))]);
}

/// Commits that nothing reaches any more are left out, and are back when something reaches them again.
pub async fn an_orphaned_commit_comes_back_when_it_is_recorded_again(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &[commit(2, 2), commit(3, 3)]).await;
    let orphan = async |ids: &[_]| h.store.orphan_commits(work.work, ids).await.expect("commits can be orphaned");
    orphan(&[id(2), id(77), id(3)]).await;
    orphan(&[id(3), id(3)]).await;
    assert_eq!(h.commits(repository, false).await, [id(1)]);
    assert_eq!(h.commits(repository, true).await, [id(3), id(2), id(1)], "an unknown one is not made");
    h.record(&work, &[commit(3, 3)]).await;
    assert_eq!(h.commits(repository, false).await, [id(3), id(1)]);
    h.complete(&work, completion(2, 1), None).await;
    assert_eq!(h.commits(repository, false).await, [id(3), id(1)]);
}

/// A batch that is delivered again, whole, in part or within itself, is recorded once.
pub async fn a_batch_can_be_repeated(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &[]).await;
    for numbers in [vec![2, 3], vec![2, 3], vec![3, 4], vec![5, 5, 4]] {
        let batch: Vec<_> = numbers.into_iter().map(|number| commit(number, number.into())).collect();
        h.record(&work, &batch).await;
    }
    let page = h.store.list_commits(repository, &CommitFilter::default(), &everything()).await;
    let expected: Vec<Commit> = (1..=5).rev().map(|number| commit(number, number.into())).collect();
    assert_eq!(page.expect("commits can be listed").items, expected);
}

/// Commits of one repository are not another one's, even where the ids are the same.
pub async fn repositories_do_not_share_commits(h: StoreHarness) {
    let (one, other) = (h.migrated("one").await.id, h.migrated("other").await.id);
    let work = h.running(one, TaskKind::Sync).await;
    h.record(&work, &[commit(2, 2)]).await;
    h.store.orphan_commits(work.work, &[id(1)]).await.expect("commits can be orphaned");
    let recording = Recording { changed: vec![branch("main", 2)], full: true, ..Recording::default() };
    h.complete(&work, completion(1, 1), Some(&recording)).await;
    assert_eq!(h.commits(one, false).await, [id(2)]);
    assert_eq!(h.commits(other, false).await, [id(1)]);
    assert_eq!(h.baseline(other).await, [branch("main", 1)]);
    assert_eq!(h.log(other).await.len(), 1);
}

/// The mark is there from the first batch on until a task completes: whoever finds it knows that one broke off.
pub async fn the_recording_mark_stays_until_a_task_completes(h: StoreHarness) {
    let repository = h.migrated("r").await;
    assert_eq!(repository.recording, None);
    let first = h.running(repository.id, TaskKind::Sync).await;
    assert!(!first.was_recording);
    h.store.begin_recording(first.work).await.expect("a recording can begin");
    h.store.begin_recording(first.work).await.expect("twice is once");
    assert_eq!(h.repository(repository.id).await.recording, Some(first.work.fence));
    h.finish(&first, Outcome::Released).await;
    assert_eq!(h.repository(repository.id).await.recording, Some(first.work.fence));

    let second = h.start(first.task.id).await;
    assert!(second.was_recording);
    h.finish(&second, Outcome::Failed(error(ErrorKind::Corrupt))).await;
    let third = h.running(repository.id, TaskKind::Sync).await;
    assert!(third.was_recording, "a failure is no completion");
    h.store.begin_recording(third.work).await.expect("a recording can begin");
    h.complete(&third, completion(1, 1), None).await;
    assert_eq!(h.repository(repository.id).await.recording, None);
    let fourth = h.running(repository.id, TaskKind::Sync).await;
    assert!(!fourth.was_recording);
}

/// A sync that found nothing new writes down that it looked, and leaves all that is recorded as it was.
pub async fn a_sync_without_news_leaves_the_records_alone(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let work = h.running(repository.id, TaskKind::Sync).await;
    let recording = Recording { baseline_digest: Some([3; 32]), policy_digest: Some([4; 32]), ..Recording::default() };
    h.complete(&work, completion(1, 1), Some(&recording)).await;
    let before = h.books(repository.id).await;
    h.clock.advance(10 * SECOND);
    let work = h.running(repository.id, TaskKind::Sync).await;
    let found = Completion { changed: false, commits_synced: 0, ..completion(1, 1) };
    h.complete(&work, found, None).await;
    let after = h.books(repository.id).await;
    h.assert_now(after.repository.last_synced_at);
    assert_eq!(after.repository.last_changed_at, before.repository.last_changed_at);
    assert_eq!((&after.baseline, &after.branches, &after.log), (&before.baseline, &before.branches, &before.log));
    assert_eq!((&after.commits, &after.all_commits), (&before.commits, &before.all_commits));
    let next = h.running(repository.id, TaskKind::Sync).await;
    assert_eq!((next.baseline_digest, next.policy_digest), (Some([3; 32]), Some([4; 32])));
}
