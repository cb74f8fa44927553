//! A fleet: server processes with one database in Postgres, killed, stopped, cut off from the database and asked too much.
//!
//! `GITSYNC_UPSTREAMS=200 GITSYNC_CALLS=1000 GITSYNC_OUTAGE=20 cargo nextest run -p gitsync-examples --features postgres
//! --test fleet` runs the long form. A failure shows the end of each process's log.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and says why")]

mod audit;
mod calls;
mod fleet;
mod host_limit;
mod kills;
mod outage;
mod process;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "not every test needs all of it")]
mod support;
mod upstreams;

use std::time::{Duration, Instant};

pub(crate) use fleet::Fleet;

gitsync_test_postgres::keeper!();

/// How long the leases of a fleet are. Short, since tests wait for their end; long enough for heartbeats on a busy machine.
const LEASE: Duration = Duration::from_secs(2);

/// How long something is waited for before it is taken for broken. Longer than a lock that a stopped process holds in the
/// database is kept.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns a size of a test, which the environment may set.
fn size(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("it is a number"))
}

/// Waits until there is something.
async fn find<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < give_up_at, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    find(what, async || is_so().await.then_some(())).await;
}
