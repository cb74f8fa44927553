//! What the processes did, as the database wrote it down, and the rules that it must keep.

use sqlx::{Executor as _, PgPool, Row as _};

/// Makes the database write everything down from now on.
pub(crate) async fn install(pool: &PgPool) {
    pool.execute(include_str!("audit.sql")).await.unwrap();
}

/// What must never be, each with a query that finds it.
const NEVER: &[(&str, &str)] = &[
    (
        "a job is claimed at an epoch that is not higher than the one before",
        "SELECT process, encode(job, 'hex') AS what, old, new FROM (
            SELECT *, lag(new) OVER (PARTITION BY job ORDER BY seq) AS before FROM audit WHERE what = 'claimed'
        ) AS claim WHERE new <= old OR new <= before",
    ),
    (
        "a task changes after its end",
        "SELECT process, encode(job, 'hex') AS what, old, new FROM audit
        WHERE what = 'task' AND was IN ('completed', 'failed', 'cancelled')",
    ),
    (
        "a task does not end once",
        "SELECT max(process) AS process, encode(job, 'hex') AS what, max(old) AS old, count(*) AS new
        FROM audit WHERE what = 'task' AND is_now IN ('completed', 'failed', 'cancelled')
        GROUP BY job HAVING count(*) <> 1
        UNION ALL
        SELECT status, encode(id, 'hex'), epoch, 0 FROM sync_task
        WHERE NOT EXISTS (SELECT FROM audit WHERE job = id AND is_now IN ('completed', 'failed', 'cancelled'))",
    ),
    (
        "the epoch of a task falls",
        "SELECT process, encode(job, 'hex') AS what, old, new FROM audit WHERE what = 'task' AND new < old",
    ),
    (
        "the fence of a repository is not raised by one",
        "SELECT process, repository::text AS what, old, new FROM audit WHERE what = 'fence' AND new <> old + 1",
    ),
    (
        "something is written about a repository, not by who raised its fence last, or under an older fence",
        "SELECT effect.process, effect.repository::text || ' ' || effect.was AS what, owner.new AS old, effect.new
        FROM audit AS effect LEFT JOIN LATERAL (
            SELECT process, new FROM audit AS fence
            WHERE fence.what = 'fence' AND fence.repository = effect.repository AND fence.seq < effect.seq
            ORDER BY seq DESC LIMIT 1
        ) AS owner ON TRUE
        WHERE effect.what = 'effect' AND (effect.process, effect.new) IS DISTINCT FROM (owner.process, owner.new)",
    ),
    (
        "the count of a host is not that of its leased jobs",
        "SELECT '' AS process, name AS what, running AS old, leased AS new FROM source_host, LATERAL (
            SELECT count(*) AS leased FROM job WHERE job.host = name AND leased_until IS NOT NULL
        ) AS counted WHERE running <> leased",
    ),
];

/// Checks that all rules were kept, after all work is done.
pub(crate) async fn check(pool: &PgPool) {
    for (rule, query) in NEVER {
        let broken = sqlx::query(*query).fetch_all(pool).await.unwrap();
        let broken: Vec<(String, String, Option<i64>, Option<i64>)> =
            broken.iter().map(|row| (row.get("process"), row.get("what"), row.get("old"), row.get("new"))).collect();
        assert!(broken.is_empty(), "{rule}: (by whom, what, old, new) is {broken:?}");
    }
}

/// Returns how many jobs were claimed by one process after another had claimed them.
pub(crate) async fn takeovers(pool: &PgPool) -> i64 {
    const TAKEN_OVER: &str = "SELECT count(*) FROM (
            SELECT job FROM audit WHERE what = 'claimed' GROUP BY job HAVING count(DISTINCT process) > 1
        ) AS taken_over";
    sqlx::query_scalar(TAKEN_OVER).fetch_one(pool).await.unwrap()
}
