//! A clock that stands still until a test moves it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};

/// 2026-01-01T00:00:00Z: where a clock begins unless it is told otherwise.
const DAWN: Timestamp = Timestamp::from_secs(1_767_225_600);

/// A clock that only a test moves. Clones are the same clock.
///
/// ```
/// use std::time::Duration;
///
/// use gitsync_core::Clock;
/// use gitsync_core::testing::ManualClock;
///
/// # gitsync_core::testing::run(async {
/// let clock = ManualClock::default();
/// let sleeper = tokio::spawn({
///     let clock = clock.clone();
///     async move { clock.sleep(Duration::from_secs(3600)).await }
/// });
/// clock.wait_for_sleepers(1).await;
/// clock.advance(Duration::from_secs(3600));
/// sleeper.await.unwrap();
/// # });
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<watch::Sender<State>>);

struct State {
    now: Timestamp,
    /// When each sleeper wakes. Those whose time has come are out, even if they have not run yet.
    sleepers: BTreeMap<u64, Timestamp>,
    next_sleeper: u64,
}

impl ManualClock {
    /// Creates a clock that shows `now`.
    pub fn new(now: Timestamp) -> Self {
        ManualClock(Arc::new(watch::Sender::new(State { now, sleepers: BTreeMap::new(), next_sleeper: 0 })))
    }

    /// Moves the clock on and wakes whose time has come.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().after(duration));
    }

    /// Sets the clock, forward or back, and wakes whose time has come.
    pub fn set(&self, now: Timestamp) {
        self.0.send_modify(|state| {
            state.now = now;
            state.sleepers.retain(|_, wakes_at| *wakes_at > now);
        });
    }

    /// Tells how many sleep at present: those that a sufficient [`advance`](Self::advance) would wake.
    pub fn sleepers(&self) -> usize {
        self.0.borrow().sleepers.len()
    }

    /// Completes once at least `count` sleep. So a test knows that what it waits for has nothing left to do before it
    /// moves the clock.
    pub async fn wait_for_sleepers(&self, count: usize) {
        self.wait_until(|state| state.sleepers.len() >= count).await;
    }

    async fn wait_until(&self, reached: impl FnMut(&State) -> bool) {
        // It cannot fail: the sender lives as long as `self`.
        let _ = self.0.subscribe().wait_for(reached).await;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        ManualClock::new(DAWN)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock({}, {} asleep)", self.now(), self.sleepers())
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.borrow().now
    }

    async fn sleep(&self, duration: Duration) {
        if duration.is_zero() {
            return;
        }
        let sleeper = Sleeper::register(self, duration);
        self.wait_until(|state| !state.sleepers.contains_key(&sleeper.id)).await;
    }
}

/// A place among the sleepers, given up when it is dropped.
struct Sleeper<'a> {
    clock: &'a ManualClock,
    id: u64,
}

impl<'a> Sleeper<'a> {
    fn register(clock: &'a ManualClock, duration: Duration) -> Self {
        let mut id = 0;
        clock.0.send_modify(|state| {
            id = state.next_sleeper;
            state.next_sleeper += 1;
            state.sleepers.insert(id, state.now.after(duration));
        });
        Sleeper { clock, id }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.clock.0.send_if_modified(|state| state.sleepers.remove(&self.id).is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = ManualClock::default();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(2 * SECOND).await;
                clock.now()
            }
        });
        clock.wait_for_sleepers(1).await;
        clock.advance(SECOND);
        tokio::task::yield_now().await;
        assert_eq!((clock.sleepers(), sleeper.is_finished()), (1, false));
        clock.advance(SECOND);
        assert_eq!(clock.sleepers(), 0, "whose time has come is not waited for");
        assert_eq!(sleeper.await.unwrap(), DAWN.after(2 * SECOND));
    }

    #[tokio::test]
    async fn a_dropped_sleep_is_no_sleeper() {
        let clock = ManualClock::default();
        let dropped = tokio::time::timeout(Duration::from_millis(1), clock.sleep(SECOND)).await;
        assert!(dropped.is_err());
        assert_eq!(clock.sleepers(), 0);
    }

    #[tokio::test]
    async fn a_clock_can_be_set_back() {
        let clock = ManualClock::default();
        clock.set(Timestamp::from_secs(5));
        assert_eq!(clock.now(), Timestamp::from_secs(5));
        clock.sleep(Duration::ZERO).await;
    }
}
