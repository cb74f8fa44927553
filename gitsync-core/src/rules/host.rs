//! What attempts teach about source hosts: how much of our work they take, and whether they are there.

#[cfg(test)]
mod tests;

use std::time::Duration;

use tracing::{info, warn};

use crate::clock::Timestamp;
use crate::queue::HostReport;
use crate::source::HostKey;

/// How many jobs of a host fail by it, in a row, before it is left alone: more than one job has attempts by default.
pub const FAILURES_BEFORE_PAUSE: u32 = 5;

/// How long a host is left alone first that does not answer. Each probe that fails doubles it.
pub const FIRST_AWAY_PAUSE: Duration = Duration::from_secs(30);

/// How long a host is left alone first that asks for a pause without saying for how long. Each time it does so again doubles it.
pub const FIRST_BUSY_PAUSE: Duration = Duration::from_secs(60);

/// The longest pause that doubling leads to.
pub const LONGEST_HOST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// The longest time a host is left alone because it asked for that.
pub const LONGEST_ASKED_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// How long what was learned of a host is kept, after the last time it was slowed down or left alone, while none of its jobs run.
pub const LESSONS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// By how much of itself a pause is stretched at most, so that hosts that went away together are not tried together.
const JITTER: f64 = 0.2;

/// What is known of a source host. The default is nothing: as many of its jobs run as the configuration allows.
///
/// A host that asks for a pause gets half as many jobs at once afterwards, and one more each time as many as it gets have
/// succeeded. One that does not answer several times in a row is left alone, and then tried with one job at a time until it does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostState {
    /// How many of its jobs run at once, where that is less than what is configured. See [`HostState::most`].
    pub limit: Option<u32>,
    /// How many have succeeded since that last changed.
    pub successes: u32,
    /// How often in a row it asked for a pause without saying for how long.
    pub refusals: u32,
    /// How many jobs in a row have failed by it. Those that began before it was left alone are not counted afterwards.
    pub failures: u32,
    /// Until when it is left alone, or was; without a pause, when a job last failed by it. It only grows.
    pub blocked_until: Option<Timestamp>,
}

impl HostState {
    /// Returns the most jobs of the host at once, if that is fewer than what is configured: one while it has to be tried.
    pub fn most(&self) -> Option<u32> {
        if self.is_away() { Some(1) } else { self.limit }
    }

    /// Tells whether the host is left alone.
    pub fn is_blocked(&self, now: Timestamp) -> bool {
        self.blocked_until.is_some_and(|until| now < until)
    }

    /// Tells whether the host did not answer so often that one job at a time tries it.
    pub fn is_away(&self) -> bool {
        self.failures >= FAILURES_BEFORE_PAUSE
    }

    /// Tells whether nothing of what attempts have said holds any more, so that a success changes nothing.
    pub fn is_plain(&self) -> bool {
        self.limit.is_none() && self.refusals == 0 && self.failures == 0
    }

    /// Tells whether the host may be forgotten while none of its jobs run.
    pub fn may_be_forgotten(&self, now: Timestamp) -> bool {
        let kept = if self.is_plain() { Duration::ZERO } else { LESSONS_KEPT };
        self.blocked_until.is_none_or(|until| until.after(kept) <= now)
    }

    /// Decides what is known of a host after one more of its jobs has ended, of which `configured` may run at once.
    ///
    /// What ends while the host is left alone began before that: it is part of what led to the pause, so it neither halves the
    /// limit again nor doubles a pause, and its success does not raise the limit.
    #[must_use]
    pub fn after(self, report: HostReport, configured: u32, now: Timestamp) -> HostState {
        match report {
            HostReport::Nothing => self,
            HostReport::Answered if self.is_blocked(now) => HostState { failures: 0, ..self },
            HostReport::Answered => HostState { failures: 0, refusals: 0, ..self }.grown(configured),
            HostReport::Busy { pause: None } if self.is_blocked(now) => HostState { failures: 0, ..self },
            HostReport::Busy { pause: Some(pause) } if self.is_blocked(now) => {
                HostState { failures: 0, ..self }.blocked(pause.min(LONGEST_ASKED_PAUSE), now)
            }
            HostReport::Busy { pause } => {
                let refusals = if pause.is_none() { self.refusals.saturating_add(1) } else { self.refusals };
                let pause = pause.unwrap_or_else(|| doubled(FIRST_BUSY_PAUSE, refusals - 1, now));
                let halved = self.limit.map_or(configured, |limit| limit.min(configured)) / 2;
                let slower = HostState { limit: Some(halved.max(1)), successes: 0, refusals, failures: 0, ..self };
                slower.within(configured).blocked(pause.min(LONGEST_ASKED_PAUSE), now)
            }
            HostReport::Away if self.is_blocked(now) && self.is_away() => self,
            HostReport::Away => {
                let failures = self.failures.saturating_add(1);
                let probes = failures.checked_sub(FAILURES_BEFORE_PAUSE);
                let pause = probes.map_or(Duration::ZERO, |probes| doubled(FIRST_AWAY_PAUSE, probes, now));
                HostState { failures, ..self }.blocked(pause, now)
            }
        }
    }

    /// Counts a success. A limit that has had as many as it is becomes one more.
    fn grown(self, configured: u32) -> HostState {
        let Some(limit) = self.limit else { return self };
        let successes = self.successes.saturating_add(1);
        let grown = if successes >= limit {
            HostState { limit: Some(limit.saturating_add(1)), successes: 0, ..self }
        } else {
            HostState { successes, ..self }
        };
        grown.within(configured)
    }

    /// Forgets a limit that is not below what is configured.
    fn within(self, configured: u32) -> HostState {
        if self.limit.is_some_and(|limit| limit >= configured) {
            return HostState { limit: None, successes: 0, ..self };
        }
        self
    }

    fn blocked(self, pause: Duration, now: Timestamp) -> HostState {
        HostState { blocked_until: self.blocked_until.max(Some(now.after(pause))), ..self }
    }
}

/// Returns a pause that was doubled so often, stretched by what is random of the present moment: its part of a second.
fn doubled(first: Duration, times: u32, now: Timestamp) -> Duration {
    let doubled = first.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(LONGEST_HOST_PAUSE);
    let chance = now.as_micros().rem_euclid(1_000_000) as f64 / 1e6;
    doubled.mul_f64(1.0 + JITTER * chance).min(LONGEST_HOST_PAUSE)
}

/// What a queue has learned of a host and written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLesson {
    /// The host.
    pub host: HostKey,
    /// What was known before.
    pub before: HostState,
    /// What is known now.
    pub after: HostState,
}

impl HostLesson {
    /// Writes to the log that the host is slowed down, is left alone because it is away, is there again, or gets as many jobs as
    /// others. The rest happens too often.
    pub fn log(&self) {
        let HostLesson { host, before, after } = self;
        let until = after.blocked_until.unwrap_or_default();
        if after.is_away() && after.failures > before.failures {
            warn!(%host, failures = after.failures, %until, "a source host does not answer and is left alone");
        } else if before.is_away() && !after.is_away() {
            info!(%host, "a source host answers again");
        }
        if after.blocked_until > before.blocked_until && after.failures == 0 {
            warn!(%host, limit = after.limit, %until, "a source host asks for a pause and gets fewer jobs at once");
        } else if before.limit.is_some() && after.limit.is_none() {
            info!(%host, "a source host gets as many jobs at once as are configured");
        }
    }
}
