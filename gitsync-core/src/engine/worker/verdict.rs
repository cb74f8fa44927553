//! What an error means for the task and for its job: pure.

use std::time::Duration;

use super::leases::Ending;
use crate::clock::Timestamp;
use crate::engine::options::EngineOptions;
use crate::error::{Error, ErrorKind};
use crate::model::{Repository, StoredError, TaskKind};
use crate::queue::JobOutcome;
use crate::rules::{Outcome, look_at_credentials_at, next_sync_at};
use crate::source::CredentialRevision;
use crate::store::StartedWork;
use crate::transport::{CREDENTIALS, REFUSED};

/// The longest time a host is left alone because it asked for that.
const MAX_HOST_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// How long a host that asks for a pause without saying for how long is left alone.
const DEFAULT_HOST_PAUSE: Duration = Duration::from_secs(60);

/// How long a task waits that a database or a file lock kept from working; that costs no attempt.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(10);

/// How an attempt is to be ended in the store and in the queue.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) task: Outcome,
    pub(super) job: JobOutcome,
    pub(super) next_sync_at: Option<Timestamp>,
}

/// Decides how a failed attempt ends; `None` if another worker has the job, so that nothing may be written.
pub(super) fn verdict(
    started: &StartedWork,
    error: &Error,
    credentials: Option<CredentialRevision>,
    ending: Option<Ending>,
    attempt: u32,
    options: &EngineOptions,
    now: Timestamp,
) -> Option<Verdict> {
    let retry = |pause: Duration, spent: bool, block_host_until: Option<Timestamp>| {
        let at = now.after(pause);
        let task = Outcome::Retry { error: StoredError::from(error), at, spent };
        Some(Verdict { task, job: JobOutcome::Retry { at, spent, block_host_until }, next_sync_at: None })
    };
    match (ending, error.kind()) {
        (Some(Ending::Lost), _) | (_, ErrorKind::LeaseLost) => return None,
        (Some(Ending::Cancelled), ErrorKind::Cancelled) => {
            return Some(Verdict { task: Outcome::Cancelled, job: JobOutcome::Done, next_sync_at: None });
        }
        (Some(Ending::Shutdown), ErrorKind::Cancelled) => {
            return Some(Verdict { task: Outcome::Released, job: JobOutcome::Released, next_sync_at: None });
        }
        (_, ErrorKind::Unavailable) if error.is_retryable() => return retry(UNAVAILABLE_PAUSE, false, None),
        (_, ErrorKind::RateLimited) if error.is_retryable() => {
            let pause = error.retry_after().unwrap_or(DEFAULT_HOST_PAUSE).min(MAX_HOST_PAUSE);
            return retry(pause, false, Some(now.after(pause)));
        }
        _ => {}
    }
    let delays = &options.retry_delays;
    let index = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
    match delays.get(index).filter(|_| error.is_retryable()) {
        Some(delay) => retry(stretched(*delay, fastrand::f64() * 0.2), true, None),
        // A deletion has been promised: it is tried for ever, at the last of the pauses.
        None if started.task.kind == TaskKind::Delete => {
            retry(delays.last().copied().unwrap_or(UNAVAILABLE_PAUSE), false, None)
        }
        None => {
            let failures = started.repository.failures.saturating_add(1);
            let repository = Repository { failures, ..started.repository.clone() };
            let next_sync_at = next_sync_at(&repository, options.rhythm(), fastrand::f64(), now);
            let stored = StoredError::from(error);
            Some(match credentials.filter(|_| are_refused(started, error)) {
                Some(credentials) => {
                    let refused_before = started.repository.refused_credentials.is_some();
                    let look_at = |next| look_at_credentials_at(&repository, refused_before, next, now);
                    Verdict {
                        task: Outcome::Refused { error: stored, credentials },
                        job: JobOutcome::Done,
                        next_sync_at: next_sync_at.map(look_at),
                    }
                }
                None => Verdict { task: Outcome::Failed(stored), job: JobOutcome::Done, next_sync_at },
            })
        }
    }
}

/// Tells whether upstream refused the credentials that the repository's own source has. Those of another source, or of where
/// it redirected to, are others.
fn are_refused(started: &StartedWork, error: &Error) -> bool {
    let source = started.repository.source.as_ref();
    let is_own = started.task.parameters.source.as_ref().is_none_or(|other| Some(other) == source);
    let own = source.map(ToString::to_string);
    let is_elsewhere = error.context().any(|(key, url)| key == "url" && Some(url) != own.as_deref());
    let were_shown = error.context().any(|(key, value)| key == CREDENTIALS && value == REFUSED);
    error.kind() == ErrorKind::Unauthenticated && were_shown && is_own && !is_elsewhere
}

fn stretched(duration: Duration, by: f64) -> Duration {
    duration.mul_f64(1.0 + by)
}
