//! The search of a claim: which waiting jobs are next, without a look at all of them.
//!
//! A **lane** here is a storage, a host and a priority that jobs wait for. Hosts and lanes are found by skipping through the
//! index from one to the next, so that it does not matter how many jobs wait in each. Then the rows of the hosts are locked,
//! which makes their counts exact; those that another claim has are passed over. Of each lane the best few jobs are
//! locked, and the best of all are taken.

use std::collections::{BTreeMap, BTreeSet};

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimRequest, ClaimedJob, QueueLimits};
use gitsync_core::source::HostKey;
use gitsync_sql::{Connection, queue};

use crate::connection::Attached;
use crate::error::classify;

/// The most hosts that one step of a search looks at.
const HOSTS: usize = 256;
/// The most lanes of those hosts that are looked into.
const LANES: usize = 1024;
/// The most steps of one search: where there are more hosts, the next claim goes on from where this one ended.
const STEPS: usize = 16;
/// The most hosts whose rows are locked at once: others find none of theirs free meanwhile.
const LOCKED: usize = 64;

/// The hosts that jobs wait for in some storages, behind one of them.
const FIND_HOSTS: &str = "
    WITH RECURSIVE waiting_for (host) AS (
        SELECT min(first.host) FROM unnest($1::text[]) AS served (storage), LATERAL (
            SELECT job.host FROM job
            WHERE job.leased_until IS NULL AND job.storage = served.storage AND job.host > $2
            ORDER BY job.host LIMIT 1
        ) AS first
        UNION ALL
        SELECT (
            SELECT min(next.host) FROM unnest($1::text[]) AS served (storage), LATERAL (
                SELECT job.host FROM job
                WHERE job.leased_until IS NULL AND job.storage = served.storage AND job.host > waiting_for.host
                ORDER BY job.host LIMIT 1
            ) AS next
        ) FROM waiting_for WHERE waiting_for.host IS NOT NULL
    )
    SELECT host FROM waiting_for WHERE host IS NOT NULL LIMIT $3";

/// The lanes of those hosts that have room and are not left alone, with the moment since which the first job of each is
/// due: the most urgent first.
///
/// That job is asked for in the whole order of the index, down to its id. In that of time alone the database may rather go
/// through the index of all jobs by time, which has the right ones far behind others.
const FIND_LANES: &str = "
    WITH RECURSIVE open (host) AS MATERIALIZED (
        SELECT asked.host FROM unnest($2::text[]) AS asked (host)
        LEFT JOIN source_host ON source_host.name = asked.host
        WHERE asked.host = $3
            OR (coalesce(source_host.running, 0) < $4 AND coalesce(source_host.blocked_until <= $5, TRUE))
    ), lane (storage, host, priority) AS (
        SELECT served.storage, open.host, first.priority
        FROM open CROSS JOIN unnest($1::text[]) AS served (storage), LATERAL (
            SELECT job.priority FROM job
            WHERE job.leased_until IS NULL AND job.storage = served.storage AND job.host = open.host
            ORDER BY job.priority LIMIT 1
        ) AS first
        UNION ALL
        SELECT lane.storage, lane.host, next.priority
        FROM lane, LATERAL (
            SELECT job.priority FROM job
            WHERE job.leased_until IS NULL AND job.storage = lane.storage AND job.host = lane.host
                AND job.priority > lane.priority
            ORDER BY job.priority LIMIT 1
        ) AS next
    )
    SELECT lane.storage, lane.host, lane.priority
    FROM lane, LATERAL (
        SELECT job.run_at FROM job
        WHERE job.leased_until IS NULL AND job.storage = lane.storage AND job.host = lane.host
            AND job.priority = lane.priority AND job.run_at <= $5
        ORDER BY job.run_at, job.id LIMIT 1
    ) AS due
    ORDER BY lane.priority, due.run_at LIMIT $6";

/// Hosts are forgotten while nothing of them runs.
const ADD_HOSTS: &str = "
    INSERT INTO source_host (name, running)
    SELECT asked.name, 0 FROM unnest($1::text[]) AS asked (name)
    WHERE NOT EXISTS (SELECT FROM source_host WHERE source_host.name = asked.name)
    ORDER BY asked.name
    ON CONFLICT DO NOTHING";

/// How many jobs more of each host may run.
macro_rules! lock_hosts {
    ($lock:literal) => {
        concat!(
            "SELECT name, $2 - running FROM source_host
            WHERE name = ANY($1) AND running < $2 AND coalesce(blocked_until <= $3, TRUE)
            ORDER BY name FOR UPDATE",
            $lock
        )
    };
}

/// The best jobs of some lanes, at most so many of each as may be taken.
const LOCK_JOBS: &str = "
    SELECT found.id, lane.host, lane.priority, found.run_at
    FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS lane (storage, host, priority, room), LATERAL (
        SELECT job.id, job.run_at FROM job
        WHERE job.leased_until IS NULL AND job.storage = lane.storage AND job.host = lane.host
            AND job.priority = lane.priority AND job.run_at <= $5
        ORDER BY job.run_at, job.id LIMIT lane.room
        FOR UPDATE SKIP LOCKED
    ) AS found
    ORDER BY lane.priority, found.run_at, found.id";

/// Claims jobs, and tells behind which host the next claim begins.
pub(crate) async fn claim(
    connection: &mut Attached<'_>,
    request: &ClaimRequest,
    limits: &QueueLimits,
    begin: &str,
) -> Result<(Vec<ClaimedJob>, String)> {
    queue::abandon_expired(connection).await?;
    let mut search = Search {
        storages: request.storages.iter().map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect(),
        limits,
        busy: Vec::new(),
    };
    let mut claimed = Vec::new();
    let (mut position, mut wraps) = (begin.to_owned(), !begin.is_empty());
    for _ in 0..STEPS {
        let hosts = search.hosts(connection, &position).await?;
        // The order of the names is the database's, not ours.
        let is_full = hosts.len() == HOSTS;
        let end = hosts.last().filter(|_| is_full).cloned();
        let lanes = search.lanes(connection, &hosts).await?;
        let room = request.limit - claimed.len();
        claimed.extend(search.take(connection, lanes, room, Busy::PassOver).await?);
        let is_end = end.is_none();
        position = end.unwrap_or_default();
        if claimed.len() >= request.limit || (is_end && !std::mem::take(&mut wraps)) {
            break;
        }
    }
    if claimed.is_empty() && !search.busy.is_empty() {
        // All that is left is at hosts that other claims are at: to come back with nothing would be wrong.
        let lanes = std::mem::take(&mut search.busy);
        claimed = search.take(connection, lanes, request.limit, Busy::Wait).await?;
    }
    Ok((claimed, position))
}

/// Jobs of one priority that wait for the same host in the same storage.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Lane {
    storage: String,
    host: String,
    priority: i64,
}

/// What to do about a host that another claim has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    PassOver,
    Wait,
}

/// A search, and what it leaves aside.
#[derive(Debug)]
struct Search<'r> {
    storages: Vec<String>,
    limits: &'r QueueLimits,
    /// Lanes of the hosts that another claim had, from the most urgent one.
    busy: Vec<Lane>,
}

impl Search<'_> {
    /// Finds hosts that jobs wait for, behind one, in the order of the index.
    async fn hosts(&self, connection: &mut Attached<'_>, after: &str) -> Result<Vec<String>> {
        let query = sqlx::query_scalar(FIND_HOSTS).bind(&self.storages).bind(after).bind(number(HOSTS));
        query.fetch_all(connection.driver()).await.map_err(classify)
    }

    /// Finds the lanes of hosts that have room, from the most urgent one.
    async fn lanes(&self, connection: &mut Attached<'_>, hosts: &[String]) -> Result<Vec<Lane>> {
        let now = connection.now().await?.as_micros();
        let query = sqlx::query_as(FIND_LANES)
            .bind(&self.storages)
            .bind(hosts)
            .bind(HostKey::local().as_str().to_owned())
            .bind(i64::from(self.limits.host_concurrency))
            .bind(now)
            .bind(number(LANES));
        let lanes: Vec<(String, String, i64)> = query.fetch_all(connection.driver()).await.map_err(classify)?;
        Ok(lanes.into_iter().map(|(storage, host, priority)| Lane { storage, host, priority }).collect())
    }

    /// Leases the best jobs of lanes.
    async fn take(
        &mut self,
        connection: &mut Attached<'_>,
        lanes: Vec<Lane>,
        limit: usize,
        busy: Busy,
    ) -> Result<Vec<ClaimedJob>> {
        let mut rooms = self.lock_hosts(connection, &lanes, busy).await?;
        rooms.insert(HostKey::local().as_str().to_owned(), number(limit));
        let (free, others) = lanes.into_iter().partition::<Vec<_>, _>(|lane| rooms.contains_key(&lane.host));
        self.busy.extend(others);
        let found = lock_jobs(connection, &free, &rooms, limit).await?;
        let mut best = Vec::with_capacity(limit.min(found.len()));
        for (id, host) in found {
            let Some(room) = rooms.get_mut(&host).filter(|room| **room > 0) else { continue };
            if best.len() == limit {
                break;
            }
            *room -= 1;
            best.push(id);
        }
        queue::lease(connection, &best, self.limits).await
    }

    /// Locks the hosts of the most urgent lanes and returns how many jobs more each may run.
    async fn lock_hosts(
        &self,
        connection: &mut Attached<'_>,
        lanes: &[Lane],
        busy: Busy,
    ) -> Result<BTreeMap<String, i64>> {
        let most = match busy {
            Busy::PassOver => LOCKED,
            // While it waits for one it must have no other.
            Busy::Wait => 1,
        };
        let mut names = BTreeSet::new();
        for lane in lanes.iter().filter(|lane| lane.host != HostKey::local().as_str()) {
            if names.len() == most {
                break;
            }
            names.insert(lane.host.clone());
        }
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let names: Vec<_> = names.into_iter().collect();
        let add = sqlx::query(ADD_HOSTS).bind(&names);
        add.execute(connection.driver()).await.map_err(classify)?;
        let now = connection.now().await?.as_micros();
        let lock = match busy {
            Busy::PassOver => lock_hosts!(" SKIP LOCKED"),
            Busy::Wait => lock_hosts!(""),
        };
        let query = sqlx::query_as(lock).bind(names).bind(i64::from(self.limits.host_concurrency)).bind(now);
        let rooms: Vec<(String, i64)> = query.fetch_all(connection.driver()).await.map_err(classify)?;
        Ok(rooms.into_iter().collect())
    }
}

/// Locks the best jobs of lanes and returns them with their hosts, from the most urgent one.
async fn lock_jobs(
    connection: &mut Attached<'_>,
    lanes: &[Lane],
    rooms: &BTreeMap<String, i64>,
    limit: usize,
) -> Result<Vec<(TaskId, String)>> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let of_lanes = |text: fn(&Lane) -> &String| lanes.iter().map(|lane| text(lane).clone()).collect::<Vec<_>>();
    let room = |lane: &Lane| rooms.get(&lane.host).copied().unwrap_or_default().min(number(limit));
    let now = connection.now().await?.as_micros();
    let query = sqlx::query_as(LOCK_JOBS)
        .bind(of_lanes(|lane| &lane.storage))
        .bind(of_lanes(|lane| &lane.host))
        .bind(lanes.iter().map(|lane| lane.priority).collect::<Vec<_>>())
        .bind(lanes.iter().map(room).collect::<Vec<_>>())
        .bind(now);
    let found: Vec<(Vec<u8>, String, i64, i64)> = query.fetch_all(connection.driver()).await.map_err(classify)?;
    let job = |(id, host, ..): (Vec<u8>, String, i64, i64)| Some((TaskId::from_bytes(&id)?, host));
    Ok(found.into_iter().filter_map(job).collect())
}

/// Returns a bound on rows as the database takes it.
fn number(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}
