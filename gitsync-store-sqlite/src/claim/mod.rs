//! The search of a claim: which waiting jobs are next, without a look at all of them.
//!
//! Most claims are served by a look at the most urgent jobs of all. Where too many of those are at hosts that have no room, the
//! lanes are walked over. A **lane** here is a storage, a host and a priority that jobs wait for. Lanes are found by skipping
//! through the index from one to the next, so that it does not matter how many jobs wait in each. A lane whose host has no room,
//! or is left alone, is passed over; of the others the best few jobs are candidates.

#[cfg(test)]
mod tests;
mod urgent;

use std::fmt::Write;

use gitsync_core::Result;
use gitsync_core::model::{StorageName, TaskId};
use gitsync_core::queue::{ClaimRequest, ClaimedJob, QueueLimits};
use gitsync_core::source::HostKey;
use gitsync_sql::{Connection, Statement, queue};

use urgent::urgent;

/// The most lanes that one step of a search looks at.
const LANES: usize = 256;
/// The most steps of one search: where there are more lanes, the next claim goes on from where this one ended.
const STEPS: usize = 16;

/// Where a search begins: after a host and a priority, in all storages alike.
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

/// The first waiting job of the lane that follows a host and a priority in a storage.
///
/// Two steps, from one priority to the next and from one host to the next, because SQLite seeks the first entry that is not
/// less than a pair and then walks over all that equal it: those are the jobs of the lane just left.
macro_rules! next_lane {
    ($storage:literal, $host:literal, $priority:literal) => {
        concat!(
            "SELECT coalesce((
                SELECT waiting.rowid FROM job AS waiting
                WHERE waiting.leased_until IS NULL AND waiting.storage = ",
            $storage,
            " AND waiting.host = ",
            $host,
            " AND waiting.priority > ",
            $priority,
            " ORDER BY waiting.priority, waiting.run_at, waiting.id LIMIT 1
            ), (
                SELECT waiting.rowid FROM job AS waiting
                WHERE waiting.leased_until IS NULL AND waiting.storage = ",
            $storage,
            " AND waiting.host > ",
            $host,
            " ORDER BY waiting.host, waiting.priority, waiting.run_at, waiting.id LIMIT 1
            ))"
        )
    };
}

/// The best jobs of a step, behind a row without an id: it tells at which lane the step ends, if it does not end because there
/// are no more.
///
/// A job is among the best only if the first one of its lane is, so that no more lanes are looked into than jobs are wanted. A
/// host never gives more than it has room for, over all its lanes. For the sums see [`URGENT`](urgent::URGENT).
const CANDIDATES: &str = concat!(
    "WITH RECURSIVE lane (storage, host, priority, run_at, id) AS (
        SELECT job.storage, job.host, job.priority, job.run_at, job.id
        FROM json_each(?1) AS served JOIN job ON job.rowid = (",
    next_lane!("served.value", "?2", "?3"),
    ") UNION ALL
        SELECT job.storage, job.host, job.priority, job.run_at, job.id
        FROM lane JOIN job ON job.rowid = (",
    next_lane!("lane.storage", "lane.host", "lane.priority"),
    ") ORDER BY 2, 3 LIMIT ?4 + 0
    ), free (storage, host, priority, run_at, id, room) AS (
        SELECT lane.storage, lane.host, lane.priority, lane.run_at, lane.id,
            CASE WHEN lane.host = ?5 THEN ?6
                ELSE min(?7, coalesce(source_host.job_limit, ?7)) - coalesce(source_host.running, 0) END AS room
        FROM lane LEFT JOIN source_host ON source_host.name = lane.host
        WHERE lane.run_at <= ?8 AND (lane.host = ?5 OR (room > 0 AND coalesce(source_host.blocked_until <= ?8, TRUE)))
    ), best (storage, host, priority, room) AS MATERIALIZED (
        SELECT storage, host, priority, room FROM (
            SELECT *, row_number() OVER (PARTITION BY host ORDER BY priority, run_at, id) AS place FROM free
        ) WHERE place <= room ORDER BY priority, run_at, id LIMIT ?6 + 0
    ), candidate (id, host, priority, run_at, room) AS (
        SELECT job.id, job.host, job.priority, job.run_at, best.room
        FROM best JOIN job ON job.rowid IN (
            SELECT waiting.rowid FROM job AS waiting
            WHERE waiting.leased_until IS NULL AND waiting.storage = best.storage AND waiting.host = best.host
                AND waiting.priority = best.priority AND waiting.run_at <= ?8
            ORDER BY waiting.run_at, waiting.id
            LIMIT ?6 + 0)
    ), placed (id, priority, run_at, room, place) AS (
        SELECT id, priority, run_at, room, row_number() OVER (PARTITION BY host ORDER BY priority, run_at, id)
        FROM candidate
    )
    SELECT NULL AS id, ended.host, ended.priority
    FROM (SELECT 1) LEFT JOIN (SELECT host, priority FROM lane ORDER BY host, priority LIMIT 1 OFFSET ?4 - 1) AS ended
    UNION ALL SELECT * FROM (
        SELECT id, NULL, NULL FROM placed WHERE place <= room ORDER BY priority, run_at, id LIMIT ?6 + 0
    )"
);

/// Claims jobs, and tells where the next claim begins.
pub(crate) async fn claim(
    connection: &mut dyn Connection,
    request: &ClaimRequest,
    limits: &QueueLimits,
    begin: Position,
) -> Result<(Vec<ClaimedJob>, Position)> {
    let mut search = Search::new(&request.storages, begin);
    let mut look = urgent(connection, &search.storages, request.limit, limits).await?;
    if look.expired {
        queue::abandon_expired(connection).await?;
        look = urgent(connection, &search.storages, request.limit, limits).await?;
    }
    let mut claimed = queue::lease(connection, &look.best, limits).await?;
    if look.suffices {
        return Ok((claimed, search.position));
    }
    while claimed.len() < request.limit {
        let Some(step) = search.step() else { break };
        let limit = request.limit - claimed.len();
        let found = candidates(connection, &step, limit, limits).await?;
        // Leased before the next step, which so finds them gone and their hosts as full as they are.
        claimed.extend(queue::lease(connection, &found.best, limits).await?);
        // Also when that is enough: lanes behind this step would wait for as long as those in it have work.
        search.end_step(found.end);
    }
    Ok((claimed, search.position))
}

/// Tells whether a claim would find something.
pub(crate) async fn is_anything_claimable(
    connection: &mut dyn Connection,
    storages: &[StorageName],
    limits: &QueueLimits,
    begin: Position,
) -> Result<bool> {
    let mut search = Search::new(storages, begin);
    let look = urgent(connection, &search.storages, 1, limits).await?;
    if look.suffices || look.expired || !look.best.is_empty() {
        return Ok(look.expired || !look.best.is_empty());
    }
    while let Some(step) = search.step() {
        let found = candidates(connection, &step, 1, limits).await?;
        if !found.best.is_empty() {
            return Ok(true);
        }
        search.end_step(found.end);
    }
    Ok(false)
}

/// A walk over the lanes in steps, from a position to the end and from the beginning.
#[derive(Debug)]
struct Search {
    storages: String,
    position: Position,
    steps_left: usize,
    /// Whether the lanes before the position were not looked at yet.
    wraps: bool,
}

/// One step of a walk.
#[derive(Debug)]
struct Step {
    /// The storages as a JSON array.
    storages: String,
    after: Position,
}

impl Search {
    fn new(storages: &[StorageName], begin: Position) -> Self {
        let steps_left = if storages.is_empty() { 0 } else { STEPS };
        Search { storages: json(storages), wraps: begin != Position::default(), position: begin, steps_left }
    }

    fn step(&mut self) -> Option<Step> {
        self.steps_left = self.steps_left.checked_sub(1)?;
        Some(Step { storages: self.storages.clone(), after: self.position.clone() })
    }

    /// Goes to where the next step begins: at the lane where this one ended, or at the first lane if it came to the end.
    fn end_step(&mut self, end: Option<Position>) {
        if end.is_none() && !std::mem::take(&mut self.wraps) {
            self.steps_left = 0;
        }
        self.position = end.unwrap_or_default();
    }
}

/// What a step found.
#[derive(Debug)]
struct Found {
    /// The best jobs, from the most urgent one.
    best: Vec<TaskId>,
    /// Where the next step begins, if there are more lanes.
    end: Option<Position>,
}

async fn candidates(connection: &mut dyn Connection, step: &Step, limit: usize, limits: &QueueLimits) -> Result<Found> {
    let now = connection.now().await?;
    let parameters = vec![
        step.storages.as_str().into(),
        step.after.host.as_str().into(),
        step.after.priority.into(),
        LANES.into(),
        HostKey::local().as_str().into(),
        limit.into(),
        limits.host_concurrency.into(),
        now.into(),
    ];
    let mut found = Found { best: Vec::new(), end: None };
    for mut row in connection.fetch(Statement::new(CANDIDATES, parameters)).await? {
        if let Some(id) = row.opt_task_id("id")? {
            found.best.push(id);
            continue;
        }
        if let (Some(host), Some(priority)) = (row.opt_text("host")?, row.opt_int("priority")?) {
            // One priority back: the same lane of another storage may have had no place in this step.
            found.end = Some(Position { host, priority: priority.saturating_sub(1) });
        }
    }
    Ok(found)
}

/// Writes names as a JSON array; they are letters, digits and hyphens.
fn json(storages: &[StorageName]) -> String {
    let mut array = String::from("[");
    for (index, storage) in storages.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(array, "{comma}\"{storage}\"");
    }
    array.push(']');
    array
}
