use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use HostReport::{Answered, Away, Nothing};

const NOW: Timestamp = Timestamp::from_secs(1_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const BUSY: HostReport = HostReport::Busy { pause: None };

fn busy_for(seconds: u64) -> HostReport {
    HostReport::Busy { pause: Some(Duration::from_secs(seconds)) }
}

/// Returns what is known after reports, each of which comes once the pause of the one before is over.
fn after(state: &HostState, configured: u32, reports: &[HostReport]) -> HostState {
    let mut state = state.clone();
    for report in reports {
        let now = state.blocked_until.unwrap_or(NOW);
        state = state.after(*report, configured, now);
    }
    state
}

fn limited(limit: u32) -> HostState {
    HostState { limit: Some(limit), blocked_until: Some(NOW), ..HostState::default() }
}

/// How long a host is left alone after the last of some reports.
fn pause(reports: &[HostReport]) -> u64 {
    let (last, earlier) = reports.split_last().unwrap();
    let before = after(&HostState::default(), 4, earlier);
    let now = before.blocked_until.unwrap_or(NOW);
    let until = before.after(*last, 4, now).blocked_until.unwrap();
    until.since(now).as_secs()
}

#[test]
fn a_limit_is_halved_and_grows_by_one_after_as_many_successes_as_it_is() {
    for (limit, configured, reports, expected) in [
        (None, 8, &[busy_for(1)][..], Some(4)),
        (None, 8, &[BUSY], Some(4)),
        (None, 8, &[BUSY, BUSY, BUSY, BUSY, BUSY], Some(1)),
        (None, 5, &[BUSY], Some(2)),
        (None, 1, &[BUSY], None),
        (None, 0, &[BUSY], None),
        (None, 8, &[Answered, Away, Nothing], None),
        (Some(1), 8, &[Answered], Some(2)),
        (Some(2), 8, &[Answered], Some(2)),
        (Some(2), 8, &[Answered, Nothing, Away, Answered], Some(3)),
        (Some(2), 8, &[Answered, BUSY, Answered, Answered], Some(2)),
        (Some(3), 4, &[Answered, Answered, Answered], None),
        // It was configured anew.
        (Some(6), 4, &[Nothing], Some(6)),
        (Some(6), 4, &[Answered], None),
        (Some(6), 4, &[BUSY], Some(2)),
        (Some(6), 20, &[BUSY], Some(3)),
    ] {
        let state = limit.map_or_else(HostState::default, limited);
        assert_eq!(after(&state, configured, reports).limit, expected, "{limit:?} of {configured}: {reports:?}");
    }
}

#[test]
fn who_says_how_long_is_left_alone_for_that_and_others_for_ever_longer() {
    assert_eq!(pause(&[busy_for(300)]), 300);
    assert_eq!(pause(&[busy_for(0)]), 0);
    assert_eq!(pause(&[busy_for(1 << 40)]), 24 * 3600);
    assert_eq!(pause(&[BUSY]), 60);
    assert_eq!(pause(&[BUSY, BUSY]), 120);
    assert_eq!(pause(&[BUSY, busy_for(7), BUSY]), 120);
    assert_eq!(pause(&[BUSY, BUSY, Answered, BUSY]), 60, "a success begins anew");
    assert_eq!(pause(&vec![BUSY; 100]), 15 * 60);
}

#[test]
fn a_host_that_is_away_is_tried_less_and_less_by_one_job() {
    let away = |count| after(&HostState::default(), 4, &vec![Away; count]);
    assert_eq!((away(4).most(), pause(&[Away, Away, Away, Away])), (None, 0));
    let pauses: Vec<_> = (5..12).map(|count| pause(&vec![Away; count])).collect();
    assert_eq!(pauses, [30, 60, 120, 240, 480, 900, 900]);
    assert_eq!(away(5).most(), Some(1));
    let there = after(&away(9), 4, &[Answered]);
    assert!(there.is_plain() && there.most().is_none(), "one success is enough: {there:?}");
    assert_eq!(after(&limited(2), 4, &[Away, Away, Away, Away, Away, BUSY]).most(), Some(1));
    let there = after(&limited(3), 4, &[Away, Away, Away, Away, Away, Answered]);
    assert_eq!(there.most(), Some(3), "what it took before it went away is not forgotten");
}

#[test]
fn what_fails_alone_among_successes_slows_nobody() {
    let reports = [Away, Away, Away, Away, Answered].repeat(5);
    assert!(after(&HostState::default(), 4, &reports).is_plain());
    assert_eq!(pause(&[Away, Answered, Away]), 0);
    let reports = [Away, Away, Away, Away, BUSY, Away];
    assert_eq!(after(&HostState::default(), 4, &reports).most(), Some(2), "who asks for a pause is there");
}

#[test]
fn jobs_that_began_before_a_pause_are_part_of_its_reason() {
    let slowed = HostState::default().after(busy_for(100), 8, NOW);
    let later = NOW.after(SECOND);
    for report in [BUSY, busy_for(5), Answered, Nothing] {
        assert_eq!(slowed.clone().after(report, 8, later), slowed, "{report:?}");
    }
    let longer = slowed.clone().after(busy_for(500), 8, later);
    assert_eq!((longer.limit, longer.blocked_until), (Some(4), Some(later.after(500 * SECOND))));

    let mut away = HostState::default();
    for _ in 0..20 {
        away = away.after(Away, 8, NOW);
    }
    assert_eq!((away.failures, away.blocked_until), (5, Some(NOW.after(30 * SECOND))));
    let there = away.after(Answered, 8, later);
    assert_eq!((there.most(), there.is_blocked(later)), (None, true), "a pause is never cut short");
}

#[test]
fn pauses_are_stretched_by_a_fifth_at_the_most() {
    let pause = |micros| {
        let now = Timestamp::from_micros(NOW.as_micros() + micros);
        HostState::default().after(BUSY, 8, now).blocked_until.unwrap().since(now)
    };
    assert_eq!([pause(0), pause(500_000)], [60 * SECOND, 66 * SECOND]);
    assert!(pause(999_999) < 72 * SECOND);
}

#[test]
fn what_is_known_is_forgotten_after_a_day() {
    let at = |seconds| NOW.after(Duration::from_secs(seconds));
    assert!(HostState::default().may_be_forgotten(NOW));
    let blocked = HostState { blocked_until: Some(at(9)), ..HostState::default() };
    assert_eq!([at(8), at(9)].map(|now| blocked.may_be_forgotten(now)), [false, true]);
    for learned in [limited(2), HostState { failures: 1, ..blocked.clone() }, HostState { refusals: 1, ..blocked }] {
        let end = learned.blocked_until.unwrap().after(LESSONS_KEPT);
        let around = [end.before(SECOND), end];
        assert_eq!(around.map(|now| learned.may_be_forgotten(now)), [false, true], "{learned:?}");
    }
}

fn report() -> impl Strategy<Value = HostReport> {
    let busy = option::of(0..100_000_u64).prop_map(|pause| HostReport::Busy { pause: pause.map(Duration::from_secs) });
    prop_oneof![1 => Just(Nothing), 4 => Just(Answered), 2 => busy, 3 => Just(Away)]
}

proptest! {
    #[test]
    fn whatever_happens_a_host_is_tried_again_and_never_too_much(
        configured in 1..40_u32,
        steps in vec((report(), 0..100_000_u64, 0..1_000_000_i64), 0..80),
    ) {
        let (mut state, mut now) = (HostState::default(), NOW);
        for (report, seconds, micros) in steps {
            now = Timestamp::from_micros(now.after(Duration::from_secs(seconds)).as_micros() + micros);
            let before = state.clone();
            state = state.after(report, configured, now);
            let (most, most_before) = (state.most(), before.most());
            prop_assert!(most.is_none_or(|most| (1..configured.max(2)).contains(&most)), "{:?}", state);
            prop_assert!(state.blocked_until >= before.blocked_until, "a pause only grows");
            if let Some(until) = state.blocked_until.filter(|_| state.blocked_until != before.blocked_until) {
                prop_assert!(until.since(now) <= LONGEST_ASKED_PAUSE);
            }
            if let HostReport::Answered | HostReport::Nothing = report {
                prop_assert!(before.is_away() || most.unwrap_or(configured) >= most_before.unwrap_or(configured));
                prop_assert_eq!(state.blocked_until, before.blocked_until);
            }
            if before.is_plain() && report == Answered {
                prop_assert_eq!(&state, &before, "a success of a host like any other is not worth a write");
            }
        }
        // It comes back to what is configured by successes alone.
        now = now.after(LONGEST_ASKED_PAUSE);
        for _ in 0..configured * configured + 1 {
            state = state.after(Answered, configured, now);
        }
        prop_assert!(state.is_plain(), "{:?}", state);
    }
}
