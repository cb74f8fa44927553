//! What git allows and databases find hard: odd names, huge texts, impossible dates.

use super::harness::{StoreHarness, branch, commit, completion, everything, id};
use crate::error::ErrorKind;
use crate::model::{
    Commit, MAX_MESSAGE_BYTES, MAX_SIGNATURE_FIELD_BYTES, ObjectId, RecordedRef, RefChange, RefName, RepositoryId,
    Signature, StoredError, TaskKind,
};
use crate::plan::{Movement, MovementKind};
use crate::rules::{Completion, Outcome};
use crate::store::{CommitFilter, NewRepository, Recording};

/// Names are bytes: they are sorted as such, and those that differ only in case, or are no text, are others.
pub async fn names_of_references_are_bytes(h: StoreHarness) {
    let names: [&[u8]; 7] = [b"B", b"a-b", b"a/b", b"a0", b"b", "\u{fc}".as_bytes(), b"\xff\xfe\xc3"];
    let names = names.map(|short| RefName::branch(short).expect("git accepts it"));
    assert!(names.is_sorted());
    let recorded = |name: &RefName| RecordedRef { name: name.clone(), id: id(2), commit: Some(id(2)) };

    let repository = h.migrated("r").await.id;
    let mut shuffled: Vec<_> = names.iter().map(recorded).collect();
    shuffled.rotate_left(3);
    let recording = Recording { changed: shuffled, full: true, ..Recording::default() };
    recorded_with(&h, repository, names.last(), &recording).await;
    let listed: Vec<_> = h.branches(repository).await;
    assert_eq!(listed.iter().map(|branch| &branch.name).collect::<Vec<_>>(), names.iter().collect::<Vec<_>>());
    let default: Vec<_> = listed.iter().filter(|branch| branch.is_default).map(|branch| &branch.name).collect();
    assert_eq!(default, [names.last().expect("there are some")]);
    assert_eq!(h.repository(repository).await.default_branch.as_ref(), names.last());
    assert_eq!(h.baseline(repository).await, names.iter().map(recorded).collect::<Vec<_>>());

    let removed = vec![names[0].clone(), names[6].clone()];
    recorded_with(&h, repository, None, &Recording { removed, ..Recording::default() }).await;
    assert_eq!(h.baseline(repository).await, names[1..6].iter().map(recorded).collect::<Vec<_>>());
}

/// Very long names are told apart to their last byte, in the baseline as in the log.
pub async fn names_of_references_may_be_very_long(h: StoreHarness) {
    let long = |last: char| RefName::branch(format!("{}{last}", "n".repeat(3_988))).expect("git accepts it");
    let (one, other) = (long('1'), long('2'));
    assert_eq!(one.as_bytes().len(), 4_000);
    let recorded = |name: &RefName, number| RecordedRef { name: name.clone(), id: id(number), commit: None };
    let created =
        |name: &RefName| Movement { name: name.clone(), old: None, new: Some(id(2)), kind: MovementKind::Created };
    let repository = h.migrated("r").await.id;
    let recording = Recording {
        changed: vec![recorded(&one, 2), recorded(&other, 3)],
        movements: vec![created(&one), created(&other)],
        full: true,
        ..Recording::default()
    };
    recorded_with(&h, repository, Some(&other), &recording).await;
    assert_eq!(h.baseline(repository).await, [recorded(&one, 2), recorded(&other, 3)]);
    let log: Vec<_> = h.log(repository).await.into_iter().map(|update| update.change).take(2).collect();
    assert_eq!(log, [RefChange::Moved(created(&other)), RefChange::Moved(created(&one))]);

    let change = Recording { changed: vec![recorded(&one, 4)], removed: vec![other], ..Recording::default() };
    recorded_with(&h, repository, Some(&one), &change).await;
    assert_eq!(h.baseline(repository).await, [recorded(&one, 4)]);
}

/// Ids of SHA-256 repositories are kept whole, wherever there are ids.
pub async fn sha256_ids_are_kept(h: StoreHarness) {
    let wide = |number: u8| ObjectId::Sha256([number; 32]);
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    let recorded = Commit { id: wide(2), parents: vec![wide(0), wide(255)], ..commit(2, 2) };
    let gone = Commit { id: wide(3), parents: vec![], ..commit(3, 3) };
    h.record(&work, &[recorded.clone(), gone]).await;
    h.store.orphan_commits(work.work, &[wide(3), id(2)]).await.expect("commits can be orphaned");
    let main = RecordedRef { id: wide(2), commit: Some(wide(2)), ..branch("main", 0) };
    let movement =
        Movement { name: main.name.clone(), old: Some(wide(1)), new: Some(wide(2)), kind: MovementKind::Forced };
    let recording =
        Recording { changed: vec![main.clone()], movements: vec![movement.clone()], ..Recording::default() };
    let found = Completion { last_commit: Some(wide(2)), ..completion(1, 1) };
    h.complete(&work, found, Some(&recording)).await;
    assert_eq!(h.repository(repository).await.last_commit, Some(wide(2)));
    assert_eq!(h.baseline(repository).await, [main]);
    assert_eq!(h.branches(repository).await[0].commit, wide(2));
    assert_eq!(h.log(repository).await[0].change, RefChange::Moved(movement));
    assert_eq!(commits(&h, repository).await, [recorded, commit(1, 1)]);
}

/// Texts are kept to the last byte, up to the longest; only for NUL a store may write U+FFFD.
pub async fn texts_may_be_huge_and_odd(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    let field = "\u{1f980}".repeat(MAX_SIGNATURE_FIELD_BYTES / 4);
    let signature = |seconds| Signature { name: field.clone(), email: field.clone(), seconds, offset_minutes: 0 };
    let huge = Commit {
        author: signature(1),
        committer: signature(9),
        message: "x".repeat(MAX_MESSAGE_BYTES),
        message_cut: true,
        ..commit(9, 9)
    };
    let odd = Commit {
        author: Signature {
            name: "'; drop table commits; --\0".into(),
            email: "\\\"%_\u{202e}".into(),
            ..signature(1)
        },
        message: "a\0b\r\n\u{fffd}\u{1}\u{7f}".into(),
        parents: (0..66).map(id).collect(),
        ..commit(8, 8)
    };
    let empty = Commit {
        author: Signature::default(),
        committer: Signature { seconds: 7, ..Signature::default() },
        message: String::new(),
        parents: Vec::new(),
        ..commit(7, 7)
    };
    let batch = [huge.clone(), odd.clone(), empty.clone()];
    h.record(&work, &batch).await;
    let listed: Vec<_> = commits(&h, repository).await.into_iter().take(3).map(without_nul).collect();
    assert_eq!(listed, batch.map(without_nul));
    let filter = CommitFilter { author_email: Some(odd.author.email.clone()), ..CommitFilter::default() };
    let found = h.store.list_commits(repository, &filter, &everything()).await.expect("commits can be listed").items;
    assert_eq!(found.iter().map(|commit| commit.id).collect::<Vec<_>>(), [odd.id]);

    let message = "\u{1f980}\0".repeat(100_000);
    let failure = StoredError { kind: ErrorKind::Internal, message: message.clone() };
    let failed = h.finish(&work, Outcome::Failed(failure)).await;
    let stored = h.task(failed.id).await.error.expect("the error is stored");
    assert_eq!(stored.message.replace('\0', "\u{fffd}"), message.replace('\0', "\u{fffd}"));
    let described = NewRepository { description: "\0".into(), owner: "'\u{1f980}".into(), ..h.new_mirror("odd").await };
    let (described, _) = h.store.create_repository(&described).await.expect("a repository can be made");
    assert_eq!(described.description.replace('\0', "\u{fffd}"), "\u{fffd}");
    assert_eq!(described.owner, "'\u{1f980}");
}

/// Dates before and after all calendars are kept, and sorted and filtered like any other.
pub async fn dates_may_be_far_outside_calendars(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let seconds = [i64::MIN, -62_135_596_801, -1, 0, 253_402_300_800, i64::MAX];
    let dated = |(number, seconds): (u8, i64)| {
        let signature = |offset_minutes| Signature { seconds, offset_minutes, ..Signature::default() };
        Commit { author: signature(i32::MIN), committer: signature(i32::MAX), ..commit(number, 0) }
    };
    let batch: Vec<_> = (10..).zip(seconds).map(dated).collect();
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &[&batch[3..], &batch[..3]].concat()).await;
    let recorded = commits(&h, repository).await;
    let in_order: Vec<_> = batch.iter().chain([&commit(1, 1)]).cloned().collect();
    let in_order: Vec<_> = [0, 1, 2, 3, 6, 4, 5].into_iter().rev().map(|at: usize| in_order[at].clone()).collect();
    assert_eq!(recorded, in_order, "newest first");

    let between = async |since_seconds, until_seconds| {
        let filter = CommitFilter { since_seconds, until_seconds, ..CommitFilter::default() };
        let page = h.store.list_commits(repository, &filter, &everything()).await.expect("commits can be listed");
        page.items.iter().map(|commit| commit.committer.seconds).collect::<Vec<_>>()
    };
    assert_eq!(between(Some(i64::MAX), None).await, [i64::MAX]);
    assert_eq!(between(None, Some(i64::MIN + 1)).await, [i64::MIN]);
    assert_eq!(between(None, Some(i64::MIN)).await, [0_i64; 0]);
    assert_eq!(between(Some(-1), Some(1)).await, [0, -1]);
    assert_eq!(between(Some(i64::MIN), Some(i64::MAX)).await, [253_402_300_800, 1, 0, -1, -62_135_596_801, i64::MIN]);
}

async fn commits(h: &StoreHarness, repository: RepositoryId) -> Vec<Commit> {
    let page = h.store.list_commits(repository, &CommitFilter::default(), &everything()).await;
    page.expect("commits can be listed").items
}

/// Completes a sync with a recording; `HEAD` points to the branch.
async fn recorded_with(h: &StoreHarness, repository: RepositoryId, head: Option<&RefName>, recording: &Recording) {
    let work = h.running(repository, TaskKind::Sync).await;
    let found = Completion { default_branch: head.cloned(), ..completion(1, 1) };
    h.complete(&work, found, Some(recording)).await;
}

fn without_nul(commit: Commit) -> Commit {
    let replaced = |text: String| text.replace('\0', "\u{fffd}");
    let Commit { author, message, .. } = commit;
    let author = Signature { name: replaced(author.name), email: replaced(author.email), ..author };
    Commit { author, message: replaced(message), ..commit }
}
