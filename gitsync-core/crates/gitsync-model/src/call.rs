//! What is called: values without any id, so that a sequence means the same when some of it is left out.

use std::collections::BTreeSet;

use gitsync_core::model::{Commit, ObjectId, Progress, TaskKind, TaskParameters};
use gitsync_core::queue::HostReport;
use gitsync_core::rules::PushOutcome;
use gitsync_core::store::{Recording, RepositoryPatch};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::ReferenceStateMachine;

use crate::values::{self, End, Wish};

/// A call, or a few that belong together, to a store or a queue.
///
/// Repositories are known by the number in their name, tasks by their repository and what they are doing, the rights to
/// write and the leases by how long ago they were given.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Create { name: u8, wish: Wish },
    Request { repository: u8, kind: TaskKind, parameters: TaskParameters },
    RequestDue { limit: usize },
    Start { repository: u8, which: Which, is_late: bool },
    Record { right: Right, commits: Vec<Commit>, orphans: Vec<ObjectId>, is_whole: bool },
    Progress { right: Right, progress: Progress },
    Finish { right: Right, end: End, recording: Option<Recording>, next: Option<u64> },
    Purge { right: Right, limit: usize },
    Edit { repository: u8, version: i64, patch: RepositoryPatch },
    Archive { repository: u8 },
    Unarchive { repository: u8 },
    CancelTask { repository: u8, which: Which },
    AddPushTarget { repository: u8, target: u8 },
    RemovePushTarget { repository: u8, target: u8 },
    Push { right: Right, target: u8, outcome: PushOutcome },
    Prune { tasks: u64, log: u64, limit: usize },
    ReportStorage { storage: u8, disk: u8, machine: u8, is_shared: bool, free_bytes: u64 },
    Relay { limit: usize, is_enqueued: bool, is_marked: bool },
    Enqueue(Vec<Job>),
    Claim { limit: usize, storages: u8 },
    Heartbeat(Vec<Held>),
    AskForCancellations(Vec<Held>),
    FinishJobs(Vec<(Held, End, HostReport)>),
    CancelJobs { jobs: Vec<u8>, tasks_of: Option<u8> },
    ForgetHosts { limit: usize },
    Work { end: End, report: HostReport },
    Wait { seconds: u64 },
}

/// One of a repository's tasks: the newest that is so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Waiting,
    Running,
    Ended,
}

/// A right to write for a repository: the one given last, or one of those before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Right {
    pub(crate) repository: u8,
    pub(crate) before: usize,
}

/// A lease: the one given last, or one of those before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) before: usize,
}

/// A job that is no task's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) number: u8,
    pub(crate) storage: u8,
    pub(crate) host: u8,
    pub(crate) priority: i16,
    /// From now, in seconds.
    pub(crate) due: i64,
    pub(crate) attempt: u32,
    pub(crate) epoch: i64,
}

/// What was called so far, as far as later calls are chosen by it: repositories, by the numbers in their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    created: BTreeSet<u8>,
    /// Those that should have a task that waits.
    waiting: BTreeSet<u8>,
    /// Those that should have a task that runs.
    running: BTreeSet<u8>,
}

/// How many names repositories have.
const NAMES: u8 = 8;

impl ReferenceStateMachine for Machine {
    type State = Machine;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Machine> {
        Just(Machine::default()).boxed()
    }

    fn transitions(machine: &Machine) -> BoxedStrategy<Call> {
        let weight = |some: &BTreeSet<u8>, weight| if some.is_empty() { 1 } else { weight };
        prop_oneof![
            if machine.created.is_empty() { 20 } else { 1 } => machine.create(),
            5 => machine.of_a_repository(),
            weight(&machine.waiting, 4) => machine.start(),
            weight(&machine.running, 7) => machine.of_a_running_task(),
            3 => of_all_repositories(),
            8 => of_the_queue(),
            2 => wait(),
        ]
        .boxed()
    }

    fn apply(mut machine: Machine, call: &Call) -> Machine {
        match call {
            Call::Create { name, .. } => {
                machine.created.insert(*name);
                machine.waiting.insert(*name);
            }
            Call::Request { repository, .. } => drop(machine.waiting.insert(*repository)),
            Call::Start { repository, .. } => {
                machine.waiting.remove(repository);
                machine.running.insert(*repository);
            }
            Call::Finish { right, end, .. } => {
                machine.running.remove(&right.repository);
                if matches!(end, End::Retry { .. } | End::Released) {
                    machine.waiting.insert(right.repository);
                }
            }
            _ => {}
        }
        machine
    }
}

impl Machine {
    /// Mostly under a new name.
    fn create(&self) -> BoxedStrategy<Call> {
        let new = (0..NAMES).filter(|name| !self.created.contains(name)).collect();
        (one_of(&new), values::wish()).prop_map(|(name, wish)| Call::Create { name, wish }).boxed()
    }

    fn of_a_repository(&self) -> BoxedStrategy<Call> {
        let repository = one_of(&self.created);
        let request = (repository.clone(), values::kind(), values::parameters());
        let edit = (repository.clone(), 1..4_i64, values::patch());
        let cancel = (repository.clone(), which());
        let add = (repository.clone(), values::push_target());
        let remove = (repository.clone(), values::push_target());
        prop_oneof![
            4 => request.prop_map(|(repository, kind, parameters)| Call::Request { repository, kind, parameters }),
            1 => edit.prop_map(|(repository, version, patch)| Call::Edit { repository, version, patch }),
            1 => repository.clone().prop_map(|repository| Call::Archive { repository }),
            1 => repository.prop_map(|repository| Call::Unarchive { repository }),
            1 => cancel.prop_map(|(repository, which)| Call::CancelTask { repository, which }),
            2 => add.prop_map(|(repository, target)| Call::AddPushTarget { repository, target }),
            1 => remove.prop_map(|(repository, target)| Call::RemovePushTarget { repository, target }),
        ]
        .boxed()
    }

    fn start(&self) -> BoxedStrategy<Call> {
        let start = (one_of(&self.waiting), which(), prop::bool::weighted(0.1));
        start.prop_map(|(repository, which, is_late)| Call::Start { repository, which, is_late }).boxed()
    }

    fn of_a_running_task(&self) -> BoxedStrategy<Call> {
        let right = (one_of(&self.running), prop_oneof![9 => Just(0), 1 => 1..4_usize])
            .prop_map(|(repository, before)| Right { repository, before })
            .boxed();
        let lists = (vec(values::commit(), 0..6), vec(values::object_id(), 0..3));
        let record = (right.clone(), lists, prop::bool::weighted(0.25));
        let finish = (right.clone(), values::end_of_task(), prop::option::of(0..300_u64));
        let progress = (right.clone(), values::progress());
        let push = (right.clone(), values::push_target(), values::push_outcome());
        prop_oneof![
            2 => record.prop_map(|(right, (commits, orphans), is_whole)| {
                Call::Record { right, commits, orphans, is_whole }
            }),
            1 => progress.prop_map(|(right, progress)| Call::Progress { right, progress }),
            2 => push.prop_map(|(right, target, outcome)| Call::Push { right, target, outcome }),
            3 => finish.prop_map(|(right, (end, recording), next)| Call::Finish { right, end, recording, next }),
            1 => (right, 0..20_usize).prop_map(|(right, limit)| Call::Purge { right, limit }),
        ]
        .boxed()
    }
}

/// Mostly one of some repositories.
fn one_of(some: &BTreeSet<u8>) -> BoxedStrategy<u8> {
    if some.is_empty() {
        return (0..NAMES).boxed();
    }
    let some: Vec<_> = some.iter().copied().collect();
    prop_oneof![15 => select(some), 1 => 0..NAMES].boxed()
}

/// What nobody asks for.
fn of_all_repositories() -> BoxedStrategy<Call> {
    let relay = (0..9_usize, any::<bool>(), any::<bool>());
    let prune = (0..900_u64, 0..600_u64, 0..100_usize);
    let report = (0..3_u8, prop_oneof![6 => Just(0_u8), 1 => Just(1_u8)], 0..2_u8, any::<bool>(), 0..4_u64);
    prop_oneof![
        2 => (0..4_usize).prop_map(|limit| Call::RequestDue { limit }),
        2 => relay.prop_map(|(limit, is_enqueued, is_marked)| Call::Relay { limit, is_enqueued, is_marked }),
        1 => prune.prop_map(|(tasks, log, limit)| Call::Prune { tasks, log, limit }),
        1 => report.prop_map(|(storage, disk, machine, is_shared, free_bytes)| {
            Call::ReportStorage { storage, disk, machine, is_shared, free_bytes }
        }),
    ]
    .boxed()
}

/// Mostly less than a lease lasts, and now and then longer than an attempt may take.
fn wait() -> BoxedStrategy<Call> {
    let seconds = prop_oneof![4 => 1..10_u64, 2 => 20..70_u64, 1 => 100..400_u64];
    seconds.prop_map(|seconds| Call::Wait { seconds }).boxed()
}

fn of_the_queue() -> BoxedStrategy<Call> {
    let storages = prop_oneof![3 => Just(3_u8), 1 => 0..3_u8];
    let claim = (0..6_usize, storages);
    let cancel = (vec(0..8_u8, 0..4), prop::option::of(0..NAMES));
    prop_oneof![
        3 => vec(job(), 1..5).prop_map(Call::Enqueue),
        3 => claim.prop_map(|(limit, storages)| Call::Claim { limit, storages }),
        1 => vec(held(), 0..4).prop_map(Call::Heartbeat),
        1 => vec(held(), 0..4).prop_map(Call::AskForCancellations),
        2 => vec((held(), values::end(), values::report()), 0..4).prop_map(Call::FinishJobs),
        1 => cancel.prop_map(|(jobs, tasks_of)| Call::CancelJobs { jobs, tasks_of }),
        1 => (0..3_usize).prop_map(|limit| Call::ForgetHosts { limit }),
        2 => (values::end(), values::report()).prop_map(|(end, report)| Call::Work { end, report }),
    ]
    .boxed()
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![8 => Just(Which::Waiting), 1 => Just(Which::Running), 1 => Just(Which::Ended)]
}

fn held() -> impl Strategy<Value = Held> {
    (0..8_usize).prop_map(|before| Held { before })
}

fn job() -> impl Strategy<Value = Job> {
    (0..8_u8, 0..2_u8, 0..3_u8, -1..2_i16, -10..5_i64, 0..4_u32, 0..5_i64).prop_map(
        |(number, storage, host, priority, due, attempt, epoch)| Job {
            number,
            storage,
            host,
            priority,
            due,
            attempt,
            epoch,
        },
    )
}
