//! What the engine measures, by the facade of the crate [`metrics`].
//!
//! Nothing is kept, sent or served here: a program that wants the numbers installs a recorder, such as a Prometheus exporter,
//! and calls [`describe`] after that. Without a recorder all of this costs next to nothing.
//!
//! Labels have few values each: kinds of tasks, statuses, kinds of errors. What has many, such as repositories and hosts,
//! is told by logs, whose spans name repository and task.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::backend::Fetched;
use crate::clock::Timestamp;
use crate::model::{SyncTask, TaskKind};
use crate::rules::{Outcome, PushOutcome};
use crate::state::TaskStatus;
use crate::store::StartedWork;

/// Counts tasks that workers ended, by `kind`, `status` (`completed`, `failed`, `cancelled`) and `error_kind` (`none` unless
/// they failed). One that was cancelled before any worker had it is not counted.
pub const TASKS: &str = "gitsync_tasks_total";

/// Distribution of how long attempts took in seconds, from the claim to the written end, by `kind` and `outcome`: a status,
/// `retry` or `released`.
pub const ATTEMPT_DURATION: &str = "gitsync_attempt_duration_seconds";

/// Counts attempts that failed and are made again, by `kind` and `error_kind`.
pub const RETRIES: &str = "gitsync_retries_total";

/// Counts jobs that another worker took over, or may have by now, while this process worked on them.
pub const LEASES_LOST: &str = "gitsync_leases_lost_total";

/// Counts attempts that did not stop when told to and were left alone.
pub const ATTEMPTS_ABANDONED: &str = "gitsync_attempts_abandoned_total";

/// Number of threads at present that do not end although nobody waits for them any more. Each holds a place in its pool.
pub const THREADS_ABANDONED: &str = "gitsync_abandoned_threads";

/// Counts the objects received in fetches that succeeded.
pub const FETCHED_OBJECTS: &str = "gitsync_fetched_objects_total";

/// Counts the bytes received as packs in fetches that succeeded.
pub const FETCHED_BYTES: &str = "gitsync_fetched_bytes_total";

/// Counts pushes to targets, by `error_kind` (`none` for those that brought a target in step).
pub const PUSHES: &str = "gitsync_pushes_total";

/// Number of keys but the first by which stored credentials are still sealed, as the janitor found it last: when it is 0, they may
/// go.
pub const OLD_CREDENTIAL_KEYS: &str = "gitsync_old_credential_keys";

/// Distribution of how far behind a mirror may have been when a sync completed: the seconds since the one before.
pub const STALENESS: &str = "gitsync_mirror_staleness_seconds";

/// Tells the recorder that is installed what the numbers mean and what they are measured in.
pub fn describe() {
    describe_counter!(TASKS, Unit::Count, "tasks that ended");
    describe_histogram!(ATTEMPT_DURATION, Unit::Seconds, "how long attempts at tasks took");
    describe_counter!(RETRIES, Unit::Count, "attempts that failed and are made again");
    describe_counter!(LEASES_LOST, Unit::Count, "jobs that another worker took over");
    describe_counter!(ATTEMPTS_ABANDONED, Unit::Count, "attempts that did not stop when told to");
    describe_gauge!(THREADS_ABANDONED, Unit::Count, "threads that do not end and nobody waits for");
    describe_counter!(FETCHED_OBJECTS, Unit::Count, "objects received");
    describe_counter!(FETCHED_BYTES, Unit::Bytes, "bytes received as packs");
    describe_counter!(PUSHES, Unit::Count, "pushes to targets");
    describe_gauge!(
        OLD_CREDENTIAL_KEYS,
        Unit::Count,
        "keys but the first by which stored credentials are still sealed"
    );
    describe_histogram!(STALENESS, Unit::Seconds, "time between two syncs of a mirror that completed");
}

/// Records the end of an attempt, as it was written to the store.
pub(super) fn attempt_ended(started: &StartedWork, outcome: &Outcome, task: &SyncTask, took: Duration, now: Timestamp) {
    let kind = started.task.kind.as_str();
    // What a worker wanted to try again may have been cancelled: the task says how it really ended.
    let how = match outcome {
        _ if task.status.is_terminal() => task.status.as_str(),
        Outcome::Released => "released",
        _ => "retry",
    };
    histogram!(ATTEMPT_DURATION, "kind" => kind, "outcome" => how).record(took.as_secs_f64());
    let error = task.error.as_ref().map_or("none", |error| error.kind.as_str());
    if task.status.is_terminal() {
        let error = if task.status == TaskStatus::Failed { error } else { "none" };
        counter!(TASKS, "kind" => kind, "status" => how, "error_kind" => error).increment(1);
    } else if how == "retry" {
        counter!(RETRIES, "kind" => kind, "error_kind" => error).increment(1);
    }
    if let (Outcome::Completed(Some(books)), Some(before)) = (outcome, started.repository.last_synced_at)
        && books.synced
    {
        histogram!(STALENESS).record(now.since(before).as_secs_f64());
    }
}

/// Records the end of a deletion, of which nobody has to write anything more.
pub(super) fn purged(took: Duration) {
    let (kind, status) = (TaskKind::Delete.as_str(), TaskStatus::Completed.as_str());
    histogram!(ATTEMPT_DURATION, "kind" => kind, "outcome" => status).record(took.as_secs_f64());
    counter!(TASKS, "kind" => kind, "status" => status, "error_kind" => "none").increment(1);
}

pub(super) fn lease_lost() {
    counter!(LEASES_LOST).increment(1);
}

pub(super) fn attempt_abandoned() {
    counter!(ATTEMPTS_ABANDONED).increment(1);
}

pub(super) fn fetched(fetched: &Fetched) {
    counter!(FETCHED_OBJECTS).increment(fetched.objects);
    counter!(FETCHED_BYTES).increment(fetched.bytes);
}

pub(super) fn pushed(outcome: &PushOutcome) {
    let error = match outcome {
        PushOutcome::Pushed { .. } => "none",
        PushOutcome::Failed { error, .. } => error.kind.as_str(),
    };
    counter!(PUSHES, "error_kind" => error).increment(1);
}

pub(super) fn old_credential_keys(count: usize) {
    gauge!(OLD_CREDENTIAL_KEYS).set(u32::try_from(count).unwrap_or(u32::MAX));
}

pub(crate) fn thread_abandoned() {
    gauge!(THREADS_ABANDONED).increment(1);
}

pub(crate) fn abandoned_thread_ended() {
    gauge!(THREADS_ABANDONED).decrement(1);
}
