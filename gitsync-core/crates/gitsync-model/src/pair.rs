//! The reference and the database under test, which are asked the same.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::resume_unwind;
use std::sync::Arc;

use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{MAX_PAGE_ITEMS, OrganisationId, Page, PageRequest, RepositoryId, TaskId};
use gitsync_core::queue::Lease;
use gitsync_core::store::{TaskFilter, Work};
use gitsync_core::testing::ManualClock;
use gitsync_core::testing::queue_suite::LIMITS;
use gitsync_core::{Clock, Error, JobQueue, Result, Store, Timestamp};

use crate::Database;
use crate::call::{Call, Held, Right, Which};
use crate::ids::Ids;
use crate::values::later;

/// How many calls are made between two comparisons of all there is.
const COMPARE_EVERY: usize = 30;

/// A store and a queue.
pub(crate) struct Side {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: Arc<dyn JobQueue>,
}

/// A value of the reference and what it is for the database under test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Both<T> {
    pub(crate) reference: T,
    pub(crate) subject: T,
}

impl<T: Copy> Both<T> {
    pub(crate) fn same(value: T) -> Self {
        Both { reference: value, subject: value }
    }
}

/// Both sides, and what is known of their answers.
pub(crate) struct Pair {
    pub(crate) reference: Side,
    pub(crate) subject: Side,
    pub(crate) clock: ManualClock,
    pub(crate) organisation: OrganisationId,
    pub(crate) ids: Ids,
    /// By the number in the name: the last that had it.
    pub(crate) repositories: BTreeMap<u8, Both<RepositoryId>>,
    /// All repositories there ever were.
    pub(crate) all_repositories: Vec<Both<RepositoryId>>,
    /// All tasks there ever were, and some that there never were.
    pub(crate) tasks: Vec<Both<TaskId>>,
    /// By the number in the name of the repository.
    pub(crate) rights: BTreeMap<u8, Vec<Both<Work>>>,
    pub(crate) leases: Vec<Both<Lease>>,
    /// The ids of jobs that are no task's, by their number.
    pub(crate) jobs: BTreeMap<u8, TaskId>,
    pub(crate) epoch: i64,
    calls: usize,
    _kept: Box<dyn Any>,
}

/// Asks both sides the same and compares the answers, or the kinds of errors; returns the reference's.
macro_rules! ask {
    ($pair:ident, $side:ident.$method:ident($($argument:expr),*)) => {{
        let expected = $pair.reference.$side.$method($($argument),*).await;
        let answer = $pair.subject.$side.$method($($argument),*).await;
        $pair.expect_same(stringify!($method), &expected, &answer);
        expected
    }};
}
pub(crate) use ask;

impl Pair {
    pub(crate) async fn open<D: Database>() -> Pair {
        let clock = ManualClock::default();
        let memory = Side {
            store: Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
            queue: Arc::new(MemoryQueue::new(Arc::new(clock.clone()), LIMITS)),
        };
        let opened = D::open(clock.clone(), LIMITS).await;
        let subject = Side { store: opened.store, queue: opened.queue };
        let slug = "org".parse().expect("a slug");
        let mut organisations = Vec::new();
        for side in [&memory, &subject] {
            organisations
                .push(side.store.create_organisation(&slug, "Org").await.expect("an organisation can be made"));
        }
        assert_eq!(organisations[0], organisations[1]);
        Pair {
            reference: memory,
            subject,
            clock,
            organisation: organisations[0].id,
            ids: Ids::default(),
            repositories: BTreeMap::new(),
            all_repositories: Vec::new(),
            tasks: Vec::new(),
            rights: BTreeMap::new(),
            leases: Vec::new(),
            jobs: BTreeMap::new(),
            epoch: 10,
            calls: 0,
            _kept: opened.kept,
        }
    }

    /// Makes a call to both sides, and now and then compares all there is.
    pub(crate) async fn call(&mut self, call: Call) {
        match call {
            Call::Enqueue(_)
            | Call::Claim { .. }
            | Call::Heartbeat(_)
            | Call::AskForCancellations(_)
            | Call::FinishJobs(_)
            | Call::CancelJobs { .. }
            | Call::ForgetHosts { .. }
            | Call::Work { .. } => self.call_queue(call).await,
            Call::Wait { seconds } => self.clock.set(self.in_seconds(seconds)),
            call => self.call_store(call).await,
        }
        let _ = ask!(self, queue.stats());
        self.calls += 1;
        if self.calls.is_multiple_of(COMPARE_EVERY) {
            self.compare().await;
        }
    }

    /// Ends the test if two answers differ. It does so without the noise of a panic, since that is tried again and again with
    /// shorter sequences.
    pub(crate) fn expect_same<T: Debug>(&self, what: &str, expected: &Result<T>, answer: &Result<T>) {
        let written =
            |answer: &Result<T>, write: &dyn Fn(&T) -> String| answer.as_ref().map(write).map_err(Error::kind);
        let expected = written(expected, &|value| format!("{value:?}"));
        let answer = written(answer, &|value| self.ids.translate(value));
        if expected != answer {
            differ(what, &expected, &answer);
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn in_seconds(&self, seconds: u64) -> Timestamp {
        later(self.now(), seconds)
    }

    /// Returns the repository of a name; one that does not exist if there never was one.
    pub(crate) fn repository(&self, number: u8) -> Both<RepositoryId> {
        self.repositories.get(&number).copied().unwrap_or(Both::same(RepositoryId(77_777)))
    }

    /// Returns one of a repository's tasks; one that does not exist if there is none.
    pub(crate) async fn task(&self, repository: u8, which: Which) -> Both<TaskId> {
        let Both { reference, subject } = self.repository(repository);
        let found = (self.reference.find_task(reference, which).await, self.subject.find_task(subject, which).await);
        match found {
            (Some(reference), Some(subject)) => Both { reference, subject },
            (None, None) => Both::same(TaskId::generate()),
            found => differ("the tasks of a repository", &found.0, &found.1),
        }
    }

    /// Returns a right to write; one that nobody gave if there is none.
    pub(crate) fn right(&self, right: Right) -> Both<Work> {
        let given = self.rights.get(&right.repository);
        let found = given.and_then(|given| given.iter().rev().nth(right.before.min(given.len().saturating_sub(1))));
        found.copied().unwrap_or_else(|| {
            let (Both { reference, subject }, task) = (self.repository(right.repository), TaskId::generate());
            let work = |repository| Work { task, repository, fence: 1 };
            Both { reference: work(reference), subject: work(subject) }
        })
    }

    /// Returns those leases there are.
    pub(crate) fn leases<'a>(&self, held: impl IntoIterator<Item = &'a Held>) -> Vec<Both<Lease>> {
        held.into_iter().filter_map(|held| self.lease(*held)).collect()
    }

    pub(crate) fn lease(&self, held: Held) -> Option<Both<Lease>> {
        self.leases.iter().rev().nth(held.before).copied()
    }
}

impl Side {
    async fn find_task(&self, repository: RepositoryId, which: Which) -> Option<TaskId> {
        let filter = TaskFilter { repository: Some(repository), ..TaskFilter::default() };
        let tasks = self.store.list_tasks(&filter, &everything()).await.expect("tasks can be listed").items;
        use gitsync_core::state::TaskStatus::{Pending, Running};
        let mut tasks = tasks.into_iter();
        let found = tasks.find(|task| match which {
            Which::Waiting => task.status == Pending,
            Which::Running => task.status == Running,
            Which::Ended => task.status.is_terminal(),
        });
        found.map(|task| task.id)
    }
}

/// Asks for the first page, as long as can be.
pub(crate) fn everything() -> PageRequest {
    PageRequest::new(MAX_PAGE_ITEMS, None).expect("the limit is allowed")
}

/// A page as both sides should have it: where the next one begins is each one's own.
pub(crate) fn items<T>(page: Result<Page<T>>) -> Result<(Vec<T>, bool)> {
    page.map(|page| (page.items, page.next.is_some()))
}

/// Returns the first of each pair, and the second.
pub(crate) fn split<T: Copy>(both: &[Both<T>]) -> Both<Vec<T>> {
    Both {
        reference: both.iter().map(|both| both.reference).collect(),
        subject: both.iter().map(|both| both.subject).collect(),
    }
}

pub(crate) fn differ<T: Debug, U: Debug>(what: &str, expected: &T, answer: &U) -> ! {
    resume_unwind(Box::new(format!("{what} differs\n  reference: {expected:?}\n  database:  {answer:?}")))
}
