//! The search of a claim: which waiting jobs are next, without a look at all of them.
//!
//! A **lane** here is a storage, a host and a priority that jobs wait for. Lanes are found by skipping through the index from
//! one to the next, so that it does not matter how many jobs wait in each. Then the rows of the most urgent hosts are locked,
//! which makes their counts exact; those that another claim has are passed over. Of all of their lanes the best jobs are taken.
//! Each of the two is one statement, for every way to the database and back takes as long as a search.

use std::collections::{BTreeMap, BTreeSet};

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimRequest, ClaimedJob, QueueLimits};
use gitsync_core::source::HostKey;
use gitsync_sql::{Connection, queue};

use crate::connection::Attached;
use crate::error::classify;

/// The most lanes that one step of a search looks at.
const LANES: usize = 256;
/// The most steps of one search: where there are more lanes, the next claim goes on from where this one ended.
const STEPS: usize = 16;
/// How many lanes are tried for each job that is wanted, because some of them are at hosts that other claims have.
const TRIED: usize = 8;
/// The most hosts that are tried for those that can be locked: others find none of theirs free meanwhile.
const LOCKED: usize = 64;

/// Where a search begins: behind a host and a priority, in all storages alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    host: String,
    priority: i64,
}

impl Default for Position {
    /// Before everything.
    fn default() -> Self {
        Position { host: String::new(), priority: i64::MIN }
    }
}

/// Finds the lanes that jobs wait for in some storages, behind a position, as far as their hosts have room and are not left
/// alone: those with the most urgent jobs first, of a host no more than jobs are wanted. The first row has no storage: it tells where the step ended, if it did not
/// come to the end, and whether there are expired leases.
///
/// The walk takes one lane of each storage in a round. So where it ends, everything is known up to the lowest lane of the last
/// round that is whole.
///
/// The first job of a lane is asked for in the whole order of the index, down to its id. In that of time alone the database may
/// rather go through the index of all jobs by time, which has the right ones far behind others.
const SEARCH: &str = "
    WITH RECURSIVE walk (storage, host, priority, run_at, id, round) AS (
        SELECT first.storage, first.host, first.priority, first.run_at, first.id, 1
        FROM unnest($1::text[]) AS served (storage), LATERAL (
            SELECT job.storage, job.host, job.priority, job.run_at, job.id FROM job
            WHERE job.leased_until IS NULL AND job.storage = served.storage AND (job.host, job.priority) > ($2, $3)
            ORDER BY job.host, job.priority, job.run_at, job.id LIMIT 1
        ) AS first
        UNION ALL
        SELECT next.storage, next.host, next.priority, next.run_at, next.id, walk.round + 1
        FROM walk, LATERAL (
            SELECT job.storage, job.host, job.priority, job.run_at, job.id FROM job
            WHERE job.leased_until IS NULL AND job.storage = walk.storage
                AND (job.host, job.priority) > (walk.host, walk.priority)
            ORDER BY job.host, job.priority, job.run_at, job.id LIMIT 1
        ) AS next
    ), lane AS MATERIALIZED (
        SELECT * FROM walk LIMIT $4
    )
    (
        SELECT NULL, ended.host, ended.priority, coalesce(first_expiry.leased_until <= $7, FALSE)
        FROM (SELECT) AS once LEFT JOIN (
            SELECT leased_until FROM job WHERE leased_until IS NOT NULL ORDER BY leased_until LIMIT 1
        ) AS first_expiry ON TRUE LEFT JOIN (
            SELECT host, priority FROM lane
            WHERE (SELECT count(*) FROM lane) = $4 AND round = (SELECT max(round) - 1 FROM lane)
            ORDER BY host, priority LIMIT 1
        ) AS ended ON TRUE
    ) UNION ALL (
        SELECT storage, host, priority, is_known FROM (
            SELECT lane.*, source_host.name IS NOT NULL AS is_known,
                row_number() OVER (PARTITION BY lane.host ORDER BY lane.priority, lane.run_at, lane.id) AS place
            FROM lane LEFT JOIN source_host ON source_host.name = lane.host
            WHERE lane.run_at <= $7 AND (lane.host = $5
                OR (coalesce(source_host.running, 0) < $6 AND coalesce(source_host.blocked_until <= $7, TRUE)))
        ) AS open
        WHERE place <= $8
        ORDER BY priority, run_at, id LIMIT $9
    )";

/// A row of [`SEARCH`]: storage, host and priority of a lane, and whether the host is known, or a lease has expired.
type SearchRow = (Option<String>, Option<String>, Option<i64>, bool);

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
/// A host's row is read anew once it is locked. So is a job's: one that was taken meanwhile, or moved to another lane, is passed
/// over, and the next one is found instead.
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
    begin: Position,
) -> Result<(Vec<ClaimedJob>, Position)> {
    let mut search = Search {
        storages: request.storages.iter().map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect(),
        limits,
        busy: Vec::new(),
    };
    let mut claimed = Vec::new();
    let (mut wraps, mut position) = (begin != Position::default(), begin);
    for step in 0..STEPS {
        let room = request.limit - claimed.len();
        let mut found = search.lanes(connection, &position, room).await?;
        // Only before hosts are locked: who ends a job has it before its host.
        if found.expired && step == 0 {
            queue::abandon_expired(connection).await?;
            found = search.lanes(connection, &position, room).await?;
        }
        claimed.extend(search.take(connection, found.lanes, room, Busy::PassOver).await?);
        let is_end = found.end.is_none();
        position = found.end.unwrap_or_default();
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

/// What a step of a search found.
#[derive(Debug)]
struct Found {
    /// Lanes of hosts that have room, from the most urgent one.
    lanes: Vec<Lane>,
    /// Where the step ended, if there are more lanes.
    end: Option<Position>,
    /// Whether there are leases that have expired.
    expired: bool,
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
    /// Finds the lanes of hosts that have room behind a position.
    async fn lanes(&self, connection: &mut Attached<'_>, after: &Position, room: usize) -> Result<Found> {
        let now = connection.now().await?.as_micros();
        let query = sqlx::query_as(SEARCH)
            .bind(&self.storages)
            .bind(&after.host)
            .bind(after.priority)
            // Two rounds at least, however many storages there are.
            .bind(number(LANES.max(2 * self.storages.len())))
            .bind(HostKey::local().as_str().to_owned())
            .bind(i64::from(self.limits.host_concurrency))
            .bind(now)
            .bind(number(room))
            .bind(number(TRIED * room));
        let rows: Vec<SearchRow> = query.fetch_all(connection.driver()).await.map_err(classify)?;
        let mut found = Found { lanes: Vec::with_capacity(rows.len()), end: None, expired: false };
        for row in rows {
            match row {
                (Some(storage), Some(host), Some(priority), is_known) => {
                    found.lanes.push(Lane { storage, host, is_known, priority });
                }
                (_, host, priority, expired) => {
                    found.end = host.zip(priority).map(|(host, priority)| Position { host, priority });
                    found.expired = expired;
                }
            }
        }
        Ok(found)
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

/// Returns a lane of each of the hosts that are tried, in the order of the most urgent ones. While it waits for one it must have no
/// other.
fn hosts(lanes: &[Lane], busy: Busy) -> Vec<&Lane> {
    let most = if busy == Busy::Wait { 1 } else { LOCKED };
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
