//! A claim: which waiting jobs are next, without a look at all of them.
//!
//! Most claims take what they want out of the first jobs in the order of urgency (`urgent`). Where too many of those are at hosts
//! that have no room, lanes are walked over (`search`). A **lane** here is a storage, a host and a priority that jobs wait for.
//! Lanes are found by skipping through the index from one to the next, so that it does not matter how many jobs wait in each, and
//! the best jobs of all of them are taken (`take`). Either way the rows of the most urgent hosts are locked, which makes their
//! counts exact; those that another claim has are passed over.
//!
//! Each look, and what it takes, is a transaction of its own: every way to the database and back takes as long as a look, and what
//! is locked is locked no longer than it takes to write it down.

mod search;
mod take;
mod urgent;

use std::collections::BTreeSet;

use gitsync_core::queue::{ClaimRequest, ClaimedJob, QueueLimits};
use gitsync_core::source::HostKey;
use gitsync_core::{Result, Timestamp};
use gitsync_sql::{Connection, queue};

use crate::PostgresStore;
use crate::connection::Attached;
use crate::glance::{Glance, is_done_again};
use crate::transaction::{Mode, in_transaction};

pub(crate) use search::Position;
use search::search;
use take::{take, wait_for};
use urgent::{Extent, Urgent, urgent};

/// The most steps of one search: where there are more lanes, the next claim goes on from where this one ended.
const STEPS: usize = 16;

/// Jobs of one priority that wait for the same host in the same storage.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lane {
    storage: String,
    host: String,
    /// Whether there is a row of the host.
    is_known: bool,
    priority: i64,
}

impl Lane {
    /// Tells whether its host has no limit, and no row.
    fn is_local(&self) -> bool {
        self.host == HostKey::local().as_str()
    }
}

/// Lanes that were found.
#[derive(Debug, Default)]
struct Found {
    /// Those of hosts that have room, from the most urgent one.
    lanes: Vec<Lane>,
    /// Where the walk ended, if there are more lanes.
    end: Option<Position>,
    /// When it was that, in microseconds since the epoch.
    now: i64,
}

/// What lanes are looked for.
#[derive(Debug)]
struct Asked<'c> {
    storages: &'c [String],
    /// How many jobs are wanted.
    room: usize,
    limits: &'c QueueLimits,
    /// The time, unless it is the database's.
    given: Option<Timestamp>,
}

/// What became of lanes that were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Their jobs were taken, as many as could be.
    Done,
    /// Others took all of their jobs since they were found; there may be more behind those.
    TooLate,
}

/// Claims jobs, and tells where the next claim goes on.
///
/// What a step took is taken for good. So a later one that fails ends the claim, and it answers with what it has. What a claim
/// that is dropped took waits for the end of its lease.
pub(crate) async fn claim(
    store: &PostgresStore,
    request: &ClaimRequest,
    begin: Position,
) -> Result<(Vec<ClaimedJob>, Position)> {
    let storages: BTreeSet<_> = request.storages.iter().map(ToString::to_string).collect();
    let storages = storages.into_iter().collect();
    let limit = request.limit;
    let mut claim = Claim { store, storages, limit, claimed: Vec::new(), busy: Vec::new(), position: begin };
    match claim.run().await {
        Err(error) if claim.claimed.is_empty() => Err(error),
        _ => Ok((claim.claimed, claim.position)),
    }
}

/// A claim under way.
#[derive(Debug)]
struct Claim<'s> {
    store: &'s PostgresStore,
    storages: Vec<String>,
    limit: usize,
    claimed: Vec<ClaimedJob>,
    /// Lanes of the hosts that another claim had, from the most urgent one.
    busy: Vec<Lane>,
    /// Where the walk goes on.
    position: Position,
}

impl Claim<'_> {
    async fn run(&mut self) -> Result<()> {
        let (mut connection, mut urgent) = self.begin().await?;
        if urgent.expired {
            drop(connection);
            in_transaction!(self.store, Mode::Write, |c| queue::abandon_expired(c))?;
            (connection, urgent) = self.begin().await?;
        }
        self.claimed = urgent.jobs;
        match urgent.extent {
            Extent::None => return Ok(()),
            Extent::Enough if !self.claimed.is_empty() => return Ok(()),
            Extent::Enough | Extent::Some => {}
        }
        if self.claimed.len() < self.limit {
            self.walk(&mut connection.attach()).await?;
        }
        drop(connection);
        if self.claimed.is_empty() && !self.busy.is_empty() {
            // All that is left is at hosts that other claims are at: to come back with nothing would be wrong.
            self.claimed = in_transaction!(self.store, Mode::Write, |c| self.wait(c))?;
        }
        Ok(())
    }

    /// Takes a connection and on it the most urgent jobs. Another one is taken if it is dead, as those that were idle may all be
    /// since the server was started again. What was taken with an answer that was lost waits for the end of its lease.
    async fn begin(&self) -> Result<(Glance, Urgent)> {
        let mut idle = self.store.pool.num_idle();
        loop {
            let mut connection = Glance::begin(self.store).await?;
            let urgent = urgent(&mut connection.attach(), &self.asked()).await;
            if !is_done_again(&urgent, &mut idle) {
                return Ok((connection, urgent?));
            }
        }
    }

    /// Walks over the lanes, from where the last claim came to, until it has enough.
    async fn walk(&mut self, connection: &mut Attached<'_>) -> Result<()> {
        let mut wraps = self.position != Position::default();
        for _ in 0..STEPS {
            let mut found = search(connection, &self.asked(), &self.position).await?;
            let end = found.end.take();
            if self.take(connection, found).await? == Outcome::TooLate {
                continue;
            }
            let is_end = end.is_none();
            self.position = end.unwrap_or_default();
            if self.claimed.len() >= self.limit || (is_end && !std::mem::take(&mut wraps)) {
                break;
            }
        }
        Ok(())
    }

    /// Takes the best jobs of the lanes that were found.
    async fn take(&mut self, connection: &mut Attached<'_>, found: Found) -> Result<Outcome> {
        let (jobs, hosts) = take(connection, &found.lanes, found.now, &self.asked()).await?;
        let (busy, had): (Vec<_>, Vec<_>) =
            found.lanes.into_iter().partition(|lane| !lane.is_local() && !hosts.contains(&lane.host));
        let is_too_late = !had.is_empty() && jobs.is_empty();
        self.busy.extend(busy);
        self.claimed.extend(jobs);
        Ok(if is_too_late { Outcome::TooLate } else { Outcome::Done })
    }

    /// Waits for the most urgent host that another claim has, and then takes jobs of it. While it waits it has no other.
    async fn wait(&self, connection: &mut Attached<'_>) -> Result<Vec<ClaimedJob>> {
        let Some(host) = self.busy.first().map(|lane| &lane.host) else { return Ok(Vec::new()) };
        wait_for(connection, host).await?;
        let lanes: BTreeSet<_> = self.busy.iter().filter(|lane| lane.host == *host).cloned().collect();
        let now = connection.now().await?.as_micros();
        Ok(take(connection, &Vec::from_iter(lanes), now, &self.asked()).await?.0)
    }

    fn asked(&self) -> Asked<'_> {
        Asked {
            storages: &self.storages,
            room: self.limit - self.claimed.len(),
            limits: &self.store.limits,
            given: self.store.time.given(),
        }
    }
}

/// Returns a bound on rows as the database takes it.
fn number(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}
