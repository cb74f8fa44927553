//! Whether a database answers as the reference does: random sequences of calls to a [`Store`] and a [`JobQueue`] are made to
//! both, and all that can be seen of them is compared.
//!
//! A sequence that makes them differ is shortened, and printed with the seed that leads to it again.
//!
//! ```
//! use std::sync::Arc;
//!
//! use gitsync_core::memory::{MemoryQueue, MemoryStore};
//! use gitsync_core::queue::QueueLimits;
//! use gitsync_core::testing::ManualClock;
//! use gitsync_model::{Database, Opened, check};
//!
//! struct Memory;
//!
//! impl Database for Memory {
//!     async fn open(clock: ManualClock, limits: QueueLimits) -> Opened {
//!         let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
//!         Opened { store, queue: Arc::new(MemoryQueue::new(Arc::new(clock), limits)), kept: Box::new(()) }
//!     }
//! }
//!
//! check::<Memory>();
//! ```

mod call;
mod ids;
mod pair;
mod queue;
mod store;
mod values;
mod whole;

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use gitsync_core::queue::QueueLimits;
use gitsync_core::testing::{ManualClock, size};
use gitsync_core::{JobQueue, Store};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tokio::runtime::{Builder, Runtime};

use crate::call::{Call, Machine};
use crate::pair::Pair;

/// A kind of database under test.
pub trait Database: 'static {
    /// Makes an empty database that goes by a clock and keeps limits.
    fn open(clock: ManualClock, limits: QueueLimits) -> impl Future<Output = Opened>;
}

/// A database, opened.
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The queue.
    pub queue: Arc<dyn JobQueue>,
    /// What is kept for as long as they are used, such as a temporary directory.
    pub kept: Box<dyn Any>,
}

impl Opened {
    /// Returns a database that is store and queue in one.
    pub fn new<D: Store + JobQueue + 'static>(database: Arc<D>, kept: impl Any) -> Self {
        Opened { store: Arc::clone(&database) as _, queue: database, kept: Box::new(kept) }
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("store", &self.store).field("queue", &self.queue).finish_non_exhaustive()
    }
}

/// Makes random calls to databases of a kind and compares them with the reference: some sequences, or very many with
/// `GITSYNC_TEST_FULL=1` in the environment. `PROPTEST_RNG_SEED` says which.
///
/// # Panics
/// If they differ.
pub fn check<D: Database>() {
    let usual = Config::default();
    let seed = match usual.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => fastrand::u64(..),
    };
    let config = Config {
        cases: u32::try_from(size(8, 200)).unwrap_or(u32::MAX),
        max_shrink_iters: 1_000,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..usual
    };
    let sequences = Machine::sequential_strategy(1..size(100, 300));
    let outcome = TestRunner::new(config.clone()).run(&sequences, |(machine, calls, seen)| {
        Comparison::<D>::test_sequential(config.clone(), machine, calls, seen);
        Ok(())
    });
    if let Err(difference) = outcome {
        panic!("{difference}\nto see it again: PROPTEST_RNG_SEED={seed}");
    }
}

/// The test of one sequence.
struct Comparison<D>(PhantomData<D>);

/// The reference and a database, and what runs them.
struct Running {
    pair: Pair,
    runtime: Runtime,
}

impl<D: Database> StateMachineTest for Comparison<D> {
    type SystemUnderTest = Running;
    type Reference = Machine;

    fn init_test(_: &Machine) -> Running {
        let runtime =
            Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be started");
        Running { pair: runtime.block_on(Pair::open::<D>()), runtime }
    }

    fn apply(mut running: Running, _: &Machine, call: Call) -> Running {
        running.runtime.block_on(running.pair.call(call));
        running
    }

    fn teardown(running: Running, _: Machine) {
        running.runtime.block_on(running.pair.compare());
    }
}
