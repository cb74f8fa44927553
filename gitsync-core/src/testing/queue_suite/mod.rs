//! Whether a job queue keeps its contract: one case per promise of [`JobQueue`](crate::JobQueue).

mod harness;

pub mod attempts;
pub mod bounds;
pub mod cancel;
pub mod claims;
pub mod enqueue;
pub mod hosts;
pub mod leases;
pub mod lessons;

pub use harness::{LIMITS, QueueHarness, WIDER};

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
            enqueue: [
                a_job_is_there_once,
                a_waiting_job_is_overwritten,
                a_waiting_job_can_be_pulled_forward,
                a_leased_job_stays_as_it_is,
                a_job_of_a_dead_worker_is_overwritten,
                epochs_only_rise,
                attempts_follow_the_task,
                a_finished_job_can_come_again,
                extremes_are_sorted,
            ]
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
                a_host_is_limited_across_storages,
                a_full_host_keeps_no_other_waiting,
                a_retry_makes_room,
                a_blocked_host_is_left_alone,
                a_block_only_grows,
                local_work_is_not_blocked,
                what_counts_or_blocks_is_not_forgotten,
                no_more_hosts_are_forgotten_than_asked_for,
                many_workers_keep_the_limits,
            ]
            lessons: [
                a_host_that_asks_for_a_pause_gets_fewer_jobs,
                a_pause_of_no_length_doubles,
                a_host_that_is_away_is_probed,
                a_probe_that_says_nothing_is_made_again,
                what_was_under_way_counts_once,
                ends_that_come_together_all_count,
                what_fails_alone_slows_nobody,
                who_waits_for_a_host_loses_no_attempt,
                other_hosts_are_as_they_were,
                lessons_are_kept_for_a_day,
                all_processes_learn_together,
                lessons_can_be_seen,
            ]
            leases: [
                each_claim_raises_the_epoch,
                an_expired_job_goes_to_the_next,
                a_heartbeat_extends_a_lease,
                a_job_past_its_deadline_is_not_extended,
                a_job_past_its_deadline_can_be_finished,
                every_claim_has_its_own_deadline,
                an_expired_lease_cannot_be_finished,
                only_the_latest_claim_counts,
                answers_are_in_order,
            ]
            attempts: [
                an_exhausted_job_is_handed_out_once_more,
                an_exhausted_job_gains_no_attempt,
                a_retry_waits_for_its_time,
                an_unspent_retry_does_not_count,
                spent_retries_exhaust_a_job,
                a_released_job_is_as_it_was,
            ]
            cancel: [
                a_waiting_job_is_deleted,
                the_holder_is_told,
                the_next_holder_is_told,
                a_cancelled_job_can_come_again,
                an_unknown_job_is_passed_over,
                a_lost_lease_should_stop,
            ]
            bounds: [
                longer_slices_are_refused,
                the_longest_slices_are_taken,
                empty_slices_are_answered,
                jobs_are_counted,
                jobs_of_dead_workers_are_ready,
                who_waits_learns_of_a_new_job,
                a_wait_ends,
            ]
        }
    };
}
