//! What an error means for the task and for its job: pure.

use std::time::Duration;

use super::leases::Ending;
use crate::clock::Timestamp;
use crate::engine::options::EngineOptions;
use crate::engine::task::is_same_server;
use crate::error::{Error, ErrorKind};
use crate::model::{Repository, StoredError, TaskKind};
use crate::queue::{HostReport, JobOutcome};
use crate::rules::{FIRST_BUSY_PAUSE, LONGEST_ASKED_PAUSE, Outcome, look_at_credentials_at, next_sync_at};
use crate::source::{CredentialRevision, SourceUrl};
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

/// What an attempt asked its upstream by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// The source, if it asked one.
    pub(super) source: Option<&'a SourceUrl>,
    /// Whether the repository was synced from it before.
    pub(super) is_known: bool,
    /// Whether credentials that the organisation keeps go before those that all have.
    pub(super) as_organisation: bool,
}

/// Tells what a failed attempt says of the host of its source, which it shares with those of others: so it has to be the host
/// itself that says it, and not one that was redirected to.
///
/// Away is a host only to who has been there: an address that never answered may be of anybody's making. A timeout counts if it
/// was the host that kept us waiting: that the whole attempt took too long says nothing, since the repository may be that large,
/// and a lock in it is ours. A limit on the organisation's own token is its own, and holds the others up for a moment only.
pub(super) fn report(error: &Error, ending: Option<Ending>, asked: Asked<'_>) -> HostReport {
    let fact = |name: &str| error.context().find(|(key, _)| *key == name).map(|(_, value)| value);
    let is_at = |url: &str| {
        SourceUrl::parse(url).is_ok_and(|at| asked.source.is_some_and(|source| is_same_server(source, &at.url)))
    };
    if ending.is_some() || !fact("url").is_some_and(is_at) {
        return HostReport::Nothing;
    }
    let answered = fact("answer").is_some() || fact("status").is_some_and(|status| !status.starts_with('5'));
    match error.kind() {
        ErrorKind::RateLimited if asked.as_organisation => {
            let pause = error.retry_after().unwrap_or(FIRST_BUSY_PAUSE).min(FIRST_BUSY_PAUSE);
            HostReport::Busy { pause: Some(pause) }
        }
        ErrorKind::RateLimited => HostReport::Busy { pause: error.retry_after() },
        ErrorKind::SourceUnreachable if answered => HostReport::Answered,
        ErrorKind::SourceUnreachable if asked.is_known => HostReport::Away,
        ErrorKind::Timeout if asked.is_known && fact(IDLE_SECONDS).is_some() => HostReport::Away,
        ErrorKind::Unauthenticated if fact("status").is_none() && fact(CREDENTIALS).is_none() => HostReport::Nothing,
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
        let source: SourceUrl = "https://host.example/a.git".parse().unwrap();
        let asked = Asked { source: Some(&source), is_known: true, as_organisation: false };
        let stranger = Asked { is_known: false, ..asked };
        let at = |kind, url: &str| Error::new(kind, "why").with("url", url);
        let own = |kind| at(kind, "https://host.example/b.git");
        let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
        let limited = own(ErrorKind::RateLimited).retry_in(hour);
        let silent = own(ErrorKind::Timeout).with(IDLE_SECONDS, 30);
        let unreachable = || own(ErrorKind::SourceUnreachable);
        let (busy, nothing) = (|pause| HostReport::Busy { pause }, HostReport::Nothing);
        for (error, asked, expected) in [
            (&limited, asked, busy(Some(hour))),
            (&limited, Asked { as_organisation: true, ..asked }, busy(Some(minute))),
            (&own(ErrorKind::RateLimited), stranger, busy(None)),
            (&own(ErrorKind::RateLimited), Asked { as_organisation: true, ..asked }, busy(Some(minute))),
            (&unreachable(), asked, HostReport::Away),
            (&unreachable(), stranger, nothing),
            (&unreachable().with("status", 502), asked, HostReport::Away),
            (&unreachable().with("status", 451), asked, HostReport::Answered),
            (&unreachable().with("answer", "no"), stranger, HostReport::Answered),
            (&silent, asked, HostReport::Away),
            (&silent, stranger, nothing),
            (&own(ErrorKind::SourceNotFound), stranger, HostReport::Answered),
            (&own(ErrorKind::Unauthenticated).with("status", 401), asked, HostReport::Answered),
            // The key could not be read, and nobody was asked.
            (&own(ErrorKind::Unauthenticated), asked, nothing),
        ] {
            assert_eq!(report(error, None, asked), expected, "{error} {asked:?}");
        }
        for ours in [ErrorKind::Timeout, ErrorKind::Corrupt, ErrorKind::DiskFull, ErrorKind::Internal] {
            assert_eq!(report(&own(ours), None, asked), nothing, "{ours}");
        }
        for ending in [Ending::Deadline, Ending::Cancelled, Ending::Shutdown] {
            assert_eq!(report(&unreachable(), Some(ending), asked), nothing, "{ending:?}");
        }
    }

    #[test]
    fn what_another_server_says_is_not_held_against_the_host() {
        let source: SourceUrl = "https://host.example/a.git".parse().unwrap();
        let asked = Asked { source: Some(&source), is_known: true, as_organisation: false };
        for url in ["https://evil.example/a.git", "https://host.example:22/a.git", "http://host.example/a.git", "?"] {
            for kind in [ErrorKind::RateLimited, ErrorKind::SourceUnreachable] {
                assert_eq!(
                    report(&Error::new(kind, "why").with("url", url), None, asked),
                    HostReport::Nothing,
                    "{url}"
                );
            }
        }
        let limited = Error::new(ErrorKind::RateLimited, "why");
        assert_eq!(report(&limited, None, asked), HostReport::Nothing, "nobody knows whose answer it is");
        let none = Asked { source: None, ..asked };
        assert_eq!(report(&limited.with("url", &source), None, none), HostReport::Nothing);
    }
}
