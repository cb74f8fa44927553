//! All that can be read of both sides.

use gitsync_core::Store;
use gitsync_core::model::{Branch, PageRequest, RefName, RepositoryId, TaskKind};
use gitsync_core::state::{RepositoryStatus, TaskStatus};
use gitsync_core::store::{CommitFilter, MAX_STORE_BATCH, RepositoryFilter, TaskFilter};

use crate::pair::{Both, Pair, ask, everything, items, split};
use crate::store::ask_both;

impl Pair {
    /// Compares all there is.
    pub(crate) async fn compare(&self) {
        let pair = self;
        let page = everything();
        let active = RepositoryFilter { status: Some(RepositoryStatus::Active), ..RepositoryFilter::default() };
        for filter in [RepositoryFilter::default(), active] {
            let _ = ask_both!(pair, Both::same(()), |store, _nothing| async {
                items(store.list_repositories(&filter, &page).await)
            });
        }
        let failed =
            TaskFilter { status: Some(TaskStatus::Failed), kind: Some(TaskKind::Sync), ..TaskFilter::default() };
        for filter in [TaskFilter::default(), failed] {
            let _ = ask_both!(pair, Both::same(()), |store, _nothing| async {
                items(store.list_tasks(&filter, &page).await)
            });
        }
        let _ = ask!(pair, store.outbox(MAX_STORE_BATCH));
        let _ = ask_both!(pair, Both::same(()), |store, _nothing| async {
            // Those that were seen at the same moment may come in any order.
            let mut known = store.storages().await?;
            known.storages.sort_by(|a, b| a.name.cmp(&b.name));
            Ok(known)
        });
        let _ = ask!(pair, queue.stats());
        for id in pair.tasks.iter().rev().take(4) {
            let _ = ask_both!(pair, *id, |store, id| store.task(id));
        }
        let Both { reference, subject } = split(&pair.tasks);
        let _ = ask_both!(pair, Both { reference: &reference, subject: &subject }, |store, ids| async {
            let mut tasks = store.tasks(ids).await?;
            tasks.sort_by_key(|task| task.id);
            Ok(tasks)
        });
        for id in &pair.all_repositories {
            pair.compare_repository(*id).await;
        }
    }

    async fn compare_repository(&self, id: Both<RepositoryId>) {
        let (pair, page) = (self, &everything());
        let _ = ask_both!(pair, id, |store, id| store.repository(id));
        let _ = ask_both!(pair, id, |store, id| store.baseline(id));
        let _ = ask_both!(pair, id, |store, id| store.push_targets(id));
        let _ = ask_both!(pair, id, |store, id| async { items(store.list_branches(id, page).await) });
        let _ = ask_both!(pair, id, |store, id| async { items(store.list_ref_updates(id, page).await) });
        let filter = |branch, include_orphaned| CommitFilter { branch, include_orphaned, ..CommitFilter::default() };
        let branch = |number: u8| RefName::branch(format!("{number}")).expect("a branch name");
        let some = CommitFilter {
            author_email: Some("e1".into()),
            since_seconds: Some(-5),
            until_seconds: Some(7),
            ..filter(None, true)
        };
        let of_branches = (0..3).map(|number| filter(Some(branch(number)), number == 0));
        for filter in [filter(None, false), filter(None, true), some].into_iter().chain(of_branches) {
            let _ = ask_both!(pair, id, |store, id| async { items(store.list_commits(id, &filter, page).await) });
        }
        pair.compare_pages(id).await;
    }

    /// Walks through the branches two at a time; the cursors are each store's own.
    async fn compare_pages(&self, id: Both<RepositoryId>) {
        let pair = self;
        let _ = ask_both!(pair, id, |store, id| async {
            let (mut walked, mut after) = (Vec::<Branch>::new(), None);
            loop {
                let page = store.list_branches(id, &PageRequest::new(2, after)?).await?;
                walked.extend(page.items);
                after = page.next;
                if after.is_none() {
                    return Ok(walked);
                }
            }
        });
    }
}
