//! What is recorded of branches, commits and movements.

use super::harness::{StoreHarness, branch, commit, completion, everything, id};
use crate::model::{RefChange, TaskKind};
use crate::plan::{Movement, MovementKind};
use crate::store::Recording;

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
    let main = branch("main", 3);
    let recording = Recording { changed: vec![main.clone()], full: true, ..Recording::default() };
    h.complete(&work, completion(2, 1), Some(&recording)).await;
    assert_eq!(h.commits(repository.id, false).await, [id(3), id(1)]);
    assert_eq!(h.commits(repository.id, true).await, [id(3), id(2), id(1)]);
    assert_eq!(h.store.baseline(repository.id).await.expect("there is a baseline"), [main]);
}
