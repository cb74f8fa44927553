//! The store against the one in memory: whatever is called in whatever order, both answer alike and hold the same.
//!
//! Each seed is a run of its own and is printed when it fails. `GITSYNC_SEEDS=from..to` runs others.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod random;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use gitsync_core::memory::MemoryStore;
use gitsync_core::model::{PageRequest, Progress, RefName, Repository, RepositoryId, SyncTask, TaskId, TaskKind};
use gitsync_core::queue::QueueLimits;
use gitsync_core::rules::Outcome;
use gitsync_core::state::TaskStatus;
use gitsync_core::store::{CommitFilter, MAX_STORE_BATCH, RepositoryFilter, Retention, StartedTask, TaskFilter, Work};
use gitsync_core::testing::ManualClock;
use gitsync_core::{Clock, ErrorKind, Result, Store};
use gitsync_store_sqlite::SqliteStore;

use support::{place, seeds, slug};

/// What both stores are asked, and what is known of their answers.
struct Run {
    rng: Rng,
    clock: ManualClock,
    memory: MemoryStore,
    sqlite: SqliteStore,
    repositories: Vec<RepositoryId>,
    tasks: Vec<TaskId>,
    works: Vec<Work>,
    epoch: i64,
}

/// Asks both stores and compares the answers, or the kinds of errors.
macro_rules! ask {
    ($run:ident, $at:ident, |$store:ident| $call:expr) => {{
        let expected = {
            let $store = &$run.memory;
            $call.await
        };
        let answer = {
            let $store = &$run.sqlite;
            $call.await
        };
        assert_eq!(comparable(&answer), comparable(&expected), "{}: {}", $at, stringify!($call));
        expected
    }};
}

fn comparable<T: std::fmt::Debug>(answer: &Result<T>) -> Result<String, ErrorKind> {
    answer.as_ref().map(|answer| format!("{answer:#?}")).map_err(gitsync_core::Error::kind)
}

fn everything() -> PageRequest {
    PageRequest::new(1000, None).unwrap()
}

impl Run {
    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        (!of.is_empty()).then(|| of[self.rng.usize(..of.len())])
    }

    fn repository(&mut self) -> RepositoryId {
        let known = self.repositories.clone();
        self.pick(&known).unwrap_or(RepositoryId(77))
    }

    /// Does one call to both.
    async fn step(&mut self, at: &str) {
        let run = self;
        match run.rng.u8(..17) {
            0 | 1 => {
                let new = run.new_repository();
                if let Ok((repository, task)) = ask!(run, at, |store| store.create_repository(&new)) {
                    run.repositories.push(repository.id);
                    run.tasks.push(task.id);
                }
            }
            2..=4 => {
                let (id, request) = (run.repository(), run.request());
                if let Ok(answer) = ask!(run, at, |store| store.request_task(id, &request)) {
                    run.tasks.push(answer.task.id);
                }
            }
            5..=7 => run.start(at).await,
            8 | 9 => {
                let Some(work) = run.work() else { return };
                let _ = ask!(run, at, |store| store.begin_recording(work));
                let commits: Vec<_> = (0..run.rng.u8(..6)).map(|_| run.commit()).collect();
                let _ = ask!(run, at, |store| store.record_commits(work, &commits));
                let orphans: Vec<_> = (0..run.rng.u8(..3)).map(|_| run.id()).collect();
                let _ = ask!(run, at, |store| store.orphan_commits(work, &orphans));
                if run.rng.u8(..4) == 0 {
                    // All at once: which go first is each store's own.
                    let _ = ask!(run, at, |store| store.orphan_unrecorded(work, MAX_STORE_BATCH));
                }
            }
            10..=12 => {
                let Some(work) = run.work() else { return };
                let outcome = run.outcome();
                let recording = (run.rng.u8(..4) > 0).then(|| run.recording());
                let recording = recording.filter(|_| matches!(outcome, Outcome::Completed(_)));
                let next = run.rng.bool().then(|| run.clock.now().after(Duration::from_secs(run.rng.u64(..300))));
                let _ = ask!(run, at, |store| store.finish_task(work, &outcome, recording.as_ref(), next));
            }
            13 => {
                let (id, version, patch) = (run.repository(), run.rng.i64(1..3), run.patch());
                match run.rng.u8(..3) {
                    0 => drop(ask!(run, at, |store| store.archive_repository(id))),
                    1 => drop(ask!(run, at, |store| store.unarchive_repository(id))),
                    _ => drop(ask!(run, at, |store| store.update_repository(id, version, &patch))),
                }
            }
            14 => {
                let tasks = run.tasks.clone();
                let Some(task) = run.pick(&tasks) else { return };
                let _ = ask!(run, at, |store| store.cancel_task(task));
            }
            15 => {
                let Some(work) = run.work() else { return };
                let progress = Progress { phase: "p".into(), objects: run.rng.u64(..9), bytes: 1, commits: 2 };
                let _ = ask!(run, at, |store| store.report_progress(work, &progress));
                let limit = run.rng.usize(..20);
                let _ = ask!(run, at, |store| store.purge_repository(work, limit));
            }
            _ => run.keep_house(at).await,
        }
    }

    fn work(&mut self) -> Option<Work> {
        // Mostly the latest, whose fence is good.
        let works = self.works.clone();
        let recent = &works[works.len().saturating_sub(if self.rng.bool() { 3 } else { 30 })..];
        self.pick(recent)
    }

    async fn start(&mut self, at: &str) {
        let run = self;
        let tasks = run.tasks.clone();
        let recent = &tasks[tasks.len().saturating_sub(6)..];
        let Some(task) = run.pick(recent) else { return };
        run.epoch += 1;
        let epoch = run.epoch - i64::from(run.rng.u8(..10) == 0) * 5;
        if let Ok(StartedTask::Run(started)) = ask!(run, at, |store| store.start_task(task, epoch, 1)) {
            run.works.push(started.work);
        }
    }

    /// What nobody asks for: the outbox, retention, and time. The schedule gives ids of its own, so it has its own test.
    async fn keep_house(&mut self, at: &str) {
        let run = self;
        run.clock.advance(Duration::from_secs(run.rng.u64(1..200)));
        let limit = run.rng.usize(..9);
        let jobs = ask!(run, at, |store| store.outbox(limit)).unwrap();
        if run.rng.bool() {
            let _ = ask!(run, at, |store| store.mark_enqueued(&jobs));
        }
        let retention = Retention {
            tasks_before: run.clock.now().before(Duration::from_secs(900)),
            ref_updates_before: run.clock.now().before(Duration::from_secs(600)),
            limit: 100,
        };
        let _ = ask!(run, at, |store| store.prune(&retention));
    }

    /// Compares all that can be read.
    async fn compare(&self, at: &str) {
        let run = self;
        let page = everything();
        let _ = ask!(run, at, |store| store.list_repositories(&RepositoryFilter::default(), &page));
        let _ = ask!(run, at, |store| store.list_tasks(&TaskFilter::default(), &page));
        let failed =
            TaskFilter { status: Some(TaskStatus::Failed), kind: Some(TaskKind::Sync), ..TaskFilter::default() };
        let _ = ask!(run, at, |store| store.list_tasks(&failed, &page));
        for id in run.repositories.iter().copied() {
            let _: Result<Repository> = ask!(run, at, |store| store.repository(id));
            let _ = ask!(run, at, |store| store.baseline(id));
            let _ = ask!(run, at, |store| store.list_branches(id, &page));
            let _ = ask!(run, at, |store| store.list_ref_updates(id, &page));
            for include_orphaned in [false, true] {
                let filter = CommitFilter { include_orphaned, ..CommitFilter::default() };
                let _ = ask!(run, at, |store| store.list_commits(id, &filter, &page));
            }
            let filter = CommitFilter {
                author_email: Some("e1".into()),
                since_seconds: Some(-5),
                until_seconds: Some(7),
                include_orphaned: true,
                ..CommitFilter::default()
            };
            let _ = ask!(run, at, |store| store.list_commits(id, &filter, &page));
            for name in 0..3 {
                let branch = Some(RefName::branch(format!("{name}")).unwrap());
                let filter = CommitFilter { branch, include_orphaned: name == 0, ..CommitFilter::default() };
                let _ = ask!(run, at, |store| store.list_commits(id, &filter, &page));
            }
            run.compare_pages(at, id).await;
        }
        for id in run.tasks.iter().copied() {
            let _: Result<SyncTask> = ask!(run, at, |store| store.task(id));
        }
    }

    /// Walks through the branches two at a time; the cursors are each store's own.
    async fn compare_pages(&self, at: &str, id: RepositoryId) {
        let Ok(whole) = self.memory.list_branches(id, &everything()).await else { return };
        let (mut walked, mut after) = (Vec::new(), None);
        loop {
            let page = self.sqlite.list_branches(id, &PageRequest::new(2, after).unwrap()).await.unwrap();
            walked.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(walked, whole.items, "{at}: pages of branches");
    }
}

async fn run(seed: u64) {
    let (_directory, path) = place();
    let clock = ManualClock::default();
    let sqlite = SqliteStore::open(path, Arc::new(clock.clone()), QueueLimits::default()).await.unwrap();
    let memory = MemoryStore::new(Arc::new(clock.clone()));
    let mut run = Run {
        rng: Rng::with_seed(seed),
        clock,
        memory,
        sqlite,
        repositories: Vec::new(),
        tasks: Vec::new(),
        works: Vec::new(),
        epoch: 10,
    };
    let at = format!("seed {seed}, begin");
    ask!(run, at, |store| store.create_organisation(&slug("o"), "O")).unwrap();
    for step in 0..150 {
        let at = format!("seed {seed}, step {step}");
        run.step(&at).await;
        if step % 10 == 9 {
            run.compare(&at).await;
        }
    }
}

#[tokio::test]
async fn both_stores_hold_the_same() {
    for seed in seeds(0..12) {
        run(seed).await;
    }
}
