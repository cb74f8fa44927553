//! The time of the store, on the clock of this process.

use std::sync::Arc;

use crate::clock::{Clock, Timestamp};

/// Tells the time as the store does, which compares it with what is decided here: when a task is tried again, how long a host is
/// left alone. Clocks of machines differ, and whoever is behind would have everything done at once.
#[derive(Clone, Debug)]
pub(crate) struct StoreTime {
    clock: Arc<dyn Clock>,
    /// By how much the store is ahead, in microseconds.
    ahead: i64,
}

impl StoreTime {
    /// Begins with what the store has just told.
    pub(crate) fn new(clock: Arc<dyn Clock>, told: Timestamp) -> Self {
        let ahead = told.as_micros().saturating_sub(clock.now().as_micros());
        StoreTime { clock, ahead }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.clock.now().as_micros().saturating_add(self.ahead))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::ManualClock;

    #[test]
    fn it_goes_on_from_what_the_store_told() {
        let clock = ManualClock::default();
        let hour = Duration::from_secs(3600);
        for told in [clock.now().after(hour), clock.now().before(hour), clock.now()] {
            let time = StoreTime::new(Arc::new(clock.clone()), told);
            assert_eq!(time.now(), told);
            clock.advance(Duration::from_secs(7));
            assert_eq!(time.now(), told.after(Duration::from_secs(7)));
        }
    }
}
