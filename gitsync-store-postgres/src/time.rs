//! The time that leases, due times and all else are measured by: one for all machines that share a database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gitsync_core::{Clock, Timestamp};

/// What answers with the time of the database, in microseconds since the epoch.
macro_rules! read_time {
    () => {
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}
pub(crate) use read_time;

/// Where a store gets the time from.
#[derive(Clone, Debug)]
pub(crate) enum TimeSource {
    /// The database.
    Database,
    /// A clock that a test moves.
    Given(Arc<dyn Clock>),
}

impl TimeSource {
    /// Returns the time, unless it is the database's.
    pub(crate) fn given(&self) -> Option<Timestamp> {
        match self {
            TimeSource::Database => None,
            TimeSource::Given(clock) => Some(clock.now()),
        }
    }

    /// Completes once so much time has passed.
    pub(crate) async fn sleep(&self, duration: Duration) {
        match self {
            TimeSource::Database => tokio::time::sleep(duration).await,
            TimeSource::Given(clock) => clock.sleep(duration).await,
        }
    }
}

/// The time within a transaction.
///
/// It begins with what the database said and goes on with what has passed here since: who waited for a lock is told how late
/// it has become, without asking again. It never goes backwards, and is behind the database's by what the answer took to
/// arrive.
#[derive(Debug)]
pub(crate) enum Time {
    Database { said: Timestamp, since: Instant },
    Given(Arc<dyn Clock>),
}

impl Time {
    /// Begins with what the database has just said.
    pub(crate) fn begin(source: &TimeSource, said: i64) -> Self {
        match source {
            TimeSource::Database => Time::Database { said: Timestamp::from_micros(said), since: Instant::now() },
            TimeSource::Given(clock) => Time::Given(Arc::clone(clock)),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Time::Database { said, since } => said.after(since.elapsed()),
            Time::Given(clock) => clock.now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_that_waited_knows_how_late_it_is() {
        let said = Timestamp::from_secs(1_795_500_000);
        let waited = Duration::from_secs(5);
        let since = Instant::now().checked_sub(waited).expect("the machine has run for that long");
        let time = Time::Database { said, since };
        let now = time.now();
        assert!(now >= said.after(waited) && time.now() >= now);
    }
}
