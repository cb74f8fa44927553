//! The walk over all lanes, for when the most urgent jobs of all are at hosts that have no room.

use gitsync_core::source::HostKey;
use gitsync_core::{Result, Timestamp};

use super::{Asked, Found, Lane, number};
use crate::connection::Attached;
use crate::error::classify;
use crate::time::read_time;

/// The most lanes that one step of a search looks at.
const LANES: usize = 256;
/// How many lanes are tried for each job that is wanted, because some of them are at hosts that other claims have.
const TRIED: usize = 8;

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
/// alone: those with the most urgent jobs first, of a host no more than jobs are wanted. The first row has no storage: it tells
/// where the step ended, if it did not come to the end, and the time.
///
/// The walk takes one lane of each storage in a round. So where it ends, everything is known up to the lowest lane of the last
/// round that is whole.
///
/// The first job of a lane is asked for in the whole order of the index, down to its id. In that of time alone the database may
/// rather go through the index of all jobs by time, which has the right ones far behind others.
const SEARCH: &str = concat!(
    "WITH RECURSIVE walk (storage, host, priority, run_at, id, round) AS (
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
    ), moment (now) AS MATERIALIZED (
        SELECT coalesce($7, (",
    read_time!(),
    "))
    )
    (
        SELECT NULL, ended.host, ended.priority, NULL, moment.now
        FROM moment LEFT JOIN (
            SELECT host, priority FROM lane
            WHERE (SELECT count(*) FROM lane) = $4 AND round = (SELECT max(round) - 1 FROM lane)
            ORDER BY host, priority LIMIT 1
        ) AS ended ON TRUE
    ) UNION ALL (
        SELECT storage, host, priority, is_known, NULL FROM (
            SELECT lane.*, source_host.name IS NOT NULL AS is_known,
                row_number() OVER (PARTITION BY lane.host ORDER BY lane.priority, lane.run_at, lane.id) AS place
            FROM moment, lane LEFT JOIN source_host ON source_host.name = lane.host
            WHERE lane.run_at <= moment.now AND (lane.host = $5
                OR (coalesce(source_host.running, 0) < least($6, source_host.job_limit) AND coalesce(source_host.blocked_until <= moment.now, TRUE)))
        ) AS open
        WHERE place <= $8
        ORDER BY priority, run_at, id LIMIT $9
    )"
);

/// A row of [`SEARCH`]: storage, host and priority of a lane, and whether the host is known; or where the step ended, and the time.
type Row = (Option<String>, Option<String>, Option<i64>, Option<bool>, Option<i64>);

/// Finds the lanes of hosts that have room behind a position.
pub(super) async fn search(connection: &mut Attached<'_>, asked: &Asked<'_>, after: &Position) -> Result<Found> {
    let query = sqlx::query_as(SEARCH)
        .bind(asked.storages)
        .bind(&after.host)
        .bind(after.priority)
        // Two rounds at least, however many storages there are.
        .bind(number(LANES.max(2 * asked.storages.len())))
        .bind(HostKey::local().as_str().to_owned())
        .bind(i64::from(asked.limits.host_concurrency))
        .bind(asked.given.map(Timestamp::as_micros))
        .bind(number(asked.room))
        .bind(number(TRIED * asked.room));
    let rows: Vec<Row> = query.fetch_all(connection.driver()).await.map_err(classify)?;
    let mut found = Found::default();
    for row in rows {
        match row {
            (Some(storage), Some(host), Some(priority), Some(is_known), _) => {
                found.lanes.push(Lane { storage, host, is_known, priority });
            }
            (_, host, priority, _, now) => {
                found.end = host.zip(priority).map(|(host, priority)| Position { host, priority });
                found.now = now.unwrap_or_default();
            }
        }
    }
    Ok(found)
}
