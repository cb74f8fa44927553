//! The rules of tasks: pure decisions over the rows a store has loaded.
//!
//! A store loads a repository and its unfinished tasks in a transaction, asks a rule, and writes what it says. So every
//! store decides alike, and each rule is tested without a database.

mod archive;
mod bounds;
mod cancel;
mod create;
mod credential;
mod due;
mod edit;
mod finish;
#[cfg(test)]
mod fixtures;
mod host;
mod job;
mod place;
mod purge;
mod push;
mod request;
mod rhythm;
mod start;
mod storage;
mod upkeep;
mod work;

pub use archive::{Archived, archive, unarchive};
pub use bounds::{
    MAX_DESCRIPTION_BYTES, MAX_EXCLUDE_REF_BYTES, MAX_EXCLUDE_REFS, MAX_ORGANISATION_NAME_BYTES, MAX_OWNER_BYTES,
    MAX_SYNC_INTERVAL, MIN_SYNC_INTERVAL, check_organisation_name,
};
pub use cancel::cancel;
pub use create::create;
pub use credential::{MAX_CREDENTIALS, MAX_SEALED_BYTES, MAX_SECRET_BYTES, set_credential};
pub use due::{CREDENTIALS_LOOK, DUE_AGAIN, Due, DueScan, Paused, TRIED_ANYHOW, due, is_due};
pub use edit::edit;
pub use finish::{Completion, Finished, Outcome, finish};
pub use host::{
    FAILURES_BEFORE_PAUSE, FIRST_AWAY_PAUSE, FIRST_BUSY_PAUSE, HostLesson, HostState, LESSONS_KEPT,
    LONGEST_ASKED_PAUSE, LONGEST_HOST_PAUSE,
};
pub use job::{job, lane};
pub use place::place;
pub use purge::purge;
pub use push::{
    FIRST_PUSH_PAUSE, LONGEST_PUSH_PAUSE, MAX_PUSH_TARGETS, PushOutcome, add_push_target, record_push,
    remove_push_target,
};
pub use request::{Disposition, Request, Requested, Unfinished, request};
pub use rhythm::{Rhythm, look_at_credentials_at, next_sync_at};
pub use start::{Start, start};
pub use storage::{MAX_MACHINE_BYTES, is_fresh, may_serve, report_storage};
pub use upkeep::needs_upkeep;
pub use work::may_write;
