//! How much one call may carry.

use super::harness::{StoreHarness, branch, completion, everything, id, refusal};
use crate::error::ErrorKind;
use crate::model::{
    Commit, Depth, MAX_PAGE_ITEMS, ObjectId, OrganisationId, PageRequest, RecordedRef, RefName, Signature, TaskId,
    TaskKind,
};
use crate::plan::{Movement, MovementKind, RefPattern};
use crate::queue::NewJob;
use crate::rules::{MAX_EXCLUDE_REFS, MAX_SYNC_INTERVAL};
use crate::store::{
    Chunk, CommitFilter, MAX_FILTER_ORGANISATIONS, MAX_STORE_BATCH, NewRepository, Recording, RepositoryFilter,
    RepositoryPatch,
};

/// A longer slice is refused whole.
pub async fn longer_slices_are_refused(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    h.create("waiting").await;
    let jobs = h.outbox().await;
    let before = h.books(repository).await;

    let commits: Vec<_> = (0..=MAX_STORE_BATCH).map(numbered).collect();
    assert_eq!(refusal(h.store.record_commits(work.work, &commits).await), ErrorKind::InvalidInput);
    let mut ids = vec![id(1)];
    ids.extend(commits.iter().skip(1).map(|commit| commit.id));
    assert_eq!(refusal(h.store.orphan_commits(work.work, &ids).await), ErrorKind::InvalidInput);
    let unknown = |_| NewJob { id: TaskId::generate(), ..jobs[0].clone() };
    let jobs: Vec<_> = jobs.iter().cloned().chain((0..MAX_STORE_BATCH).map(unknown)).collect();
    assert_eq!(refusal(h.store.mark_enqueued(&jobs).await), ErrorKind::InvalidInput);
    let ids: Vec<_> = (0..=MAX_STORE_BATCH).map(|_| TaskId::generate()).collect();
    assert_eq!(refusal(h.store.tasks(&ids).await), ErrorKind::InvalidInput);
    assert_eq!(h.books(repository).await, before);
}

/// A filter that names more organisations than that is refused; as many are looked for.
pub async fn a_filter_may_name_so_many_organisations(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let find = async |count: usize| {
        let others = (1..count).map(|number| OrganisationId(i32::MAX - number as i32));
        let organisations = Some(others.chain([repository.organisation]).collect());
        let filter = RepositoryFilter { organisations, ..RepositoryFilter::default() };
        h.store.list_repositories(&filter, &everything()).await
    };
    let found = find(MAX_FILTER_ORGANISATIONS).await.expect("as many can be named");
    assert_eq!(found.items, std::slice::from_ref(&repository));
    assert_eq!(refusal(find(MAX_FILTER_ORGANISATIONS + 1).await), ErrorKind::InvalidInput);
}

/// Texts and lists of users are stored up to their limits; beyond them they are refused and nothing changes.
pub async fn what_users_write_is_bounded(h: StoreHarness) {
    let (fits, slug) = ("\u{e9}".repeat(127), "long".parse().expect("a slug"));
    let name = format!("{fits}x");
    assert_eq!(refusal(h.store.create_organisation(&slug, &format!("{name}x")).await), ErrorKind::InvalidInput);
    let organisation = h.store.create_organisation(&slug, &name).await.expect("the name is short enough");
    assert_eq!(h.store.organisation(organisation.id).await.expect("it is there").name, name);

    let new = NewRepository { owner: name.clone(), description: "d".repeat(4_096), ..h.new_mirror("r").await };
    let longer = NewRepository { description: "d".repeat(4_097), ..new.clone() };
    assert_eq!(refusal(h.store.create_repository(&longer).await), ErrorKind::InvalidInput);
    let (repository, _) = h.store.create_repository(&new).await.expect("the texts are short enough");
    assert_eq!(h.repository(repository.id).await.description, new.description);

    let pattern = RefPattern::new(format!("refs/{}*", "p".repeat(1_018))).expect("a pattern");
    let leaving_out = async |name: &str, count: usize| {
        let exclude_refs = vec![pattern.clone(); count];
        let new = NewRepository { exclude_refs, depth: Depth::new(7).ok(), ..h.new_mirror(name).await };
        h.store.create_repository(&new).await
    };
    assert_eq!(refusal(leaving_out("many", MAX_EXCLUDE_REFS + 1).await), ErrorKind::InvalidInput);
    let (many, _) = leaving_out("many", MAX_EXCLUDE_REFS).await.expect("there are few enough");
    assert_eq!((many.exclude_refs.len(), many.depth), (MAX_EXCLUDE_REFS, Depth::new(7).ok()));
    assert_eq!(h.repository(many.id).await, many);
    let patch = |count: usize| RepositoryPatch {
        exclude_refs: Some(vec![pattern.clone(); count]),
        sync_interval: Some(Some(MAX_SYNC_INTERVAL)),
        ..RepositoryPatch::default()
    };
    let edit = async |patch| h.store.update_repository(repository.id, repository.version, &patch).await;
    assert_eq!(refusal(edit(patch(MAX_EXCLUDE_REFS + 1)).await), ErrorKind::InvalidInput);
    assert_eq!(h.repository(repository.id).await, repository);
    let edited = edit(patch(MAX_EXCLUDE_REFS)).await.expect("there are few enough");
    assert_eq!((edited.exclude_refs.len(), edited.sync_interval), (MAX_EXCLUDE_REFS, Some(MAX_SYNC_INTERVAL)));
    assert_eq!(h.repository(repository.id).await, edited);
}

/// The longest slices are written whole, in one call.
pub async fn the_longest_slices_are_taken(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    let commits: Vec<_> = (0..MAX_STORE_BATCH).map(numbered).collect();
    h.record(&work, &commits).await;
    assert_eq!(count(&h, repository).await, MAX_STORE_BATCH + 1);
    let ids: Vec<_> = commits.iter().map(|commit| commit.id).collect();
    h.store.orphan_commits(work.work, &ids).await.expect("as many can be orphaned");
    assert_eq!(h.commits(repository, false).await, [id(1)]);
    h.record(&work, &commits).await;
    assert_eq!(count(&h, repository).await, MAX_STORE_BATCH + 1);

    h.create("waiting").await;
    let waiting = h.outbox().await;
    let unknown = |_| NewJob { id: TaskId::generate(), ..waiting[0].clone() };
    let jobs: Vec<_> = (1..MAX_STORE_BATCH).map(unknown).chain([waiting[0].clone()]).collect();
    h.store.mark_enqueued(&jobs).await.expect("as many can be marked");
    let ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(h.store.tasks(&ids).await.expect("as many can be looked for").len(), 1);
    assert_eq!(h.outbox().await, []);
}

/// A recording is written with its outcome, so it has no bound.
pub async fn a_recording_may_be_longer(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let names: Vec<_> = (0..MAX_STORE_BATCH + 500)
        .map(|number| RefName::branch(format!("b{number:05}")).expect("a branch name"))
        .collect();
    let recorded = |name: &RefName| RecordedRef { name: name.clone(), id: id(1), commit: Some(id(1)) };
    let created =
        |name: &RefName| Movement { name: name.clone(), old: None, new: Some(id(1)), kind: MovementKind::Created };
    let work = h.running(repository, TaskKind::Sync).await;
    let recording = Recording {
        changed: names.iter().map(recorded).collect(),
        movements: names.iter().map(created).collect(),
        ..Recording::default()
    };
    h.complete(&work, completion(1, 1), Some(&recording)).await;
    let baseline = h.baseline(repository).await;
    assert_eq!(baseline.len(), names.len() + 1);
    assert!(baseline.iter().zip(&names).all(|(recorded, name)| recorded.name == *name));
    assert_eq!(h.log(repository).await.len(), MAX_PAGE_ITEMS);

    let work = h.running(repository, TaskKind::Sync).await;
    let recording = Recording { removed: names, ..Recording::default() };
    h.complete(&work, completion(1, 1), Some(&recording)).await;
    assert_eq!(h.baseline(repository).await, [branch("main", 1)]);
}

/// A limit beyond all bounds is no error.
pub async fn limits_may_be_anything(h: StoreHarness) {
    h.create("waiting").await;
    let due = h.migrated_until("due", Some(h.in_seconds(1))).await.id;
    h.clock.advance(std::time::Duration::from_secs(10));
    for limit in [0, usize::MAX] {
        let expected = usize::from(limit > 0);
        assert_eq!(h.store.outbox(limit).await.expect("the outbox can be read").len(), expected, "{limit}");
        let found = h.store.request_due(limit).await.expect("due repositories can be looked for");
        assert_eq!(found.tasks.len(), expected, "{limit}");
    }
    assert_eq!(h.tasks(due).await.len(), 2);
    let page = h.store.list_tasks(&Default::default(), &everything()).await.expect("tasks can be listed");
    assert_eq!((page.items.len(), page.next), (3, None));
}

/// However much a call that works in chunks is allowed, it does no more than the most that one call may.
pub async fn the_longest_chunks_are_bounded(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let work = h.running(repository, TaskKind::Sync).await;
    let commits: Vec<_> = (0..MAX_STORE_BATCH).map(numbered).collect();
    h.record(&work, &commits).await;
    h.complete(&work, completion(1, 1), None).await;
    let work = h.running(repository, TaskKind::Sync).await;
    for (chunk, left) in [(Chunk::More, 1), (Chunk::Last, 0)] {
        let answer = h.store.orphan_unrecorded(work.work, usize::MAX).await.expect("commits can be orphaned");
        assert_eq!((answer, count(&h, repository).await), (chunk, left));
    }
    h.complete(&work, completion(0, 0), None).await;
    let deletion = h.running(repository, TaskKind::Delete).await;
    assert_eq!(h.store.purge_repository(deletion.work, 0).await.expect("that is no error"), Chunk::More);
    for chunk in [Chunk::More, Chunk::Last] {
        let answer = h.store.purge_repository(deletion.work, usize::MAX).await.expect("rows can be removed");
        assert_eq!(answer, chunk);
    }
}

/// Returns a commit of which there are many.
fn numbered(number: usize) -> Commit {
    let mut bytes = [0xee; 20];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    let id = ObjectId::Sha1(bytes);
    let signature = Signature { seconds: number as i64, ..Signature::default() };
    Commit {
        id,
        parents: vec![id],
        author: signature.clone(),
        committer: signature,
        message: String::new(),
        message_cut: false,
    }
}

/// Counts the commits that are not orphaned, page by page.
async fn count(h: &StoreHarness, repository: crate::model::RepositoryId) -> usize {
    let (mut count, mut after) = (0, None);
    loop {
        let page = PageRequest::new(MAX_PAGE_ITEMS, after).expect("the limit is allowed");
        let page = h.store.list_commits(repository, &CommitFilter::default(), &page).await;
        let page = page.expect("commits can be listed");
        count += page.items.len();
        assert!(count <= 2 * MAX_STORE_BATCH, "there are no more commits than that");
        after = page.next;
        if after.is_none() {
            return count;
        }
    }
}
