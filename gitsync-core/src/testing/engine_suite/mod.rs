//! Whether a store and a queue serve many processes at once: one case per promise that two engines on one database keep
//! together.

mod harness;

pub mod schedule;
pub mod work;

pub use harness::EngineHarness;

/// Makes one `#[test]` of each case of the suite for a database that several processes can open.
///
/// It is given an async function that opens an empty database twice, with one clock, and returns all as an
/// [`EngineHarness`](crate::testing::engine_suite::EngineHarness). Some cases are longer with `GITSYNC_TEST_FULL=1` in the
/// environment.
///
/// ```
/// # use std::sync::Arc;
/// use gitsync_core::memory::{MemoryQueue, MemoryStore};
/// use gitsync_core::queue::QueueLimits;
/// use gitsync_core::testing::ManualClock;
/// use gitsync_core::testing::engine_suite::EngineHarness;
///
/// async fn make() -> EngineHarness {
///     let clock = ManualClock::default();
///     // In memory both engines have the same.
///     let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
///     let queue = Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default()));
///     EngineHarness::new([(Arc::clone(&store) as _, Arc::clone(&queue) as _), (store, queue)], clock)
/// }
///
/// # #[cfg(test)]
/// gitsync_core::engine_suite!(make);
/// ```
#[macro_export]
macro_rules! engine_suite {
    ($make:path) => {
        $crate::__suite_tests! { engine_suite, $make,
            schedule: [
                two_schedulers_make_one_task_of_each_due_repository,
                two_janitors_enqueue_each_task_once,
            ]
            work: [
                two_workers_do_each_task_once,
            ]
        }
    };
}
