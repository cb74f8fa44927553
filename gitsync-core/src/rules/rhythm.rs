//! When a repository is synced next.

use std::time::Duration;

use super::due::look_after;
use crate::clock::Timestamp;
use crate::model::Repository;

/// By how much of itself a pause is stretched or shortened at most, so that what was asked for at once comes apart.
const JITTER: f64 = 0.05;

/// Between which bounds the engine chooses how often repositories are synced that have no interval of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rhythm {
    /// The shortest pause between two syncs.
    pub min: Duration,
    /// The longest pause between two syncs, also after many failures.
    pub max: Duration,
}

/// Decides when a repository is due again, as it is after an attempt that ends now. `chance` is random, from 0 to 1. One
/// without a source is not scheduled.
///
/// An upstream that was quiet for long will probably be so for a while: the pause is half the time since it last changed,
/// within the bounds, or the repository's own interval. Each failure in a row doubles it, up to the longest pause; no
/// failure shortens an interval of its own that is longer.
pub fn next_sync_at(repository: &Repository, rhythm: Rhythm, chance: f64, now: Timestamp) -> Option<Timestamp> {
    if repository.source.is_none() || repository.deleted_at.is_some() {
        return None;
    }
    let quiet = now.since(repository.last_changed_at.unwrap_or(repository.created_at));
    let pause = repository.sync_interval.unwrap_or_else(|| (quiet / 2).max(rhythm.min).min(rhythm.max));
    let doubled = pause.saturating_mul(1_u32.checked_shl(repository.failures).unwrap_or(u32::MAX));
    let pause = doubled.min(rhythm.max.max(pause));
    Some(now.after(pause.mul_f64(1.0 + JITTER * (2.0 * chance.clamp(0.0, 1.0) - 1.0))))
}

/// Decides when it is looked first whether a repository has other credentials than those that were refused just now, by an attempt
/// after which it would be due at `next_sync_at`: soon, unless it was noted before that some were refused.
///
/// Then somebody took the credentials for others, and they were not: processes that do not agree on what they are shall not make
/// each other try more often than after other failures.
pub fn look_at_credentials_at(
    repository: &Repository,
    were_refused_before: bool,
    next_sync_at: Timestamp,
    now: Timestamp,
) -> Timestamp {
    let soon = now.after(look_after(repository));
    if were_refused_before { soon.max(next_sync_at) } else { soon }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rules::fixtures::repository;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const RHYTHM: Rhythm = Rhythm { min: Duration::from_secs(5 * 60), max: Duration::from_secs(24 * 3600) };

    /// A repository whose upstream last changed so many seconds ago.
    fn quiet_for(seconds: u64, failures: u32) -> Repository {
        let changed = NOW.before(Duration::from_secs(seconds));
        Repository { last_changed_at: Some(changed), failures, ..repository() }
    }

    /// The pause without jitter.
    fn pause(repository: &Repository) -> Duration {
        next_sync_at(repository, RHYTHM, 0.5, NOW).unwrap().since(NOW)
    }

    #[test]
    fn known_pauses() {
        for (quiet, failures, minutes) in [
            (0, 0, 5),
            (10 * 60, 0, 5),
            (3600, 0, 30),
            (3600, 1, 60),
            (3600, 3, 240),
            (3600, 31, 24 * 60),
            (3600, u32::MAX, 24 * 60),
            (48 * 3600, 0, 24 * 60),
            (u64::MAX, 0, 24 * 60),
        ] {
            assert_eq!(pause(&quiet_for(quiet, failures)), minutes * MINUTE, "{quiet} s, {failures} failures");
        }
    }

    #[test]
    fn an_interval_of_its_own_comes_first() {
        let own =
            |interval, failures| pause(&Repository { sync_interval: Some(interval), ..quiet_for(3600, failures) });
        let long = 10 * RHYTHM.max;
        assert_eq!((own(MINUTE, 0), own(MINUTE, 2)), (MINUTE, 4 * MINUTE));
        assert_eq!((own(MINUTE, 20), own(long, 0), own(long, 3)), (RHYTHM.max, long, long));
    }

    #[test]
    fn one_that_never_changed_is_as_old_as_its_record() {
        let created_at = NOW.before(2 * 3600 * Duration::from_secs(1));
        let never = Repository { last_changed_at: None, created_at, ..repository() };
        assert_eq!(pause(&never), 60 * MINUTE);
    }

    #[test]
    fn refused_credentials_are_looked_at_soon_unless_some_were_refused_before() {
        for (next, before, minutes) in [(0, false, 5), (64, false, 5), (0, true, 5), (64, true, 64)] {
            let at = look_at_credentials_at(&repository(), before, NOW.after(next * MINUTE), NOW);
            assert_eq!(at.since(NOW), minutes * MINUTE, "{next} min");
        }
    }

    #[test]
    fn what_has_no_source_or_is_being_deleted_is_not_scheduled() {
        let unscheduled =
            [Repository { source: None, ..repository() }, Repository { deleted_at: Some(NOW), ..repository() }];
        for repository in unscheduled {
            assert_eq!(next_sync_at(&repository, RHYTHM, 0.5, NOW), None);
        }
    }

    proptest! {
        #[test]
        fn a_pause_keeps_to_its_bounds_but_for_the_jitter(
            quiet in 0..400_u64 * 24 * 3600, failures in 0..40_u32, chance in 0.0..=1.0_f64,
        ) {
            let repository = quiet_for(quiet, failures);
            let middle = pause(&repository);
            prop_assert!((RHYTHM.min..=RHYTHM.max).contains(&middle));
            let pause = next_sync_at(&repository, RHYTHM, chance, NOW).unwrap().since(NOW);
            let bounds = middle.mul_f64(0.95) - Duration::from_micros(1)..=middle.mul_f64(1.05);
            prop_assert!(bounds.contains(&pause), "{pause:?} of {middle:?}");
        }

        #[test]
        fn between_the_bounds_it_is_half_of_the_quiet_time(quiet in 10 * 60..48_u64 * 3600) {
            prop_assert_eq!(pause(&quiet_for(quiet, 0)), Duration::from_secs(quiet) / 2);
        }

        #[test]
        fn more_quiet_or_failures_never_bring_it_forward(
            quiet in 0..100_u64 * 3600, more in 0..100_u64 * 3600, failures in 0..40_u32,
        ) {
            let before = pause(&quiet_for(quiet, failures));
            prop_assert!(pause(&quiet_for(quiet + more, failures)) >= before);
            prop_assert_eq!(pause(&quiet_for(quiet, failures + 1)), (2 * before).min(RHYTHM.max));
        }

        #[test]
        fn the_jitter_rises_with_chance(quiet in 0..100_u64 * 3600, low in 0.0..=1.0_f64, high in 0.0..=1.0_f64) {
            prop_assume!(low <= high);
            let at = |chance| next_sync_at(&quiet_for(quiet, 0), RHYTHM, chance, NOW);
            prop_assert!(at(low) <= at(high));
        }
    }
}
