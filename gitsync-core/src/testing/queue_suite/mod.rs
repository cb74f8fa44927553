//! Whether a job queue keeps its contract: one case per promise of [`JobQueue`](crate::JobQueue).

mod harness;

pub mod claims;
pub mod hosts;
pub mod leases;

pub use harness::{LIMITS, QueueHarness};

/// Makes one `#[test]` of each case of the suite for an implementation of [`JobQueue`](crate::JobQueue).
///
/// It is given an async function that makes an empty queue with the [limits](crate::testing::queue_suite::LIMITS) of the
/// suite and a clock of its own, and returns both as a [`QueueHarness`](crate::testing::queue_suite::QueueHarness).
///
/// ```
/// # use std::sync::Arc;
/// use gitsync_core::memory::MemoryQueue;
/// use gitsync_core::testing::ManualClock;
/// use gitsync_core::testing::queue_suite::{LIMITS, QueueHarness};
///
/// async fn make() -> QueueHarness {
///     let clock = ManualClock::default();
///     let queue = MemoryQueue::new(Arc::new(clock.clone()), LIMITS);
///     QueueHarness::new(Arc::new(queue), clock)
/// }
///
/// # #[cfg(test)]
/// gitsync_core::queue_suite!(make);
/// ```
#[macro_export]
macro_rules! queue_suite {
    ($make:path) => {
        $crate::__suite_tests! { queue_suite, $make,
            claims: [
                better_priority_goes_first_then_earlier_time,
                a_job_is_not_claimed_before_it_is_due,
                a_claim_takes_what_it_asks_for_and_no_more,
                only_the_storages_asked_for_are_served,
                claims_at_once_never_get_the_same_job,
            ]
            hosts: [
                a_host_never_has_more_than_its_limit,
                an_expired_lease_frees_its_place,
                local_work_has_no_limit,
            ]
            leases: [
                each_claim_raises_the_epoch,
                an_expired_job_goes_to_the_next,
                a_heartbeat_extends_a_lease,
                an_exhausted_job_is_handed_out_once_more,
            ]
        }
    };
}
