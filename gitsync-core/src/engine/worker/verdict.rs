//! What an error means for the task and for its job: pure.

use std::time::Duration;

use super::leases::Ending;
use crate::clock::Timestamp;
use crate::engine::options::EngineOptions;
use crate::error::{Error, ErrorKind};
use crate::model::{Repository, StoredError, TaskKind};
use crate::queue::{HostReport, JobOutcome};
use crate::rules::{FIRST_BUSY_PAUSE, LONGEST_ASKED_PAUSE, Outcome, look_at_credentials_at, next_sync_at};
use crate::source::CredentialRevision;
use crate::store::StartedWork;
use crate::transport::{CREDENTIALS, IDLE_SECONDS, REFUSED};

/// How long a task waits that a database or a file lock kept from working; that costs no attempt.
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(10);

/// How an attempt is to be ended in the store and in the queue.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) task: Outcome,
    pub(super) job: JobOutcome,
    pub(super) next_sync_at: Option<Timestamp>,
}

/// Tells what a failed attempt says of the host of its source. A timeout only does if it was the host that kept us waiting: that
/// the whole attempt took too long says nothing, since the repository may be that large, and a lock in it is ours.
pub(super) fn report(error: &Error, ending: Option<Ending>) -> HostReport {
    match error.kind() {
        _ if ending.is_some() => HostReport::Nothing,
        ErrorKind::RateLimited => HostReport::Busy { pause: error.retry_after() },
        ErrorKind::SourceUnreachable => HostReport::Away,
        ErrorKind::Timeout if error.context().any(|(key, _)| key == IDLE_SECONDS) => HostReport::Away,
        ErrorKind::SourceNotFound
        | ErrorKind::SourceRedirected
        | ErrorKind::Unauthenticated
        | ErrorKind::PermissionDenied
        | ErrorKind::UpstreamShrank => HostReport::Answered,
        _ => HostReport::Nothing,
    }
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
    let retry = |pause: Duration, spent: bool| {
        let at = now.after(pause);
        let task = Outcome::Retry { error: StoredError::from(error), at, spent };
        Some(Verdict { task, job: JobOutcome::Retry { at, spent }, next_sync_at: None })
    };
    match (ending, error.kind()) {
        (Some(Ending::Lost), _) | (_, ErrorKind::LeaseLost) => return None,
        (Some(Ending::Cancelled), ErrorKind::Cancelled) => {
            return Some(Verdict { task: Outcome::Cancelled, job: JobOutcome::Done, next_sync_at: None });
        }
        (Some(Ending::Shutdown), ErrorKind::Cancelled) => {
            return Some(Verdict { task: Outcome::Released, job: JobOutcome::Released, next_sync_at: None });
        }
        (_, ErrorKind::Unavailable) if error.is_retryable() => return retry(UNAVAILABLE_PAUSE, false),
        (_, ErrorKind::RateLimited) if error.is_retryable() => {
            // The host may be left alone for longer.
            return retry(error.retry_after().unwrap_or(FIRST_BUSY_PAUSE).min(LONGEST_ASKED_PAUSE), false);
        }
        _ => {}
    }
    let delays = &options.retry_delays;
    let index = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
    match delays.get(index).filter(|_| error.is_retryable()) {
        Some(delay) => retry(stretched(*delay, fastrand::f64() * 0.2), true),
        // A deletion has been promised: it is tried for ever, at the last of the pauses.
        None if started.task.kind == TaskKind::Delete => {
            retry(delays.last().copied().unwrap_or(UNAVAILABLE_PAUSE), false)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_the_fault_of_the_host_is_held_against_it() {
        let report = |kind, ending| report(&Error::new(kind, "why"), ending);
        let pause = Duration::from_secs(9);
        let limited = Error::new(ErrorKind::RateLimited, "why").retry_in(pause);
        assert_eq!(super::report(&limited, None), HostReport::Busy { pause: Some(pause) });
        assert_eq!(report(ErrorKind::RateLimited, None), HostReport::Busy { pause: None });
        assert_eq!(report(ErrorKind::SourceUnreachable, None), HostReport::Away);
        assert_eq!(report(ErrorKind::SourceNotFound, None), HostReport::Answered);
        for ours in [ErrorKind::Timeout, ErrorKind::Corrupt, ErrorKind::DiskFull, ErrorKind::Internal] {
            assert_eq!(report(ours, None), HostReport::Nothing, "{ours}");
        }
        let silent = Error::new(ErrorKind::Timeout, "why").with(IDLE_SECONDS, 30);
        assert_eq!(super::report(&silent, None), HostReport::Away);
        for ending in [Ending::Deadline, Ending::Cancelled, Ending::Shutdown] {
            assert_eq!(report(ErrorKind::SourceUnreachable, Some(ending)), HostReport::Nothing, "{ending:?}");
        }
    }
}
