//! The conformance suite for [`GitBackend`]: what every engine has to get right, judged by the git program.
//!
//! ```ignore
//! use gitsync_core::testing::backend_suite::Subject;
//!
//! fn subject() -> Subject {
//!     Subject::new(MyEngine::new(), my_transport())
//! }
//!
//! gitsync_core::backend_suite!(subject);
//! ```
//!
//! The crate that uses it needs `tokio` with `macros` and `rt`.

mod mirror;

pub mod fetching;
pub mod listing;
pub mod local;
pub mod mirroring;
pub mod pushing;
pub mod regular;
pub mod shallow;
pub mod upkeep;
pub mod worktree;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::mirror::{Mirror, Synced, Via};
use crate::backend::{CallContext, GitBackend, NoProgress, PublishPermit, PushPermit};
use crate::cancel::Cancellation;
use crate::error::Result;
use crate::transport::{CallLimits, Transport};

/// The engine under test, and a way to upstreams.
///
/// The transport must speak `http` to the loopback, for pushes too, and read `file` sources and push to them below the system's
/// temporary directory.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The engine.
    pub backend: Arc<dyn GitBackend>,
    /// The way to upstreams.
    pub transport: Arc<dyn Transport>,
}

impl Subject {
    /// Creates a subject.
    pub fn new(backend: impl GitBackend + 'static, transport: impl Transport + 'static) -> Self {
        Subject { backend: Arc::new(backend), transport: Arc::new(transport) }
    }

    /// Returns a context that ends after a minute.
    pub fn context(&self) -> CallContext {
        self.context_within(Duration::from_secs(60))
    }

    /// Returns a context that ends after a while.
    pub fn context_within(&self, time: Duration) -> CallContext {
        CallContext {
            transport: Arc::clone(&self.transport),
            limits: CallLimits {
                cancellation: Cancellation::new(),
                deadline: Instant::now() + time,
                max_response_bytes: 1 << 30,
            },
            progress: Arc::new(NoProgress),
        }
    }
}

/// The right to publish and to push where nobody else can.
#[derive(Clone, Copy, Debug)]
pub struct Alone;

impl PublishPermit for Alone {}

impl PushPermit for Alone {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Makes a test of each case of the [suite](crate::testing::backend_suite). Takes a function that returns a
/// [`Subject`](crate::testing::backend_suite::Subject).
#[macro_export]
macro_rules! backend_suite {
    ($make:expr) => {
        $crate::backend_suite! { @cases $make;
            fetching: a_cancelled_fetch_leaves_nothing, a_fetch_past_its_deadline_leaves_nothing,
                a_fetch_past_a_bound_leaves_nothing, a_fetch_onto_a_full_disk_asks_for_nothing,
                a_fetch_that_fills_the_disk_leaves_nothing, a_cut_or_garbled_pack_leaves_nothing,
                an_upstream_that_moves_meanwhile_is_worth_another_try, incremental_fetches_are_small,
                nothing_wanted_or_no_repository_is_an_error, progress_is_reported;
            listing: an_empty_upstream_is_listed, heads_are_told_as_they_are, odd_names_arrive_as_bytes,
                two_thousand_references_are_mirrored, answers_that_are_none_have_their_kinds,
                a_stalled_listing_ends_by_its_limits;
            local: a_repository_is_made_once, references_change_all_or_none, ids_are_resolved_through_tags,
                ancestry_is_exact, walks_equal_rev_list, a_walk_into_a_hole_is_corrupt;
            mirroring: clones_and_fast_forwards, forced_and_deleted_branches, names_change_between_file_and_directory,
                tags_of_all_kinds, head_follows, sha256_repositories, kept_references_stay,
                references_outside_of_branches_and_tags;
            shallow: a_line_grows, branches_merge, tags_on_old_commits, branches_are_forced, depths_change,
                a_boundary_that_is_gone_is_not_told, walks_hide_tips_that_left_the_boundary, kept_tips_keep_their_boundary,
                shallow_fetches_are_small, a_failed_fetch_leaves_the_boundary, a_lie_about_the_boundary_is_found_out,
                ancestry_goes_beyond_the_boundary;
            upkeep: upkeep_changes_no_answer, a_walk_goes_on_while_packs_are_replaced,
                a_fetch_goes_on_while_packs_are_replaced;
            pushing: a_target_has_what_the_mirror_has, what_others_pushed_to_a_target_is_overwritten,
                only_what_is_missing_is_sent, trees_of_several_levels_are_sent_once, what_a_target_refuses_is_named,
                a_thousand_references_are_pushed, sha256_targets, targets_that_fail_have_their_kinds,
                a_push_to_a_stalled_target_ends_by_its_limits, a_push_past_its_bound_changes_nothing,
                a_push_with_a_hole_is_corrupt, a_push_that_came_too_late_sends_nothing;
            worktree: a_checkout_is_what_git_clones, a_tree_moves_with_all_that_is_in_it,
                a_changed_tree_is_a_conflict_and_stays, a_first_checkout_finds_what_is_in_the_way,
                hostile_trees_are_refused, nothing_is_written_through_links, no_filter_and_no_hook_runs,
                a_crash_in_a_checkout_is_taken_back;
        }
    };
    (@cases $make:expr; $($module:ident: $($case:ident),+;)+) => {
        $(mod $module {
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::testing::backend_suite::$module::$case($make()).await;
                }
            )+
        })+
    };
}
