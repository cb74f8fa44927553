//! The search of a claim: which waiting jobs are next, without a look at all of them.
//!
//! A **lane** here is a storage, a host and a priority that jobs wait for. Hosts and lanes are found by skipping through the
//! index from one to the next, so that it does not matter how many jobs wait in each. Then the rows of the most urgent hosts
//! are locked, which makes their counts exact; those that another claim has are passed over. Of each of their lanes the
//! best few jobs are locked, and the best of all are taken. Each of the two is one statement, for every way to the database
//! and back takes as long as a search.

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
/// The most hosts that are tried for those that can be locked: others find none of theirs free meanwhile.
const LOCKED: usize = 64;

/// Finds the lanes, the most urgent first, of the hosts that jobs wait for in some storages, behind one of them, as far as those
/// have room and are not left alone. A first row without a storage tells where the step ended, if it did not come to the end.
///
/// The first job of a lane is asked for in the whole order of the index, down to its id. In that of time alone the database may
/// rather go through the index of all jobs by time, which has the right ones far behind others.
const SEARCH: &str = "
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
    ), found (host) AS MATERIALIZED (
        SELECT host FROM waiting_for WHERE host IS NOT NULL LIMIT $3
    ), open (host, is_known) AS MATERIALIZED (
        SELECT found.host, source_host.name IS NOT NULL FROM found
        LEFT JOIN source_host ON source_host.name = found.host
        WHERE found.host = $4
            OR (coalesce(source_host.running, 0) < $5 AND coalesce(source_host.blocked_until <= $6, TRUE))
    ), lane (storage, host, is_known, priority, run_at) AS (
        SELECT served.storage, open.host, open.is_known, first.priority, first.run_at
        FROM open CROSS JOIN unnest($1::text[]) AS served (storage), LATERAL (
            SELECT job.priority, job.run_at FROM job
            WHERE job.leased_until IS NULL AND job.storage = served.storage AND job.host = open.host
            ORDER BY job.priority, job.run_at, job.id LIMIT 1
        ) AS first
        UNION ALL
        SELECT lane.storage, lane.host, lane.is_known, next.priority, next.run_at
        FROM lane, LATERAL (
            SELECT job.priority, job.run_at FROM job
            WHERE job.leased_until IS NULL AND job.storage = lane.storage AND job.host = lane.host
                AND job.priority > lane.priority
            ORDER BY job.priority, job.run_at, job.id LIMIT 1
        ) AS next
    )
    (SELECT NULL, host, TRUE, 0::bigint FROM found OFFSET $3 - 1)
    UNION ALL
    (SELECT storage, host, is_known, priority FROM lane WHERE run_at <= $6 ORDER BY priority, run_at LIMIT $7)";

/// Hosts are forgotten while nothing of them runs.
const ADD_HOSTS: &str = "
    INSERT INTO source_host (name, running)
    SELECT asked.name, 0 FROM unnest($1::text[]) AS asked (name)
    WHERE NOT EXISTS (SELECT FROM source_host WHERE source_host.name = asked.name)
    ORDER BY asked.name
    ON CONFLICT DO NOTHING";

/// Locks the first of some hosts that can be had, and of their lanes the best jobs, at most so many of each as may be taken: the
/// host of each, how many jobs more it may run, and the job, from the most urgent one. A lane without a job is there, too.
///
/// A host's row is read anew once it is locked, and a job that was taken meanwhile is passed over.
macro_rules! lock {
    ($lock:literal) => {
        concat!(
            "WITH host (name, room) AS MATERIALIZED (
                SELECT source_host.name, $2 - source_host.running
                FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
                JOIN source_host ON source_host.name = asked.name
                WHERE source_host.running < $2 AND coalesce(source_host.blocked_until <= $3, TRUE)
                ORDER BY asked.place LIMIT $4 FOR UPDATE OF source_host",
            $lock,
            ")
            SELECT lane.host, coalesce(host.room, $4), best.id
            FROM unnest($5::text[], $6::text[], $7::bigint[]) AS lane (storage, host, priority)
            LEFT JOIN host ON host.name = lane.host
            LEFT JOIN LATERAL (
                SELECT job.id, job.run_at FROM job
                WHERE job.leased_until IS NULL AND job.storage = lane.storage AND job.host = lane.host
                    AND job.priority = lane.priority AND job.run_at <= $3
                ORDER BY job.run_at, job.id LIMIT least(host.room, $4)
                FOR UPDATE SKIP LOCKED
            ) AS best ON TRUE
            WHERE host.name IS NOT NULL OR lane.host = $8
            ORDER BY lane.priority, best.run_at, best.id"
        )
    };
}

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
        let (lanes, end) = search.lanes(connection, &position).await?;
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
    /// Finds the lanes of hosts that have room, from the most urgent one, among the hosts behind one in the order of the index.
    /// Tells the host at which it ended, if there are more.
    async fn lanes(&self, connection: &mut Attached<'_>, after: &str) -> Result<(Vec<Lane>, Option<String>)> {
        let now = connection.now().await?.as_micros();
        let query = sqlx::query_as(SEARCH)
            .bind(&self.storages)
            .bind(after)
            .bind(number(HOSTS))
            .bind(HostKey::local().as_str().to_owned())
            .bind(i64::from(self.limits.host_concurrency))
            .bind(now)
            .bind(number(LANES));
        let rows: Vec<(Option<String>, String, bool, i64)> =
            query.fetch_all(connection.driver()).await.map_err(classify)?;
        let (mut lanes, mut end) = (Vec::with_capacity(rows.len()), None);
        for (storage, host, is_known, priority) in rows {
            match storage {
                Some(storage) => lanes.push(Lane { storage, host, is_known, priority }),
                None => end = Some(host),
            }
        }
        Ok((lanes, end))
    }

    /// Leases the best jobs of lanes.
    async fn take(
        &mut self,
        connection: &mut Attached<'_>,
        lanes: Vec<Lane>,
        limit: usize,
        busy: Busy,
    ) -> Result<Vec<ClaimedJob>> {
        let hosts = hosts(&lanes, busy);
        add_hosts(connection, &hosts, busy).await?;
        let found = self.lock(connection, &lanes, &hosts, limit, busy).await?;
        // What is left of the room of each host.
        let mut rooms: BTreeMap<String, i64> = BTreeMap::new();
        let mut best = Vec::with_capacity(limit.min(found.len()));
        for (host, room, id) in found {
            let room = rooms.entry(host).or_insert(room);
            let Some(id) = id.as_deref().and_then(TaskId::from_bytes) else { continue };
            if *room > 0 && best.len() < limit {
                *room -= 1;
                best.push(id);
            }
        }
        self.busy.extend(lanes.into_iter().filter(|lane| !rooms.contains_key(&lane.host)));
        queue::lease(connection, &best, self.limits).await
    }

    /// Locks the hosts of the most urgent lanes, no more than may give a job each, and the best jobs of all lanes of those hosts.
    async fn lock(
        &self,
        connection: &mut Attached<'_>,
        lanes: &[Lane],
        hosts: &[&Lane],
        limit: usize,
        busy: Busy,
    ) -> Result<Vec<(String, i64, Option<Vec<u8>>)>> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let now = connection.now().await?.as_micros();
        let lock = match busy {
            Busy::PassOver => lock!(" SKIP LOCKED"),
            Busy::Wait => lock!(""),
        };
        let names: Vec<_> = hosts.iter().map(|lane| lane.host.as_str()).collect();
        let of_hosts = |lane: &&Lane| lane.is_local() || names.contains(&lane.host.as_str());
        let tried: Vec<_> = lanes.iter().filter(of_hosts).collect();
        let query = sqlx::query_as(lock)
            .bind(&names)
            .bind(i64::from(self.limits.host_concurrency))
            .bind(now)
            .bind(number(limit))
            .bind(tried.iter().map(|lane| lane.storage.as_str()).collect::<Vec<_>>())
            .bind(tried.iter().map(|lane| lane.host.as_str()).collect::<Vec<_>>())
            .bind(tried.iter().map(|lane| lane.priority).collect::<Vec<_>>())
            .bind(HostKey::local().as_str().to_owned());
        query.fetch_all(connection.driver()).await.map_err(classify)
    }
}

/// Returns a lane of each of the hosts that are tried, in the order of the most urgent ones.
fn hosts(lanes: &[Lane], busy: Busy) -> Vec<&Lane> {
    let most = match busy {
        Busy::PassOver => LOCKED,
        // While it waits for one it must have no other.
        Busy::Wait => 1,
    };
    let mut seen = BTreeSet::new();
    lanes.iter().filter(|lane| !lane.is_local() && seen.insert(lane.host.as_str())).take(most).collect()
}

/// Makes sure that there are rows of hosts, to be locked.
async fn add_hosts(connection: &mut Attached<'_>, hosts: &[&Lane], busy: Busy) -> Result<()> {
    // One that is waited for may have been forgotten since.
    let unknown = hosts.iter().filter(|lane| !lane.is_known || busy == Busy::Wait);
    let unknown: Vec<_> = unknown.map(|lane| lane.host.as_str()).collect();
    if !unknown.is_empty() {
        sqlx::query(ADD_HOSTS).bind(unknown).execute(connection.driver()).await.map_err(classify)?;
    }
    Ok(())
}

/// Returns a bound on rows as the database takes it.
fn number(bound: usize) -> i64 {
    i64::try_from(bound).unwrap_or(i64::MAX)
}
