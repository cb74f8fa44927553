//! The most urgent jobs of all, whatever their lanes: most claims need no more.

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::HostKey;
use gitsync_sql::{Connection, Statement};

/// How many jobs are looked at for each that is wanted, because hosts are full or left alone, and storages served by others.
const TRIED: usize = 3;
/// How many jobs are looked at in any case.
const AT_LEAST: usize = 32;
/// The most priorities whose jobs are looked at. A few are in use.
const RANKS: usize = 64;

/// The first jobs in the order of urgency that can be taken, behind a row without an id: it tells when the first lease expires,
/// whether there are as many as are wanted, and whether all jobs that are due were looked at.
///
/// A limit is a sum because SQLite would compile the statement anew for each value of one that is a parameter alone.
pub(super) const URGENT: &str = "
    WITH RECURSIVE rank (priority) AS MATERIALIZED (
        SELECT (SELECT priority FROM job WHERE leased_until IS NULL ORDER BY priority, run_at, id LIMIT 1)
        UNION ALL
        SELECT (
            SELECT job.priority FROM job WHERE job.leased_until IS NULL AND job.priority > rank.priority
            ORDER BY job.priority, job.run_at, job.id LIMIT 1
        ) FROM rank WHERE rank.priority IS NOT NULL
        LIMIT ?7 + 0
    ), due (id, storage, host, priority, run_at) AS MATERIALIZED (
        SELECT job.id, job.storage, job.host, job.priority, job.run_at
        FROM rank JOIN job ON job.rowid IN (
            SELECT waiting.rowid FROM job AS waiting
            WHERE waiting.leased_until IS NULL AND waiting.priority = rank.priority AND waiting.run_at <= ?5
            ORDER BY waiting.run_at, waiting.id LIMIT ?6 + 0)
        ORDER BY job.priority, job.run_at, job.id LIMIT ?6 + 0
    ), served (id, priority, run_at, is_free, room, place) AS (
        SELECT due.id, due.priority, due.run_at,
            due.host = ?2 OR coalesce(source_host.blocked_until <= ?5, TRUE),
            CASE WHEN due.host = ?2 THEN ?4
                ELSE min(?3, coalesce(source_host.job_limit, ?3)) - coalesce(source_host.running, 0) END,
            row_number() OVER (PARTITION BY due.host ORDER BY due.priority, due.run_at, due.id)
        FROM due LEFT JOIN source_host ON source_host.name = due.host
        WHERE due.storage IN (SELECT value FROM json_each(?1))
    ), best (id, priority, run_at) AS MATERIALIZED (
        SELECT id, priority, run_at FROM served WHERE is_free AND place <= room
        ORDER BY priority, run_at, id LIMIT ?4 + 0
    )
    SELECT NULL AS id, (
        SELECT leased_until FROM job WHERE leased_until IS NOT NULL ORDER BY leased_until LIMIT 1
    ) AS first_expiry, (SELECT count(*) FROM best) >= ?4 AS is_enough,
        (SELECT count(*) FROM due) < ?6 AND (SELECT count(priority) FROM rank) < ?7 AS is_all
    UNION ALL SELECT * FROM (SELECT id, NULL, NULL, NULL FROM best ORDER BY priority, run_at, id)";

/// What a look at the most urgent jobs found.
#[derive(Debug)]
pub(super) struct Urgent {
    /// Those that can be taken, from the most urgent one.
    pub(super) best: Vec<TaskId>,
    /// Whether there are leases that have expired.
    pub(super) expired: bool,
    /// Whether no others can be taken that are among the best.
    pub(super) suffices: bool,
}

/// Finds the most urgent jobs of storages, a JSON array.
pub(super) async fn urgent(
    connection: &mut dyn Connection,
    storages: &str,
    limit: usize,
    limits: &QueueLimits,
) -> Result<Urgent> {
    let now = connection.now().await?;
    let parameters = vec![
        storages.into(),
        HostKey::local().as_str().into(),
        limits.host_concurrency.into(),
        limit.into(),
        now.into(),
        AT_LEAST.max(TRIED * limit).into(),
        RANKS.into(),
    ];
    let mut urgent = Urgent { best: Vec::new(), expired: false, suffices: false };
    for mut row in connection.fetch(Statement::new(URGENT, parameters)).await? {
        match row.opt_task_id("id")? {
            Some(id) => urgent.best.push(id),
            None => {
                urgent.expired = row.opt_timestamp("first_expiry")?.is_some_and(|first| first <= now);
                urgent.suffices = row.boolean("is_enough")? || row.boolean("is_all")?;
            }
        }
    }
    Ok(urgent)
}
