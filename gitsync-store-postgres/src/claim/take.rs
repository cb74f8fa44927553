//! How jobs that were found are leased: one statement, so it happens as a whole also outside a transaction.

use std::collections::BTreeSet;

use gitsync_core::Result;
use gitsync_core::queue::ClaimedJob;
use gitsync_core::source::HostKey;
use gitsync_sql::statements::jobs;
use gitsync_sql::{Array, Connection, Row, Statement, Value, queue};

use super::{Asked, Lane, number};
use crate::connection::Attached;
use crate::error::classify;

/// The most hosts that are locked, or tried to be: others find none of theirs free meanwhile.
pub(super) const LOCKED: usize = 64;

/// How many jobs are looked at besides those that a host has room for: somebody may be at some of them.
const SPARE: usize = 2;
/// How many jobs without a host are looked at for each that is wanted: other claims may be at all of the first ones.
const SPARE_LOCAL: usize = 8;

/// Hosts are forgotten while nothing of them runs.
const ADD_HOSTS: &str = "
    INSERT INTO source_host (name, running)
    SELECT asked.name, 0 FROM unnest($1::text[]) AS asked (name)
    WHERE NOT EXISTS (SELECT FROM source_host WHERE source_host.name = asked.name)
    ORDER BY asked.name
    ON CONFLICT DO NOTHING";

/// Makes sure that there are rows of hosts, to be locked.
pub(super) async fn add_hosts(connection: &mut Attached<'_>, hosts: &[&str]) -> Result<()> {
    if !hosts.is_empty() {
        sqlx::query(ADD_HOSTS).bind(hosts).execute(connection.driver()).await.map_err(classify)?;
    }
    Ok(())
}

/// Waits for a host that another claim has, and keeps it until the transaction ends.
pub(super) async fn wait_for(connection: &mut Attached<'_>, host: &str) -> Result<()> {
    // It may have been forgotten meanwhile.
    add_hosts(connection, &[host]).await?;
    let lock = sqlx::query("SELECT FROM source_host WHERE name = $1 FOR UPDATE").bind(host);
    lock.execute(connection.driver()).await.map_err(classify)?;
    Ok(())
}

/// A statement that takes jobs, as it is put together.
#[derive(Debug)]
pub(super) struct Taking {
    lease: String,
    values: Vec<Value>,
}

impl Taking {
    pub(super) fn new(asked: &Asked<'_>) -> Result<Self> {
        let lease = jobs::lease_found("SELECT id FROM locked", "SELECT now FROM moment", asked.limits)?;
        Ok(Taking { lease: lease.sql.into_owned(), values: lease.values })
    }

    /// Adds a value and returns its placeholder.
    pub(super) fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    pub(super) fn texts<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) -> String {
        self.value(Value::Array(Array::Text(texts.into_iter().map(|text| Some(text.to_owned())).collect())))
    }

    /// Returns how many jobs of a host run at once: as many as are configured, or fewer if it has shown that it takes less.
    pub(super) fn most(&mut self, asked: &Asked<'_>) -> String {
        let configured = self.value(i64::from(asked.limits.host_concurrency));
        format!("least({configured}, source_host.job_limit)")
    }

    fn numbers(&mut self, numbers: impl IntoIterator<Item = i64>) -> String {
        self.value(Value::Array(Array::Int(numbers.into_iter().map(Some).collect())))
    }

    /// Returns the statement that leases the best `limit` jobs and counts them at their hosts. `waiting` are the parts of it before
    /// that: `moment` with the time, and `waiting` with jobs of hosts it has locked, each with the room of its host, and some
    /// more than that. `told` is what it answers with besides: queries of a word and the name of a host.
    ///
    /// A host's row is read anew once it is locked. So is a job's: one that somebody is at, was taken meanwhile, or moved to
    /// another lane is passed over, for the next one.
    ///
    /// Whether a job waits is asked in other words than a partial index is made of, and the ids are given as one array: the
    /// database would rather read all that waits than look a few up.
    pub(super) fn statement(self, waiting: &str, limit: &str, told: &[&str]) -> Statement {
        let Taking { lease, values } = self;
        let told: String = told
            .iter()
            .map(|query| {
                format!("SELECT told.*, NULL::bytea AS id, NULL::text AS storage, NULL::bigint AS attempt, NULL::bigint AS epoch,
                    NULL::boolean AS counted
                    FROM ({query}) AS told (what, host) UNION ALL ")
            })
            .collect();
        let local = HostKey::local();
        let sql = format!(
            "WITH RECURSIVE {waiting}, best AS MATERIALIZED (
                SELECT *, row_number() OVER (PARTITION BY host ORDER BY priority, run_at, id) AS place FROM waiting
            ), free AS MATERIALIZED (
                SELECT best.* FROM best JOIN job ON job.id = best.id
                WHERE job.id = ANY (ARRAY(SELECT id FROM best)) AND CASE WHEN job.leased_until IS NULL THEN TRUE ELSE FALSE END AND job.storage = best.storage
                    AND job.host = best.host AND job.priority = best.priority AND job.run_at <= (SELECT now FROM moment)
                ORDER BY best.place > best.room, best.priority, best.run_at, best.id LIMIT {limit}
                FOR UPDATE OF job SKIP LOCKED
            ), locked AS MATERIALIZED (
                SELECT id FROM (
                    SELECT id, room, row_number() OVER (PARTITION BY host ORDER BY place) AS place FROM free
                ) AS placed WHERE place <= room
            ), leased AS (
                {lease}
            ), counted AS (
                UPDATE source_host SET running = running + (SELECT count(*) FROM leased WHERE leased.host = name)
                WHERE name = ANY (ARRAY(SELECT DISTINCT host FROM leased WHERE host <> '{local}'))
            )
            {told}(
                SELECT NULL, leased.host, leased.id, leased.storage, leased.attempt, leased.epoch, leased.counted
                FROM leased JOIN best ON best.id = leased.id ORDER BY best.priority, best.run_at, best.id
            )"
        );
        Statement::new(sql, values)
    }
}

/// What such a statement answered.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// From the most urgent one.
    pub(super) jobs: Vec<ClaimedJob>,
    /// What was told besides: words, and names of hosts.
    pub(super) told: BTreeSet<(String, String)>,
}

impl Taken {
    pub(super) fn read(rows: Vec<Row>) -> Result<Self> {
        let mut taken = Taken::default();
        for mut row in rows {
            match row.opt_text("what")? {
                Some(what) => _ = taken.told.insert((what, row.opt_text("host")?.unwrap_or_default())),
                None => taken.jobs.push(queue::claimed(&mut row)?),
            }
        }
        Ok(taken)
    }

    pub(super) fn says(&self, what: &str) -> bool {
        self.hosts(what).next().is_some()
    }

    /// Returns the names that were told with a word.
    pub(super) fn hosts<'t>(&'t self, what: &'t str) -> impl Iterator<Item = &'t str> {
        self.told.iter().filter(move |(word, _)| word == what).map(|(_, host)| host.as_str())
    }
}

/// Takes the best jobs of lanes, and tells which of their hosts could be had.
pub(super) async fn take(
    connection: &mut Attached<'_>,
    lanes: &[Lane],
    now: i64,
    asked: &Asked<'_>,
) -> Result<(Vec<ClaimedJob>, BTreeSet<String>)> {
    if lanes.is_empty() {
        return Ok((Vec::new(), BTreeSet::new()));
    }
    let hosts = hosts(lanes);
    let unknown: Vec<_> = hosts.iter().filter(|lane| !lane.is_known).map(|lane| lane.host.as_str()).collect();
    add_hosts(connection, &unknown).await?;
    let taken = Taken::read(connection.fetch(of_lanes(lanes, &hosts, now, asked)?).await?)?;
    let had = taken.hosts("had").map(str::to_owned).collect();
    Ok((taken.jobs, had))
}

/// Locks the first of some hosts that can be had, no more than may give a job each, and takes the best jobs of all lanes of those
/// hosts.
///
/// The jobs of a lane are a range of the whole order of its index: no other index has that order.
fn of_lanes(lanes: &[Lane], hosts: &[&Lane], now: i64, asked: &Asked<'_>) -> Result<Statement> {
    let names: Vec<_> = hosts.iter().map(|lane| lane.host.as_str()).collect();
    let of_hosts = |lane: &&Lane| lane.is_local() || names.contains(&lane.host.as_str());
    let lanes: Vec<_> = lanes.iter().filter(of_hosts).collect();
    let mut taking = Taking::new(asked)?;
    let most = taking.most(asked);
    let (limit, now) = (taking.value(number(asked.room)), taking.value(now));
    let names = taking.texts(names);
    let storages = taking.texts(lanes.iter().map(|lane| lane.storage.as_str()));
    let lane_hosts = taking.texts(lanes.iter().map(|lane| lane.host.as_str()));
    let priorities = taking.numbers(lanes.iter().map(|lane| lane.priority));
    let local = HostKey::local();
    let waiting = format!(
        "moment (now) AS MATERIALIZED (
            SELECT {now}
        ), host (name, room) AS MATERIALIZED (
            SELECT source_host.name, {most} - source_host.running
            FROM unnest({names}) WITH ORDINALITY AS asked (name, place)
            JOIN source_host ON source_host.name = asked.name
            WHERE source_host.running < {most} AND coalesce(source_host.blocked_until <= {now}, TRUE)
            ORDER BY asked.place LIMIT {limit} FOR UPDATE OF source_host SKIP LOCKED
        ), waiting AS MATERIALIZED (
            SELECT first.*, coalesce(host.room, {limit}) AS room
            FROM unnest({storages}, {lane_hosts}, {priorities}) AS lane (storage, host, priority)
            LEFT JOIN host ON host.name = lane.host
            CROSS JOIN LATERAL (
                SELECT job.id, job.storage, job.host, job.priority, job.run_at FROM job
                WHERE job.leased_until IS NULL AND job.storage = lane.storage
                    AND (job.host, job.priority) >= (lane.host, lane.priority)
                    AND (job.host, job.priority, job.run_at) <= (lane.host, lane.priority, {now})
                ORDER BY job.host, job.priority, job.run_at, job.id
                LIMIT CASE WHEN host.room IS NULL THEN {SPARE_LOCAL} * {limit} ELSE least(host.room, {limit}) + {SPARE} END
            ) AS first
            WHERE host.name IS NOT NULL OR lane.host = '{local}'
        )"
    );
    Ok(taking.statement(&waiting, &limit, &["SELECT 'had', name FROM host"]))
}

/// Returns a lane of each of the hosts that are tried, in the order of the most urgent ones.
fn hosts(lanes: &[Lane]) -> Vec<&Lane> {
    let mut seen = BTreeSet::new();
    lanes.iter().filter(|lane| !lane.is_local() && seen.insert(lane.host.as_str())).take(LOCKED).collect()
}
