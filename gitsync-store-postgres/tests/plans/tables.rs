//! Full tables, made by the database itself.

use gitsync_core::Timestamp;
use gitsync_core::model::{ObjectId, TaskId};
use gitsync_test_postgres::execute;
use sqlx::PgConnection;

use crate::support::leave_alone;

/// When all that is asked is asked. Moments in the tables are seconds before it and behind.
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_795_500_000);

/// How many rows there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) jobs: i64,
    pub(crate) repositories: i64,
    /// Of the repository that has the most.
    pub(crate) commits: i64,
}

impl Size {
    /// The small size, or the full one if the environment wants it.
    pub(crate) fn of_this_run() -> Self {
        match std::env::var_os("GITSYNC_PLANS_FULL") {
            None => Size { jobs: 20_000, repositories: 20_000, commits: 20_000 },
            Some(_) => Size { jobs: 1_000_000, repositories: 200_000, commits: 1_000_000 },
        }
    }
}

/// The id of the n-th task or job: later ones have higher ids.
pub(crate) fn task(n: i64) -> TaskId {
    TaskId::from_bytes(&[[0; 8], n.to_be_bytes()].concat()).expect("sixteen bytes")
}

/// The id of the n-th commit: they are in no order.
pub(crate) async fn commit(connection: &mut PgConnection, n: i64) -> ObjectId {
    let id: Vec<u8> = sqlx::query_scalar("SELECT commit_id($1)").bind(n).fetch_one(connection).await.expect("an id");
    ObjectId::from_bytes(&id).expect("an id")
}

/// Fills the tables. What the database knows of them is what it finds out by itself, which is nothing yet.
pub(crate) async fn fill(connection: &mut PgConnection, size: Size) {
    let tables = ["job", "source_host", "sync_task", "repository", "git_commit", "ref_update", "recorded_ref"];
    leave_alone(connection, &tables).await;
    execute(
        connection,
        "CREATE FUNCTION task_id(n bigint) RETURNS bytea IMMUTABLE RETURN '\\x0000000000000000'::bytea || int8send(n);
        CREATE FUNCTION commit_id(n bigint) RETURNS bytea IMMUTABLE
            RETURN decode(md5(n::text) || left(md5(n::text), 8), 'hex')",
    )
    .await;
    let Size { jobs, repositories, commits } = size;
    let now = NOW.as_secs();
    execute(
        connection,
        "INSERT INTO organisation (slug, name, created_at) SELECT 'o' || n, '', 0 FROM generate_series(1, 200) n",
    )
    .await;
    // Some are being deleted, some archived. A hundred are due, one each second.
    execute(connection, &format!(
        "INSERT INTO repository (organisation_id, name, name_folded, description, owner, is_public, layout, source_type,
            storage, exclude_refs, status, total_commits, recorded_refs, size_bytes, failures, fence, version, created_at,
            updated_at, next_sync_at, deleted_at)
        SELECT n % 200 + 1, 'r' || n, 'r' || n, '', '', TRUE, 'mirror', 'custom', 'default', '',
            CASE WHEN n % 50 = 1 THEN 'archived' WHEN n % 190 = 13 THEN 'failed' ELSE 'active' END,
            0, 0, 0, 0, 5, 1, 0, 0, ({now} - 100 + n) * 1000000::bigint, CASE WHEN n % 100 = 2 THEN 1 END
        FROM generate_series(1, {repositories}) n"
    )).await;
    // Each has two that ended and, one in five, one that waits. Of those a few are not in the queue yet.
    execute(connection, &format!(
        "INSERT INTO sync_task (id, repository_id, organisation_id, kind, force_clone, accept_shrink, status, held, attempt,
            epoch, progress_phase, progress_objects, progress_bytes, progress_commits, commits_synced, created_at,
            enqueued_at, completed_at)
        SELECT task_id((turn * {repositories} + n)::bigint), n, n % 200 + 1,
            CASE WHEN n % 100 = 0 AND turn = 1 THEN 'migrate' ELSE 'sync' END, FALSE, FALSE,
            CASE WHEN turn = 3 THEN CASE WHEN n % 1000 = 0 THEN 'running' ELSE 'pending' END
                WHEN n % 30 = 0 THEN 'failed' ELSE 'completed' END,
            FALSE, 1, 1, '', 0, 0, 0, 0, 0, CASE WHEN turn < 3 OR n % 2000 <> 5 THEN 1 END,
            CASE WHEN turn < 3 THEN ({now} - 3 * {repositories} + turn * {repositories} + n) * 1000000::bigint END
        FROM generate_series(1, {repositories}) n, generate_series(1, 3) turn WHERE turn < 3 OR n % 5 = 0"
    )).await;
    // The first half waits for a host that is full, behind it what is not due, then what can be claimed.
    execute(
        connection,
        &format!(
            "INSERT INTO job (id, storage, host, priority, run_at, attempt, epoch, leased_until, deadline_at, counted,
            cancel_requested)
        SELECT task_id(n), 'default',
            CASE WHEN n <= {jobs} / 2 THEN 'full.example' WHEN n <= {jobs} * 3 / 4 THEN 'a.example'
                ELSE 'h' || n % 200 || '.example' END,
            CASE WHEN n <= {jobs} / 2 THEN -5 WHEN n <= {jobs} * 3 / 4 THEN -9 ELSE 0 END,
            CASE WHEN n <= {jobs} / 2 OR n > {jobs} * 3 / 4 THEN n ELSE ({now} + n) * 1000000::bigint END,
            0, 1, CASE WHEN n % 100 = 0 THEN ({now} + n % 60 + 1) * 1000000::bigint END,
            CASE WHEN n % 100 = 0 THEN ({now} + 1800) * 1000000::bigint END, FALSE, FALSE
        FROM generate_series(1, {jobs}) n"
        ),
    )
    .await;
    execute(
        connection,
        &format!(
            "INSERT INTO source_host (name, running) VALUES ('full.example', 4);
        INSERT INTO source_host SELECT 'h' || n || '.example', 0, NULL FROM generate_series(0, 1999) n;
        UPDATE source_host SET blocked_until = ({now} + 60) * 1000000::bigint WHERE name < 'h11'"
        ),
    )
    .await;
    // One repository has many, a hundred others have some. One in ten is an orphan; some the last full walk did not see.
    execute(
        connection,
        &format!(
            "INSERT INTO git_commit
        SELECT repository, commit_id(n), CASE WHEN n = 1 THEN ''::bytea ELSE commit_id(n - 1) END, 'A',
            'a' || n % 1000 || '@example', n, 0, 'C', 'c@example', n, 0, 'message', FALSE,
            CASE WHEN n % 40 = 7 THEN 4 ELSE 5 END, CASE WHEN n % 10 = 3 THEN 1 END
        FROM (SELECT 1 AS repository, n FROM generate_series(1, {commits}) n UNION ALL
            SELECT repository, n FROM generate_series(2, 101) repository, generate_series(1, 100) n) AS made"
        ),
    )
    .await;
    execute(connection, &format!(
        "INSERT INTO ref_update (repository_id, task_id, recorded_at, kind)
        SELECT n % 1000 + 1, task_id(n), ({now} - {jobs} + n) * 1000000::bigint, 'created' FROM generate_series(1, {jobs}) n;
        INSERT INTO recorded_ref
        SELECT n % 10 + 1, convert_to('refs/heads/b' || n, 'UTF8'), '', convert_to('refs/heads/b' || n, 'UTF8'), commit_id(n)
        FROM generate_series(1, 20000) n"
    )).await;
}

/// Has the database believe that no job waits, as when the workers kept up until it last looked.
pub(crate) async fn know_of_nothing_that_waits(connection: &mut PgConnection) {
    execute(
        connection,
        "CREATE TEMPORARY TABLE aside AS SELECT * FROM job WHERE leased_until IS NULL;
        DELETE FROM job WHERE leased_until IS NULL",
    )
    .await;
    execute(connection, "VACUUM ANALYZE job").await;
    execute(connection, "INSERT INTO job SELECT * FROM aside; DROP TABLE aside").await;
}
