//! What the cases are given, and the steps they are made of.

use std::any::Any;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::cancel::Cancellation;
use crate::engine::EngineOptions;
use crate::engine::GitSync;
use crate::memory::ScriptedBackend;
use crate::model::{MAX_PAGE_ITEMS, PageRequest, RepositoryId, SyncTask};
use crate::queue::JobQueue;
use crate::store::{Store, TaskFilter};
use crate::testing::store_suite::StoreHarness;
use crate::testing::{ManualClock, Offline};

/// A store and a queue, as one process has them open.
type Opened = (Arc<dyn Store>, Arc<dyn JobQueue>);

/// How many calls a case makes at once to set things up.
const AT_ONCE: usize = 16;

/// An empty database under test, opened by two processes.
#[derive(Debug)]
pub struct EngineHarness {
    /// The store and the queue of each process.
    pub opened: [Opened; 2],
    /// The clock that all go by.
    pub clock: ManualClock,
    /// What upstreams are.
    pub(super) backend: ScriptedBackend,
    disk: TempDir,
    #[allow(dead_code)]
    kept: Option<Box<dyn Any + Send + Sync>>,
}

impl EngineHarness {
    /// Brings two openings of one database and their clock together.
    ///
    /// # Panics
    /// If there can be no temporary directory.
    pub fn new(opened: [Opened; 2], clock: ManualClock) -> Self {
        let disk = tempfile::tempdir().expect("a temporary directory");
        EngineHarness { opened, clock, backend: ScriptedBackend::new(), disk, kept: None }
    }

    /// As [`new`](Self::new), of a database that is store and queue in one.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    pub fn of_databases<D: Store + JobQueue + 'static>(databases: [Arc<D>; 2], clock: ManualClock) -> Self {
        EngineHarness::new(databases.map(|database| (Arc::clone(&database) as _, database as _)), clock)
    }

    /// Keeps a value, such as a temporary directory, for as long as the database is used.
    #[must_use]
    pub fn keep(mut self, kept: impl Any + Send + Sync) -> Self {
        self.kept = Some(Box::new(kept));
        self
    }

    /// Returns an engine for each process, on one disk.
    pub(super) fn engines(&self, options: &EngineOptions) -> [GitSync; 2] {
        self.opened.clone().map(|(store, queue)| {
            let engine = GitSync::builder().store(store).queue(queue).backend(Arc::new(self.backend.clone()));
            let engine = engine.transport(Arc::new(Offline)).clock(Arc::new(self.clock.clone()));
            engine.repos_dir(self.disk.path()).options(options.clone()).build().expect("an engine")
        })
    }

    /// Returns the steps of the cases of the store.
    pub(super) fn of_store(&self) -> StoreHarness {
        StoreHarness::new(Arc::clone(&self.opened[0].0), self.clock.clone())
    }

    /// Does something `count` times, several at once.
    pub(super) async fn times<F: Future<Output = ()>>(count: usize, step: impl Fn(usize) -> F) {
        stream::iter(0..count).map(step).buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Returns all tasks that a filter finds, newest first.
    pub(super) async fn tasks(&self, filter: &TaskFilter) -> Vec<SyncTask> {
        let (mut tasks, mut after) = (Vec::new(), None);
        loop {
            let page = PageRequest::new(MAX_PAGE_ITEMS, after).expect("the limit is allowed");
            let page = self.opened[1].0.list_tasks(filter, &page).await.expect("tasks can be listed");
            tasks.extend(page.items);
            after = page.next;
            if after.is_none() {
                return tasks;
            }
        }
    }
}

/// A role that runs beside the case until it is ended.
pub(super) struct Running {
    shutdown: Cancellation,
    task: JoinHandle<()>,
}

impl Running {
    pub(super) fn start<F: Future<Output = ()> + Send + 'static>(role: impl FnOnce(Cancellation) -> F) -> Self {
        let shutdown = Cancellation::new();
        Running { task: tokio::spawn(role(shutdown.clone())), shutdown }
    }

    pub(super) async fn end(self) {
        self.shutdown.cancel();
        self.task.await.expect("a role does not panic");
    }
}

/// Returns the repositories of tasks, in order.
pub(super) fn repositories(tasks: &[SyncTask]) -> Vec<RepositoryId> {
    let mut repositories: Vec<_> = tasks.iter().map(|task| task.repository).collect();
    repositories.sort_unstable();
    repositories
}
