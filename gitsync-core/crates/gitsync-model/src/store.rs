//! The calls of the store.

use gitsync_core::Store;
use gitsync_core::model::{Layout, Repository, SourceType, StorageReport, SyncTask, TaskId};
use gitsync_core::rules::{Outcome, Request};
use gitsync_core::store::{MAX_STORE_BATCH, NewRepository, Recording, Retention, StartedTask};

use crate::call::{Call, Right};
use crate::pair::{Both, Pair, ask};
use crate::queue::STORAGES;
use crate::values::{Wish, push_url, source_url};

/// Asks each side about what is its own of two things, and compares the answers.
macro_rules! ask_both {
    ($pair:ident, $both:expr, |$store:ident, $its:ident| $call:expr) => {{
        let both = $both;
        let ask = async |$store: &dyn Store, $its| $call.await;
        let expected = ask(&*$pair.reference.store, both.reference).await;
        let answer = ask(&*$pair.subject.store, both.subject).await;
        $pair.expect_same(stringify!($call), &expected, &answer);
        expected
    }};
}
pub(crate) use ask_both;

impl Pair {
    pub(crate) async fn call_store(&mut self, call: Call) {
        let pair = self;
        match call {
            Call::Create { name, wish } => pair.create(name, wish).await,
            Call::Request { repository, kind, parameters } => {
                let request = Request { kind, parameters, id: TaskId::generate() };
                pair.tasks.push(Both::same(request.id));
                let _ = ask_both!(pair, pair.repository(repository), |store, id| store.request_task(id, &request));
            }
            Call::RequestDue { limit } => pair.request_due(limit).await,
            Call::Start { repository, which, is_late } => {
                pair.epoch += 1;
                let epoch = if is_late { pair.epoch - 5 } else { pair.epoch };
                let task = pair.task(repository, which).await;
                pair.start(repository, task, epoch, 1).await;
            }
            Call::Record { right, commits, orphans, is_whole } => {
                let right = pair.right(right);
                let _ = ask_both!(pair, right, |store, work| store.begin_recording(work));
                let _ = ask_both!(pair, right, |store, work| store.record_commits(work, &commits));
                let _ = ask_both!(pair, right, |store, work| store.orphan_commits(work, &orphans));
                if is_whole {
                    // All at once: which go first is each store's own.
                    let _ = ask_both!(pair, right, |store, work| store.orphan_unrecorded(work, MAX_STORE_BATCH));
                }
            }
            Call::Progress { right, progress } => {
                let _ = ask_both!(pair, pair.right(right), |store, work| store.report_progress(work, &progress));
            }
            Call::Finish { right, end, recording, next } => {
                let outcome = end.of_task(pair.now());
                pair.finish(right, &outcome, recording.as_ref(), next).await;
            }
            Call::Purge { right, limit } => {
                let _ = ask_both!(pair, pair.right(right), |store, work| store.purge_repository(work, limit));
            }
            Call::Edit { repository, version, patch } => {
                let id = pair.repository(repository);
                let _ = ask_both!(pair, id, |store, id| store.update_repository(id, version, &patch));
            }
            Call::Archive { repository } => {
                let _ = ask_both!(pair, pair.repository(repository), |store, id| store.archive_repository(id));
            }
            Call::Unarchive { repository } => {
                let _ = ask_both!(pair, pair.repository(repository), |store, id| store.unarchive_repository(id));
            }
            Call::CancelTask { repository, which } => {
                let _ = ask_both!(pair, pair.task(repository, which).await, |store, id| store.cancel_task(id));
            }
            Call::AddPushTarget { repository, target } => {
                let (id, url) = (pair.repository(repository), push_url(target));
                let _ = ask_both!(pair, id, |store, id| store.add_push_target(id, &url));
            }
            Call::RemovePushTarget { repository, target } => {
                let (id, url) = (pair.repository(repository), push_url(target));
                let _ = ask_both!(pair, id, |store, id| store.remove_push_target(id, &url));
            }
            Call::Push { right, target, outcome } => {
                let (right, url) = (pair.right(right), push_url(target));
                let _ = ask_both!(pair, right, |store, work| store.record_push(work, &url, &outcome));
            }
            call => pair.keep_house(call).await,
        }
    }

    /// What nobody asks for.
    async fn keep_house(&mut self, call: Call) {
        let pair = self;
        let before = |seconds| pair.now().before(std::time::Duration::from_secs(seconds));
        match call {
            Call::Prune { tasks, log, limit } => {
                let retention = Retention { tasks_before: before(tasks), ref_updates_before: before(log), limit };
                let _ = ask!(pair, store.prune(&retention));
            }
            Call::ReportStorage { storage, disk, machine, is_shared, free_bytes } => {
                let (name, machine) = (format!("disk{storage}"), format!("machine{machine}"));
                let name = name.parse().expect("a storage name");
                let disk = format!("0198c0de-0000-7000-8000-{disk:012}").parse().expect("the id of a disk");
                let serves_for = std::time::Duration::from_secs(60);
                let report = StorageReport { name, disk, machine, is_shared, free_bytes, serves_for };
                let _ = ask!(pair, store.report_storage(&report));
            }
            Call::Relay { limit, is_enqueued, is_marked } => pair.relay(limit, is_enqueued, is_marked).await,
            other => unreachable!("{other:?} is no call of the store"),
        }
    }

    async fn create(&mut self, number: u8, wish: Wish) {
        let pair = self;
        let name = format!("{}{number}", if wish.is_upper { "R" } else { "r" });
        let source = wish.source.map(|host| source_url(host).parse().expect("a source"));
        let new = NewRepository {
            organisation: pair.organisation,
            name: name.parse().expect("a name"),
            description: "d".into(),
            owner: "o".into(),
            is_public: wish.is_public,
            layout: if wish.is_mirror { Layout::Mirror } else { Layout::Bare },
            source,
            source_type: SourceType::Custom,
            storage: STORAGES[usize::from(wish.storage)].parse().expect("a storage name"),
            exclude_refs: Vec::new(),
            depth: None,
            task: TaskId::generate(),
        };
        let created =
            (pair.reference.store.create_repository(&new).await, pair.subject.store.create_repository(&new).await);
        if let (Ok((reference, _)), Ok((subject, _))) = &created {
            let both = Both { reference: reference.id, subject: subject.id };
            pair.ids.learn(&both.reference, &both.subject);
            pair.repositories.insert(number, both);
            pair.all_repositories.push(both);
            pair.tasks.push(Both::same(new.task));
            // They were of the repository that had this name before.
            pair.rights.remove(&number);
        }
        pair.expect_same::<(Repository, SyncTask)>("create_repository", &created.0, &created.1);
    }

    /// Each side gives the tasks of the schedule ids of its own.
    async fn request_due(&mut self, limit: usize) {
        let pair = self;
        let found = (pair.reference.store.request_due(limit).await, pair.subject.store.request_due(limit).await);
        if let (Ok(reference), Ok(subject)) = &found {
            for (reference, subject) in reference.tasks.iter().zip(&subject.tasks) {
                pair.ids.learn(&reference.id, &subject.id);
                pair.tasks.push(Both { reference: reference.id, subject: subject.id });
            }
        }
        pair.expect_same("request_due", &found.0, &found.1);
    }

    /// Starts a task, and tells whether there is something to do.
    pub(crate) async fn start(&mut self, repository: u8, task: Both<TaskId>, epoch: i64, attempt: u32) -> bool {
        let pair = self;
        let reference = pair.reference.store.start_task(task.reference, epoch, attempt).await;
        let subject = pair.subject.store.start_task(task.subject, epoch, attempt).await;
        pair.expect_same("start_task", &reference, &subject);
        let (Ok(StartedTask::Run(reference)), Ok(StartedTask::Run(subject))) = (reference, subject) else {
            return false;
        };
        let right = Both { reference: reference.work, subject: subject.work };
        pair.rights.entry(repository).or_default().push(right);
        true
    }

    pub(crate) async fn finish(
        &mut self,
        right: Right,
        outcome: &Outcome,
        recording: Option<&Recording>,
        next: Option<u64>,
    ) {
        let pair = self;
        let (work, next) = (pair.right(right), next.map(|seconds| pair.in_seconds(seconds)));
        let reference = pair.reference.store.finish_task(work.reference, outcome, recording, next).await;
        let subject = pair.subject.store.finish_task(work.subject, outcome, recording, next).await;
        pair.expect_same("finish_task", &reference, &subject);
    }

    /// Hands what is in the outbox to the queue; each side its own.
    async fn relay(&mut self, limit: usize, is_enqueued: bool, is_marked: bool) {
        let pair = self;
        let jobs = (pair.reference.store.outbox(limit).await, pair.subject.store.outbox(limit).await);
        pair.expect_same("outbox", &jobs.0, &jobs.1);
        let (Ok(reference), Ok(subject)) = jobs else { return };
        if is_enqueued {
            let answers = (pair.reference.queue.enqueue(&reference).await, pair.subject.queue.enqueue(&subject).await);
            pair.expect_same("enqueue", &answers.0, &answers.1);
        }
        if is_marked {
            let answers = (
                pair.reference.store.mark_enqueued(&reference).await,
                pair.subject.store.mark_enqueued(&subject).await,
            );
            pair.expect_same("mark_enqueued", &answers.0, &answers.1);
        }
    }
}
