//! What a sync does, decided before anything is done.
//!
//! [`plan`] is a pure function of three sets of references: those last recorded (the **baseline**), those on disk (**local**)
//! and those upstream **advertises**. It says what to fetch, how references and `HEAD` change and which old tips are at risk;
//! once the objects are there and it is known which moves are fast-forwards, [`SyncPlan::publish`] makes the reference
//! transaction and [`SyncPlan::movements`] the log. Engines only carry these out, so they cannot disagree.
//!
//! What upstream advertises is translated before, by [`target`]: a repository with a working tree has upstream's branches under
//! other names.

mod digest;
mod mapping;
mod movement;
mod push;
mod shrink;
mod sync_plan;
mod target;
#[cfg(test)]
mod tests;

pub use digest::{Digest, policy_digest, push_digest, refs_digest};
pub use mapping::{MirrorKind, RefMapping, RefPattern};
pub use movement::{Movement, MovementKind};
pub use push::plan_push;
pub use shrink::{SHRINK_PATIENCE, ShrinkVerdict, judge_shrinking};
pub use sync_plan::{AtRisk, Baseline, ObjectFacts, SyncPlan, head_after, kept_name, plan};
pub use target::{CheckoutMove, Target, target};
