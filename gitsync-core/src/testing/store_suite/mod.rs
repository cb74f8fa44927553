//! Whether a store keeps its contract: one case per promise of [`Store`](crate::Store).

mod harness;
mod values;

pub mod archive;
pub mod atomicity;
pub mod bounds;
pub mod cancel;
pub mod catalogue;
pub mod credentials;
pub mod deletion;
pub mod due;
pub mod extremes;
pub mod fencing;
pub mod lifecycle;
pub mod outbox;
pub mod pages;
pub mod prune;
pub mod pushing;
pub mod recording;
pub mod requests;
pub mod retries;
pub mod storages;

pub use harness::StoreHarness;
pub(in crate::testing) use values::completion;

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
            catalogue: [
                an_organisation_is_found_by_id_and_slug,
                slugs_are_unique,
                names_are_unique_without_regard_to_case,
                an_impossible_repository_is_refused,
                task_ids_are_unique,
                an_edit_changes_what_it_names, a_depth_takes_no_history_away,
                edits_at_once_do_not_overwrite_each_other,
                edits_and_work_do_not_disturb_each_other,
                what_does_not_exist_is_not_found,
            ]
            requests: [
                a_new_repository_waits_for_its_first_task,
                an_equal_request_returns_the_waiting_task,
                a_stronger_request_rewrites_the_waiting_task,
                a_request_behind_a_running_sync_is_held,
                requests_at_once_make_one_task,
                an_equal_request_returns_the_running_migrate,
                a_stronger_request_rewrites_the_follow_up,
                the_source_of_a_first_migrate_is_saved,
                a_wish_to_verify_stays_with_the_waiting_task,
            ]
            outbox: [
                waiting_tasks_are_in_the_outbox,
                what_was_enqueued_is_left_out,
                a_job_whose_task_is_gone_is_passed_over,
                a_task_that_was_changed_meanwhile_stays,
                a_held_task_waits_for_the_end_of_the_one_before,
                a_retry_is_the_queues_matter,
                asking_again_makes_a_retry_due_now,
                ended_tasks_are_left_out,
            ]
            due: [
                a_due_repository_gets_a_sync,
                the_earliest_come_first,
                an_interval_of_its_own_counts,
                unfinished_tasks_are_left_alone,
                what_is_not_scheduled_is_not_due,
                a_failed_repository_is_due_again,
                one_whose_credentials_were_refused_is_paused,
                scans_at_once_make_one_task_each,
            ]
            lifecycle: [
                a_migrate_runs_to_its_end,
                a_failure_is_shown_by_task_and_repository,
                an_initialize_makes_an_empty_repository,
                upkeep_leaves_the_books_alone,
                a_collapse_keeps_the_status,
                a_completed_migrate_saves_its_source,
                progress_is_seen,
                tasks_are_found_by_many_ids,
            ]
            retries: [
                a_retry_takes_over_its_follow_up,
                only_a_spent_attempt_counts,
                a_released_task_waits_again,
                a_retry_that_succeeds_clears_the_error,
                a_retry_takes_over_stronger_work,
                a_held_task_is_not_started,
            ]
            cancel: [
                a_waiting_task_ends_at_once,
                a_cancelled_first_task_fails_the_repository,
                a_cancelled_retry_restores_what_was,
                a_held_task_can_be_cancelled,
                a_running_task_is_asked_to_stop,
                a_task_that_was_asked_to_stop_is_not_tried_again,
                a_cancelled_task_may_still_complete,
                a_task_that_has_ended_stays,
                a_deletion_cannot_be_cancelled,
            ]
            archive: [
                archiving_puts_aside_what_was,
                archiving_cancels_a_waiting_task,
                archiving_between_two_attempts_keeps_what_was_before_them,
                a_new_repository_can_be_archived,
                a_repository_at_work_is_not_archived,
                an_archived_repository_refuses_work,
            ]
            deletion: [
                a_repository_that_is_being_deleted_is_hidden,
                a_deletion_goes_before_all_other_work,
                a_purge_leaves_the_deletion_alone,
                a_task_names_its_organisation_to_the_last,
                nothing_happens_after_a_purge,
                a_purge_is_fenced,
                a_purge_goes_on_until_nothing_is_left,
                a_half_purged_repository_is_hidden,
            ]
            fencing: [
                a_lower_epoch_is_not_started,
                only_the_last_start_may_write,
                every_start_raises_the_fence,
                a_right_is_not_another_ones,
            ]
            atomicity: [
                a_refused_end_changes_nothing,
                the_end_of_a_lost_attempt_changes_nothing,
                an_attempt_ends_once,
                a_refused_request_changes_nothing,
                at_most_one_task_waits_and_one_runs,
                a_thousand_syncs_at_once_make_one_task,
                starts_at_once_do_not_share_a_fence,
            ]
            recording: [
                the_books_are_written_with_the_outcome,
                a_full_walk_orphans_what_it_did_not_see,
                what_a_full_walk_did_not_see_is_orphaned_in_chunks,
                an_orphaning_that_broke_off_is_done_by_the_next_start,
                an_increment_changes_what_it_names,
                a_full_recording_replaces_all_references,
                tags_are_recorded_but_are_no_branches,
                an_orphaned_commit_comes_back_when_it_is_recorded_again,
                a_batch_can_be_repeated,
                repositories_do_not_share_commits,
                the_recording_mark_stays_until_a_task_completes,
                a_sync_without_news_leaves_the_records_alone,
            ]
            extremes: [
                names_of_references_are_bytes,
                names_of_references_may_be_very_long,
                sha256_ids_are_kept,
                texts_may_be_huge_and_odd,
                dates_may_be_far_outside_calendars,
            ]
            pages: [
                organisations_in_pages,
                repositories_in_pages,
                repositories_of_several_organisations,
                tasks_in_pages,
                branches_in_pages,
                commits_in_pages,
                filtered_commits_in_pages,
                commits_of_a_branch_in_pages,
                commits_of_a_branch_whose_dates_are_skewed,
                the_log_in_pages,
                the_last_page_says_so,
            ]
            pushing: [
                push_targets_are_few_and_each_is_there_once,
                no_race_adds_too_many_push_targets,
                no_push_target_becomes_the_source,
                a_depth_and_push_targets_exclude_each_other,
                push_targets_go_with_their_repository,
                a_push_is_noted_of_its_target,
                a_push_is_noted_under_the_fence,
            ]
            credentials: [
                credentials_are_set_listed_and_deleted,
                credentials_of_a_name_are_replaced,
                a_scope_is_taken_once,
                credentials_are_few_and_small,
                credentials_in_pages,
                what_a_key_seals_is_found,
                a_seal_is_replaced_only_where_nothing_else_changed,
            ]
            prune: [
                the_last_task_that_ended_is_kept,
                age_is_counted_from_the_end,
                the_last_task_is_the_one_requested_last,
                tombstones_go,
                old_movements_go,
                a_call_removes_no_more_than_asked_for,
                a_limit_is_cut,
            ]
            bounds: [
                longer_slices_are_refused,
                a_filter_may_name_so_many_organisations,
                what_users_write_is_bounded,
                the_longest_slices_are_taken,
                a_recording_may_be_longer,
                limits_may_be_anything,
                the_longest_chunks_are_bounded,
            ]
            storages: [
                a_report_is_kept,
                a_storage_is_served_from_one_machine,
                another_disk_is_never_taken_for_a_storage,
                a_storage_is_served_as_long_as_its_report_says,
                a_shared_storage_is_served_from_many,
                of_machines_at_once_one_gets_a_storage,
                the_ones_seen_last_come_first,
                an_odd_machine_is_refused,
            ]
        }
    };
}
