//! The most urgent jobs of all, whatever their lanes: most claims need no more.

use gitsync_core::queue::ClaimedJob;
use gitsync_core::source::HostKey;
use gitsync_core::{Result, Timestamp};
use gitsync_sql::{Connection, Statement, Value};

use super::take::{LOCKED, Taken, Taking, add_hosts};
use super::{Asked, number};
use crate::connection::Attached;
use crate::time::read_time;

/// How many jobs are looked at for each that is wanted, because hosts are full, left alone, or had by other claims, and storages
/// served by others.
const TRIED: usize = 3;
/// How many jobs are looked at in any case.
const AT_LEAST: usize = 32;
/// The most priorities whose jobs are looked at. A few are in use.
const RANKS: usize = 64;

/// What was taken.
#[derive(Debug)]
pub(super) struct Urgent {
    /// From the most urgent one. None if leases have expired.
    pub(super) jobs: Vec<ClaimedJob>,
    /// Whether there are leases that have expired.
    pub(super) expired: bool,
    /// How far a claim has come with these.
    pub(super) extent: Extent,
}

/// What the most urgent jobs are among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// There may be jobs behind them that can be taken.
    Some,
    /// There are as many that could be taken as are wanted, if other claims were not at their hosts.
    Enough,
    /// None is due.
    None,
}

/// Takes the most urgent jobs.
pub(super) async fn urgent(connection: &mut Attached<'_>, asked: &Asked<'_>) -> Result<Urgent> {
    let mut taken = Taken::read(connection.fetch(statement(asked)?).await?)?;
    let unknown: Vec<_> = taken.hosts("unknown").collect();
    if !unknown.is_empty() {
        add_hosts(connection, &unknown).await?;
        taken = Taken::read(connection.fetch(statement(asked)?).await?)?;
    }
    let extent = match (taken.says("none"), taken.says("enough")) {
        (true, _) => Extent::None,
        (false, true) => Extent::Enough,
        (false, false) => Extent::Some,
    };
    Ok(Urgent { expired: taken.says("expired"), extent, jobs: taken.jobs })
}

/// Takes jobs out of the first ones in the order of urgency, as far as they are of storages that are served, and of hosts that
/// have room, are not left alone and can be had. It takes nothing while there are leases that have expired or hosts that have
/// no row: what is most urgent may be theirs.
///
/// Jobs of a priority are asked for as a range of the whole order of the index: by that of time alone the database may rather go
/// through the index of all jobs by time. And how many of them is hidden from it: while it knows little of the table it believes
/// that to be all, and would rather collect and sort them.
fn statement(asked: &Asked<'_>) -> Result<Statement> {
    let mut taking = Taking::new(asked)?;
    let given = taking.value(Value::Int(asked.given.map(Timestamp::as_micros)));
    let storages = taking.texts(asked.storages.iter().map(String::as_str));
    let most = taking.most(asked);
    let limit = taking.value(number(asked.room));
    let tried = taking.value(number(AT_LEAST.max(TRIED * asked.room)));
    let (local, read_time) = (HostKey::local(), read_time!());
    let waiting = format!(
        "moment (now) AS MATERIALIZED (
            SELECT coalesce({given}, ({read_time}))
        ), walk (priority) AS (
            (
                SELECT priority FROM job WHERE leased_until IS NULL AND priority IS NOT NULL
                ORDER BY priority, run_at, id LIMIT 1
            )
            UNION ALL
            SELECT next.priority FROM walk, LATERAL (
                SELECT job.priority FROM job WHERE job.leased_until IS NULL AND job.priority > walk.priority
                ORDER BY job.priority, job.run_at, job.id LIMIT 1
            ) AS next
        ), rank AS MATERIALIZED (
            SELECT * FROM walk LIMIT {RANKS}
        ), first AS MATERIALIZED (
            SELECT due.* FROM moment, rank, LATERAL (
                SELECT job.id, job.storage, job.host, job.priority, job.run_at FROM job
                WHERE job.leased_until IS NULL
                    AND job.priority >= rank.priority AND (job.priority, job.run_at) <= (rank.priority, moment.now)
                ORDER BY job.priority, job.run_at, job.id LIMIT (SELECT {tried})
            ) AS due
            ORDER BY due.priority, due.run_at, due.id LIMIT {tried}
        ), served AS MATERIALIZED (
            SELECT first.*, source_host.name, {most} - source_host.running AS room,
                first.host = '{local}'
                    OR (source_host.running < {most} AND coalesce(source_host.blocked_until <= moment.now, TRUE)) AS is_free,
                row_number() OVER (PARTITION BY first.host ORDER BY first.priority, first.run_at, first.id) AS place
            FROM moment, first LEFT JOIN source_host ON source_host.name = first.host
            WHERE first.storage = ANY ({storages})
        ), unknown AS MATERIALIZED (
            SELECT DISTINCT host FROM served WHERE name IS NULL AND host <> '{local}'
        ), open AS MATERIALIZED (
            SELECT * FROM served WHERE is_free
        ), expired AS MATERIALIZED (
            SELECT FROM (SELECT leased_until FROM job WHERE leased_until IS NOT NULL ORDER BY leased_until LIMIT 1) AS first
            WHERE leased_until <= (SELECT now FROM moment)
        ), host (name, room) AS MATERIALIZED (
            SELECT source_host.name, {most} - source_host.running
            FROM open JOIN source_host ON source_host.name = open.host
            WHERE open.place = 1 AND source_host.running < {most}
                AND coalesce(source_host.blocked_until <= (SELECT now FROM moment), TRUE)
                AND NOT EXISTS (SELECT FROM unknown) AND NOT EXISTS (SELECT FROM expired)
            ORDER BY open.priority, open.run_at, open.id LIMIT least({limit}, {LOCKED})
            FOR UPDATE OF source_host SKIP LOCKED
        ), waiting AS MATERIALIZED (
            SELECT open.id, open.storage, open.host, open.priority, open.run_at, coalesce(host.room, {limit}) AS room
            FROM open LEFT JOIN host ON host.name = open.host
            WHERE host.name IS NOT NULL OR (open.host = '{local}'
                AND NOT EXISTS (SELECT FROM unknown) AND NOT EXISTS (SELECT FROM expired))
        )"
    );
    let is_all = format!("(SELECT count(*) FROM first) < {tried} AND (SELECT count(*) FROM rank) < {RANKS}");
    let told = [
        "SELECT 'unknown', host FROM unknown".to_owned(),
        "SELECT 'expired', NULL FROM expired".to_owned(),
        format!(
            "SELECT 'enough', NULL WHERE (SELECT count(*) FROM open WHERE place <= room OR host = '{local}') >= {limit} OR ({is_all})"
        ),
        format!(
            "SELECT 'none', NULL WHERE {is_all} AND NOT EXISTS (SELECT FROM open)
                AND NOT EXISTS (SELECT FROM unknown) AND NOT EXISTS (SELECT FROM expired)"
        ),
    ];
    Ok(taking.statement(&waiting, &limit, &told.each_ref().map(String::as_str)))
}
