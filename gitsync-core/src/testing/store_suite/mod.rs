//! Whether a store keeps its contract: one case per promise of [`Store`](crate::Store).

mod harness;

pub mod fencing;
pub mod lifecycle;
pub mod recording;
pub mod requests;

pub use harness::StoreHarness;

/// Makes one `#[test]` of each case of the suite for an implementation of [`Store`](crate::Store).
///
/// It is given an async function that makes an empty store with a clock of its own, and returns both as a
/// [`StoreHarness`](crate::testing::store_suite::StoreHarness).
///
/// ```
/// # use std::sync::Arc;
/// use gitsync_core::memory::MemoryStore;
/// use gitsync_core::testing::ManualClock;
/// use gitsync_core::testing::store_suite::StoreHarness;
///
/// async fn make() -> StoreHarness {
///     let clock = ManualClock::default();
///     let store = MemoryStore::new(Arc::new(clock.clone()));
///     StoreHarness::new(Arc::new(store), clock)
/// }
///
/// # #[cfg(test)]
/// gitsync_core::store_suite!(make);
/// ```
#[macro_export]
macro_rules! store_suite {
    ($make:path) => {
        $crate::__suite_tests! { store_suite, $make,
            requests: [
                a_new_repository_waits_for_its_first_task,
                an_equal_request_returns_the_waiting_task,
                a_stronger_request_rewrites_the_waiting_task,
                a_request_behind_a_running_sync_is_held,
                requests_at_once_make_one_task,
            ]
            lifecycle: [
                a_migrate_runs_to_its_end,
                a_failure_is_shown_by_task_and_repository,
                a_retry_takes_over_its_follow_up,
            ]
            fencing: [
                a_lower_epoch_is_not_started,
                only_the_last_start_may_write,
            ]
            recording: [
                the_books_are_written_with_the_outcome,
                a_full_walk_orphans_what_it_did_not_see,
            ]
        }
    };
}
