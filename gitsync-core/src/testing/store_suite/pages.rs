//! Lists in pages: complete, without repetition, and undisturbed by what is added meanwhile.

use std::fmt::Debug;

use super::harness::{StoreHarness, branch, commit, completion, everything, id, refusal};
use crate::error::{ErrorKind, Result};
use crate::model::{
    Commit, Cursor, ObjectId, OrganisationId, Page, PageRequest, RecordedRef, RefChange, RefName, TaskKind,
};
use crate::plan::{Movement, MovementKind};
use crate::store::{CommitFilter, NewRepository, Recording, RepositoryFilter, TaskFilter};

/// Organisations are listed by id; those made meanwhile come after all others.
pub async fn organisations_in_pages(h: StoreHarness) {
    let list = async |page| h.store.list_organisations(&page).await;
    let make = async |slug: &str| {
        let slug = slug.parse().expect("a slug");
        h.store.create_organisation(&slug, "Same").await.expect("an organisation can be made")
    };
    assert_eq!(all(2, &list).await, []);
    let mut made = vec![make("c").await, make("a").await, make("b").await];
    assert_eq!(all(2, &list).await, made);
    let (first, next) = page(2, None, &list).await;
    assert_eq!(first, made[..2]);
    made.push(make("aa").await);
    assert_eq!(rest(2, next, &list).await, made[2..]);
    assert_eq!(all(4, &list).await, made);
}

/// Repositories are listed by id, of one organisation or status if that is asked for.
pub async fn repositories_in_pages(h: StoreHarness) {
    let mut made = Vec::new();
    for name in ["c", "a", "b", "d"] {
        made.push(h.migrated(name).await);
    }
    let filter = RepositoryFilter::default();
    let list = async |page| h.store.list_repositories(&filter, &page).await;
    assert_eq!(all(3, &list).await, made);
    let (first, next) = page(2, None, &list).await;
    assert_eq!(first, made[..2]);
    let deletion = h.running(made[1].id, TaskKind::Delete).await;
    h.purge(&deletion).await;
    made.push(h.create("aa").await.0);
    assert_eq!(
        rest(2, next, &list).await,
        made[2..],
        "a page goes on where the one before ended, even if that is gone"
    );

    let (pending, active) = (made[4].status, made[0].status);
    let find = async |organisation: Option<OrganisationId>, status| {
        let filter = RepositoryFilter { organisations: organisation.map(|id| vec![id]), status, is_public: None };
        all(1, &async |page| h.store.list_repositories(&filter, &page).await).await
    };
    let organisation = made[0].organisation;
    assert_eq!(find(Some(organisation), Some(pending)).await, made[4..]);
    assert_eq!(find(None, Some(active)).await, [made[0].clone(), made[2].clone(), made[3].clone()]);
    let slug = "empty".parse().expect("a slug");
    let empty = h.store.create_organisation(&slug, "Empty").await.expect("an organisation can be made").id;
    assert_eq!(find(Some(empty), None).await, []);
    let unknown = OrganisationId(4711);
    assert_eq!(find(Some(unknown), None).await, [], "filters name nothing");
}

/// Repositories of any of some organisations are listed by id, and those that are public, or are not.
pub async fn repositories_of_several_organisations(h: StoreHarness) {
    let (mut organisations, mut made) = (Vec::new(), Vec::new());
    for slug in ["a", "b", "c"] {
        let slug = slug.parse().expect("a slug");
        organisations.push(h.store.create_organisation(&slug, "O").await.expect("an organisation can be made").id);
    }
    for number in 0..9 {
        let organisation = organisations[number % 3];
        let mirror = h.new_mirror(&format!("r{number}")).await;
        let new = NewRepository { organisation, is_public: number < 4, ..mirror };
        made.push(h.store.create_repository(&new).await.expect("a repository can be made").0);
    }
    let find = async |organisations: Option<&[OrganisationId]>, is_public| {
        let filter =
            RepositoryFilter { organisations: organisations.map(<[_]>::to_vec), is_public, ..Default::default() };
        let found = all(2, &async |page| h.store.list_repositories(&filter, &page).await).await;
        found.iter().map(|found| made.iter().position(|made| made == found).expect("it was made")).collect::<Vec<_>>()
    };
    let two = [organisations[2], organisations[0], OrganisationId(4711), organisations[2]];
    assert_eq!(find(Some(&two), None).await, [0, 2, 3, 5, 6, 8]);
    assert_eq!(find(Some(&two), Some(true)).await, [0, 2, 3]);
    assert_eq!(find(Some(&organisations[1..2]), Some(false)).await, [4, 7]);
    assert!(find(Some(&[]), None).await.is_empty());
    assert_eq!(find(None, Some(true)).await, [0, 1, 2, 3]);
}

/// Tasks are listed newest first: those made meanwhile do not push others onto the next page.
pub async fn tasks_in_pages(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let other = h.create("other").await.1;
    for _ in 0..4 {
        let task = h.request(repository, TaskKind::Sync).await.task;
        h.store.cancel_task(task.id).await.expect("the task can be cancelled");
    }
    let filter = TaskFilter { repository: Some(repository), ..TaskFilter::default() };
    let list = async |page| h.store.list_tasks(&filter, &page).await;
    let made = h.tasks(repository).await;
    assert_eq!(made.len(), 5);
    assert!(made.is_sorted_by(|newer, older| newer.id > older.id));
    assert_eq!(all(2, &list).await, made);
    let (first, next) = page(2, None, &list).await;
    assert_eq!(first, made[..2]);
    let sync = h.request(repository, TaskKind::Sync).await.task;
    assert_eq!(rest(2, next, &list).await, made[2..]);

    let find = async |filter: TaskFilter| {
        all(2, &async |page| h.store.list_tasks(&filter, &page).await).await.iter().map(|task| task.id).collect()
    };
    let everywhere: Vec<_> = find(TaskFilter::default()).await;
    let expected: Vec<_> = [sync.id].into_iter().chain(made[..4].iter().map(|task| task.id)).collect();
    assert_eq!(everywhere, [expected, vec![other.id, made[4].id]].concat());
    let waiting: Vec<_> = find(TaskFilter { status: Some(sync.status), ..TaskFilter::default() }).await;
    assert_eq!(waiting, [sync.id, other.id]);
    let (kind, status) = (Some(TaskKind::Sync), Some(made[0].status));
    let cancelled: Vec<_> = find(TaskFilter { repository: Some(repository), kind, status }).await;
    assert_eq!(cancelled, made[..4].iter().map(|task| task.id).collect::<Vec<_>>());
    let migrates: Vec<_> = find(TaskFilter { kind: Some(TaskKind::Migrate), ..TaskFilter::default() }).await;
    assert_eq!(migrates, [other.id, made[4].id]);
    let nothing: Vec<_> = find(TaskFilter { repository: Some(crate::model::RepositoryId(4711)), ..filter }).await;
    assert_eq!(nothing, []);
}

/// Branches are listed by name; what is added before the place of a page does not come, what is added after it does.
pub async fn branches_in_pages(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let branches = |names: &[&str]| -> Vec<RecordedRef> { names.iter().map(|name| branch(name, 1)).collect() };
    h.synced(repository, branches(&["b", "d", "f", "h"])).await;
    let tag = RecordedRef { name: RefName::new("refs/tags/e").expect("a name"), ..branch("e", 1) };
    h.synced(repository, vec![tag]).await;
    let list = async |page| {
        let page = h.store.list_branches(repository, &page).await?;
        let short = |name: &RefName| String::from_utf8_lossy(name.short()).into_owned();
        Ok(Page { items: page.items.iter().map(|branch| short(&branch.name)).collect(), next: page.next })
    };
    assert_eq!(all(2, &list).await, ["b", "d", "f", "h", "main"]);
    let (first, next) = page(2, None, &list).await;
    assert_eq!(first, ["b", "d"]);
    h.synced(repository, branches(&["a", "c", "e", "z"])).await;
    assert_eq!(rest(2, next, &list).await, ["e", "f", "h", "main", "z"]);
    assert_eq!(all(3, &list).await, ["a", "b", "c", "d", "e", "f", "h", "main", "z"]);
}

/// Commits are listed newest first; those of one second have an order too, which no page breaks.
pub async fn commits_in_pages(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let same_second: Vec<_> = (10..20).map(|number| commit(number, 50)).collect();
    h.synced_commits(repository, &same_second).await;
    h.synced_commits(repository, &[commit(20, 90), commit(21, 80), commit(22, -5)]).await;
    let (plain, orphaned_too) =
        (CommitFilter::default(), CommitFilter { include_orphaned: true, ..CommitFilter::default() });
    let list = async |filter: &CommitFilter, page| ids(h.store.list_commits(repository, filter, &page).await);
    let whole = h.commits(repository, false).await;
    assert_eq!((&whole[..2], &whole[12..]), (&[id(20), id(21)][..], &[id(1), id(22)][..]));
    let mut middle = whole[2..12].to_vec();
    middle.sort_unstable();
    assert_eq!(middle, (10..20).map(id).collect::<Vec<_>>());
    for limit in [1, 3, 7, 14, 15] {
        assert_eq!(all(limit, &async |page| list(&plain, page).await).await, whole, "in pages of {limit}");
    }

    let (first, next) = page(5, None, &async |page| list(&plain, page).await).await;
    assert_eq!(first, whole[..5]);
    h.synced_commits(repository, &[commit(30, 100), commit(31, 85), commit(32, 10)]).await;
    let mut expected = whole[5..].to_vec();
    expected.insert(7, id(32));
    assert_eq!(rest(5, next.clone(), &async |page| list(&plain, page).await).await, expected);

    let work = h.running(repository, TaskKind::Sync).await;
    h.store.orphan_commits(work.work, &whole[4..6]).await.expect("commits can be orphaned");
    assert_eq!(rest(5, next.clone(), &async |page| list(&plain, page).await).await, expected[1..]);
    assert_eq!(rest(5, next, &async |page| list(&orphaned_too, page).await).await, expected);
}

/// A filter of commits counts in every page: the author to the letter, from a second on, before a second.
pub async fn filtered_commits_in_pages(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let by = |number: u8, email: &str| {
        let mut commit = commit(number, i64::from(number));
        commit.author.email = email.into();
        commit
    };
    let batch: Vec<Commit> = (10..30).map(|number| by(number, if number % 2 == 0 { "A@x" } else { "a@x" })).collect();
    h.synced_commits(repository, &batch).await;
    let find = async |filter: CommitFilter| {
        all(3, &async |page| ids(h.store.list_commits(repository, &filter, &page).await)).await
    };
    let numbered = |numbers: &[u8]| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>();
    let email = CommitFilter { author_email: Some("A@x".into()), ..CommitFilter::default() };
    assert_eq!(find(email.clone()).await, numbered(&[28, 26, 24, 22, 20, 18, 16, 14, 12, 10]));
    let between = CommitFilter { since_seconds: Some(15), until_seconds: Some(20), ..CommitFilter::default() };
    assert_eq!(find(between.clone()).await, numbered(&[19, 18, 17, 16, 15]));
    let both = CommitFilter { author_email: email.author_email, ..between };
    assert_eq!(find(both).await, numbered(&[18, 16]));
    let nobody = CommitFilter { author_email: Some("a@".into()), ..CommitFilter::default() };
    assert_eq!(find(nobody).await, []);
}

/// Commits of a branch are all that it reaches, also through merges and along lines that have ended, in the order of the
/// whole list.
pub async fn commits_of_a_branch_in_pages(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    // main: 1 - 10 - 11 ------ 20 (merges 13 and 16) - 21
    //             \- 12 - 13 -/-- 14: side
    //   another root: 15 - 16 -/     30: alone
    let line: [(u8, &[u8]); 11] = [
        (10, &[1]),
        (11, &[10]),
        (12, &[10]),
        (13, &[12]),
        (14, &[13]),
        (15, &[]),
        (16, &[15]),
        (20, &[11, 13, 16]),
        (21, &[20]),
        (30, &[]),
        (31, &[200]),
    ];
    let commits: Vec<_> = line.iter().map(|(number, parents)| child(*number, i64::from(*number), parents)).collect();
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &commits).await;
    let changed = vec![branch("main", 21), branch("side", 14), branch("alone", 30), branch("shallow", 31)];
    h.complete(&work, completion(12, 4), Some(&Recording { changed, ..Recording::default() })).await;
    let other = h.migrated("other").await.id;
    h.synced_commits(other, &[child(11, 11, &[30])]).await;

    let of = |name: &str| CommitFilter { branch: Some(branch(name, 1).name), ..CommitFilter::default() };
    let find = async |filter: CommitFilter| {
        all(2, &async |page| ids(h.store.list_commits(repository, &filter, &page).await)).await
    };
    let numbered = |numbers: &[u8]| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>();
    assert_eq!(find(of("main")).await, numbered(&[21, 20, 16, 15, 13, 12, 11, 10, 1]));
    assert_eq!(find(of("side")).await, numbered(&[14, 13, 12, 10, 1]));
    assert_eq!(find(of("alone")).await, numbered(&[30]));
    assert_eq!(find(of("shallow")).await, numbered(&[31]), "a parent may not be recorded");

    let between = CommitFilter { since_seconds: Some(11), until_seconds: Some(20), ..of("main") };
    assert_eq!(find(between).await, numbered(&[16, 15, 13, 12, 11]));
    let by = |number: u8| CommitFilter { author_email: Some(format!("a{number}@example")), ..of("main") };
    assert_eq!((find(by(12)).await, find(by(14)).await), (numbered(&[12]), vec![]));

    let work = h.running(repository, TaskKind::Sync).await;
    h.store.orphan_commits(work.work, &[id(15)]).await.expect("commits can be orphaned");
    assert_eq!(find(of("main")).await, numbered(&[21, 20, 16, 13, 12, 11, 10, 1]));
    let orphaned_too = CommitFilter { include_orphaned: true, ..of("main") };
    assert_eq!(find(orphaned_too).await, numbered(&[21, 20, 16, 15, 13, 12, 11, 10, 1]));

    let tag = RefName::new("refs/tags/v1").expect("a tag");
    let recorded = RecordedRef { name: tag.clone(), id: id(1), commit: Some(id(1)) };
    let recording =
        Recording { changed: vec![recorded], removed: vec![branch("side", 1).name], ..Recording::default() };
    h.complete(&work, completion(12, 4), Some(&recording)).await;
    for name in [Some(tag), of("side").branch, of("mai").branch, of("main2").branch] {
        let filter = CommitFilter { branch: name, ..CommitFilter::default() };
        assert_eq!(refusal(h.store.list_commits(repository, &filter, &everything()).await), ErrorKind::NotFound);
    }
    assert_eq!(refusal(h.store.list_commits(other, &of("alone"), &everything()).await), ErrorKind::NotFound);
}

/// Dates say nothing about who reaches whom: parents may be newer than their children, by any time.
pub async fn commits_of_a_branch_whose_dates_are_skewed(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let seconds = |number: u8| i64::from(number).wrapping_mul(7919) % 101 - 50;
    // Each is a merge of the two before; those from 100 on are nobody's.
    let mut commits: Vec<_> =
        (10..60).map(|number| child(number, seconds(number), &[number - 2, number - 1])).collect();
    commits.extend((100..150).map(|number| child(number, seconds(number), &[10])));
    let work = h.running(repository, TaskKind::Sync).await;
    h.record(&work, &commits).await;
    let changed = vec![branch("main", 59)];
    h.complete(&work, completion(101, 1), Some(&Recording { changed, ..Recording::default() })).await;

    let filter = CommitFilter { branch: Some(branch("main", 1).name), ..CommitFilter::default() };
    let list = async |page| ids(h.store.list_commits(repository, &filter, &page).await);
    let whole = h.commits(repository, false).await;
    let expected: Vec<_> = whole.into_iter().filter(|id| (10..60).contains(&id.as_bytes()[0])).collect();
    assert_eq!(expected.len(), 50);
    for limit in [1, 7, 50, 60] {
        assert_eq!(all(limit, &list).await, expected, "in pages of {limit}");
    }
    // A page may begin where one of the whole list ended.
    let (first, next) =
        page(20, None, &async |page| ids(h.store.list_commits(repository, &CommitFilter::default(), &page).await))
            .await;
    let seen = expected.iter().filter(|id| first.contains(id)).count();
    assert_eq!(rest(7, next, &list).await, expected[seen..]);
}

/// Returns commit `number` with some parents.
fn child(number: u8, seconds: i64, parents: &[u8]) -> Commit {
    Commit { parents: parents.iter().map(|parent| id(*parent)).collect(), ..commit(number, seconds) }
}

/// The log is listed newest first: new entries do not push others onto the next page.
pub async fn the_log_in_pages(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let other = h.migrated("other").await.id;
    let moved = async |repository, names: &[&str]| {
        let movement = |name: &&str| Movement {
            name: branch(name, 1).name,
            old: Some(id(1)),
            new: Some(id(2)),
            kind: MovementKind::FastForward,
        };
        let work = h.running(repository, TaskKind::Sync).await;
        let recording = Recording { movements: names.iter().map(movement).collect(), ..Recording::default() };
        h.complete(&work, completion(1, 1), Some(&recording)).await;
    };
    moved(repository, &["a", "b", "c"]).await;
    moved(other, &["x"]).await;
    moved(repository, &["d"]).await;
    let list = async |page| {
        let page = h.store.list_ref_updates(repository, &page).await?;
        let name = |change: &RefChange| match change {
            RefChange::Moved(movement) => String::from_utf8_lossy(movement.name.short()).into_owned(),
            RefChange::Cloned { refs } => format!("cloned {refs}"),
        };
        Ok(Page { items: page.items.iter().map(|update| name(&update.change)).collect(), next: page.next })
    };
    assert_eq!(all(2, &list).await, ["d", "c", "b", "a", "cloned 1"]);
    let (first, next) = page(2, None, &list).await;
    assert_eq!(first, ["d", "c"]);
    moved(repository, &["e"]).await;
    assert_eq!(rest(2, next, &list).await, ["b", "a", "cloned 1"]);
}

/// Pages go as far as the longest, and the last one says that it is.
pub async fn the_last_page_says_so(h: StoreHarness) {
    let repository = h.migrated("r").await.id;
    let batch: Vec<_> = (2..=100).map(|number| commit(number, i64::from(number))).collect();
    h.synced_commits(repository, &batch).await;
    let filter = CommitFilter::default();
    let list = async |page| ids(h.store.list_commits(repository, &filter, &page).await);
    let (whole, next) = page(100, None, &list).await;
    assert_eq!((whole.len(), next), (100, None));
    let (most, next) = page(99, None, &list).await;
    assert_eq!(most, whole[..99]);
    assert_eq!(rest(1, next, &list).await, whole[99..]);
    let page = h.store.list_commits(repository, &filter, &everything()).await.expect("commits can be listed");
    assert_eq!((page.items.len(), page.next), (100, None));
}

fn ids(page: Result<Page<Commit>>) -> Result<Page<ObjectId>> {
    let page = page?;
    Ok(Page { items: page.items.iter().map(|commit| commit.id).collect(), next: page.next })
}

/// Returns one page.
pub(super) async fn page<T>(
    limit: usize,
    after: Option<Cursor>,
    list: &impl AsyncFn(PageRequest) -> Result<Page<T>>,
) -> (Vec<T>, Option<Cursor>) {
    let request = PageRequest::new(limit, after).expect("the limit is allowed");
    let page = list(request).await.expect("a page can be listed");
    assert!(page.items.len() <= limit);
    (page.items, page.next)
}

/// Returns all pages as one list.
pub(super) async fn all<T: Debug>(limit: usize, list: &impl AsyncFn(PageRequest) -> Result<Page<T>>) -> Vec<T> {
    let (mut items, next) = page(limit, None, list).await;
    if next.is_some() {
        assert_eq!(items.len(), limit, "only the last page may be short");
        items.extend(rest(limit, next, list).await);
    }
    items
}

/// Returns what comes after a page that was not the last.
pub(super) async fn rest<T: Debug>(
    limit: usize,
    mut next: Option<Cursor>,
    list: &impl AsyncFn(PageRequest) -> Result<Page<T>>,
) -> Vec<T> {
    assert!(next.is_some(), "there is a next page");
    let mut rest = Vec::new();
    while let Some(after) = next {
        let (items, following) = page(limit, Some(after.clone()), list).await;
        assert!(!items.is_empty(), "there is no empty page after a cursor");
        assert_ne!(following, Some(after), "a page ends after the place where it began");
        rest.extend(items);
        next = following;
    }
    rest
}
