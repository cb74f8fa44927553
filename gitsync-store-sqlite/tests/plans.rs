//! Each hot query is carried out by the index that was made for it, whatever SQLite knows of the tables.

use std::sync::Arc;
use std::time::Duration;

use gitsync_core::model::{ObjectId, OrganisationId, Progress, RepositoryId, TaskId, TaskKind};
use gitsync_core::queue::QueueLimits;
use gitsync_core::rules::{HostLesson, HostState};
use gitsync_core::state::{RepositoryStatus, TaskStatus};
use gitsync_core::store::{CommitFilter, RepositoryFilter, TaskFilter};
use gitsync_core::{SystemClock, Timestamp};
use gitsync_sql::Dialect::Sqlite;
use gitsync_sql::statements::{commits, credentials, hosts, jobs, log, refs, repositories, tasks};
use gitsync_sql::{Statement, Value};
use gitsync_store_sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row, SqliteConnection};

const NOW: Timestamp = Timestamp::from_secs(1_795_500_000);
const ORGANISATION: Option<OrganisationId> = Some(OrganisationId(1));
const REPOSITORY: RepositoryId = RepositoryId(1);

/// Returns the steps of a plan, one to a line.
async fn plan(connection: &mut SqliteConnection, statement: &Statement) -> String {
    let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.sql)));
    let bind =
        |query: sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>, value: &Value| match value
            .clone()
        {
            Value::Bool(value) => query.bind(value),
            Value::Int(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
            Value::Array(_) => panic!("SQLite has no arrays"),
        };
    let rows = statement.values.iter().fold(query, bind).fetch_all(connection).await.expect("a plan");
    rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
}

/// Checks that a statement searches by each of the indexes, and neither reads a whole table nor sorts.
async fn assert_uses(connection: &mut SqliteConnection, statement: &Statement, indexes: &[&str]) {
    let plan = plan(connection, statement).await;
    for index in indexes {
        assert!(plan.contains(index), "{index} is not used by\n{}\n{plan}", statement.sql);
    }
    let whole = plan.lines().any(|step| step.starts_with("SCAN") && !step.contains("USING"));
    assert!(!whole, "a whole table is read by\n{}\n{plan}", statement.sql);
    assert!(!plan.contains("USE TEMP B-TREE FOR ORDER BY"), "rows are sorted by\n{}\n{plan}", statement.sql);
}

#[tokio::test]
async fn hot_queries_use_their_indexes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gitsync.db");
    let store = SqliteStore::open(path.clone(), Arc::new(SystemClock), QueueLimits::default()).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let c = &mut connection;

    let id = TaskId::generate();
    let primary_key = ["sqlite_autoindex_sync_task_1 (id=?)"];
    assert_uses(c, &tasks::by_ids(Sqlite, &[id, id]).unwrap(), &primary_key).await;
    assert_uses(c, &tasks::set_enqueued(Sqlite, &[id, id], NOW).unwrap(), &primary_key).await;
    assert_uses(c, &tasks::set_progress(Sqlite, id, &Progress::default()).unwrap(), &primary_key).await;
    assert_uses(c, &tasks::outbox(Sqlite, 10).unwrap(), &["sync_task_outbox"]).await;
    assert_uses(
        c,
        &repositories::due(Sqlite, NOW, 10).unwrap(),
        &["repository_due (next_sync_at>? AND next_sync_at<?)"],
    )
    .await;
    let of_one = tasks::unfinished(Sqlite, &[REPOSITORY]).unwrap();
    assert_uses(c, &of_one, &["sync_task_pending (repository_id=?)", "sync_task_running (repository_id=?)"]).await;

    let status = Some(RepositoryStatus::Active);
    for (filter, index) in [
        ((None, None), "repository_list (id>?)"),
        ((ORGANISATION, None), "repository_by_organisation (organisation_id=? AND id>?)"),
        ((None, status), "repository_by_status (status=? AND id>?)"),
        ((ORGANISATION, status), "repository_by_organisation_status (organisation_id=? AND status=? AND id>?)"),
    ] {
        let organisations = filter.0.map(|organisation| vec![organisation]);
        let filter = RepositoryFilter { organisations, status: filter.1, is_public: None };
        assert_uses(c, &repositories::list(Sqlite, &filter, Some(7), 10).unwrap(), &[index]).await;
    }
    let several = Some(vec![OrganisationId(1), OrganisationId(2)]);
    let filter = RepositoryFilter { organisations: several, ..RepositoryFilter::default() };
    // Each has an order of its own in the index, so those of all are sorted.
    let sorted = plan(c, &repositories::list(Sqlite, &filter, Some(7), 10).unwrap()).await;
    assert!(sorted.contains("repository_by_organisation (organisation_id=? AND id>?)"), "{sorted}");
    let (repository, status, kind) = (Some(REPOSITORY), Some(TaskStatus::Failed), Some(TaskKind::Sync));
    for (filter, index) in [
        ((None, None, None), "sync_task"),
        ((repository, None, None), "sync_task_by_repository (repository_id=? AND id<?)"),
        ((repository, status, kind), "sync_task_by_repository (repository_id=? AND id<?)"),
        ((None, status, None), "sync_task_by_status (status=? AND id<?)"),
        ((None, None, kind), "sync_task_by_kind (kind=? AND id<?)"),
    ] {
        let filter = TaskFilter { repository: filter.0, status: filter.1, kind: filter.2 };
        let list = tasks::list(Sqlite, &filter, Some(TaskId::generate()), 10).unwrap();
        assert_uses(c, &list, &[index]).await;
    }
    assert_uses(c, &tasks::prune(Sqlite, NOW, 10).unwrap(), &["sync_task_ended", "sync_task_by_repository"]).await;

    let by_time = CommitFilter { since_seconds: Some(5), ..CommitFilter::default() };
    let after = Some((7, ObjectId::Sha1([1; 20])));
    let list = commits::list(Sqlite, REPOSITORY, &by_time, None, after, 10).unwrap();
    assert_uses(c, &list, &["git_commit_by_time (repository_id=? AND committer_seconds>"]).await;
    let by_author = CommitFilter { author_email: Some("a@b".into()), ..CommitFilter::default() };
    let list = commits::list(Sqlite, REPOSITORY, &by_author, None, after, 10).unwrap();
    assert_uses(c, &list, &["git_commit_by_author (repository_id=? AND author_email=? AND "]).await;
    let primary_key = "sqlite_autoindex_git_commit_1 (repository_id=? AND object_id=?)";
    for (filter, index) in [
        (CommitFilter::default(), "git_commit_by_time (repository_id=?"),
        (by_author, "git_commit_by_author (repository_id=? AND author_email=?"),
    ] {
        let list = commits::list(Sqlite, REPOSITORY, &filter, Some(ObjectId::Sha1([2; 20])), after, 10).unwrap();
        let plan = plan(c, &list).await;
        assert!(plan.contains(primary_key) && plan.contains(index), "{}\n{plan}", list.sql);
        assert!(!plan.contains("USE TEMP B-TREE") && !plan.contains("SCAN git_commit"), "{}\n{plan}", list.sql);
    }
    let by_fence = ["git_commit_unrecorded (repository_id=? AND recorded_by_fence<?)", "sqlite_autoindex_git_commit_1"];
    assert_uses(c, &commits::orphan_unrecorded(Sqlite, REPOSITORY, 3, NOW, 10).unwrap(), &by_fence).await;
    let by_time = ["COVERING INDEX git_commit_by_time (repository_id=?)", "sqlite_autoindex_git_commit_1"];
    assert_uses(c, &commits::delete_some(Sqlite, REPOSITORY, 10).unwrap(), &by_time).await;
    assert_uses(c, &refs::delete_some(Sqlite, REPOSITORY, 10).unwrap(), &["sqlite_autoindex_recorded_ref_1"]).await;
    assert_uses(c, &log::delete_some(Sqlite, REPOSITORY, 10).unwrap(), &["ref_update_by_repository"]).await;
    let others = tasks::delete_others(Sqlite, REPOSITORY, id, 10).unwrap();
    assert_uses(c, &others, &["sync_task_by_repository (repository_id=?)"]).await;
    assert_uses(c, &refs::all(Sqlite, REPOSITORY).unwrap(), &["recorded_ref"]).await;
    assert_uses(c, &log::list(Sqlite, REPOSITORY, Some(3), 10).unwrap(), &["ref_update_by_repository"]).await;
    assert_uses(c, &log::prune(Sqlite, NOW, 10).unwrap(), &["ref_update_by_time"]).await;

    let (key, of) = ("k".parse().unwrap(), (OrganisationId(1), "name".parse().unwrap()));
    let by_organisation = ["sqlite_autoindex_credential_1 (organisation_id=?)"];
    assert_uses(c, &credentials::known(Sqlite, of.0).unwrap(), &by_organisation).await;
    assert_uses(c, &credentials::sealed(Sqlite, of.0).unwrap(), &by_organisation).await;
    let next = credentials::next_key(Sqlite, Some(&key)).unwrap();
    assert_uses(c, &next, &["COVERING INDEX credential_key (key_id>?)"]).await;
    let by_key = ["credential_key (key_id=? AND (organisation_id,name)>(?,?))"];
    assert_uses(c, &credentials::sealed_with(Sqlite, &key, Some(of), 10).unwrap(), &by_key).await;

    assert_uses(c, &jobs::abandon_expired(Sqlite, NOW).unwrap(), &["job_leased (leased_until>? AND leased_until<?)"])
        .await;
    assert_uses(c, &jobs::next_moment(Sqlite, NOW).unwrap(), &["job_scheduled (run_at>?)", "job_leased"]).await;
    let ids = [TaskId::generate(), TaskId::generate()];
    let until = NOW.after(Duration::from_secs(60));
    let primary_key = ["sqlite_autoindex_job_1 (id=?)"];
    assert_uses(c, &jobs::lease(Sqlite, &ids, &QueueLimits::default(), NOW).unwrap(), &primary_key).await;
    assert_uses(c, &jobs::lock(Sqlite, &ids).unwrap(), &primary_key).await;
    assert_uses(c, &jobs::by_ids(Sqlite, &ids).unwrap(), &primary_key).await;
    assert_uses(c, &jobs::extend(Sqlite, &ids, until).unwrap(), &primary_key).await;
    assert_uses(c, &jobs::give_back(Sqlite, ids[0], 1, None).unwrap(), &primary_key).await;
    assert_uses(c, &jobs::delete(Sqlite, &ids).unwrap(), &primary_key).await;
    assert_uses(c, &jobs::delete_held(Sqlite, &ids, 1, NOW).unwrap(), &primary_key).await;
    assert_uses(c, &jobs::delete_untouched(Sqlite, &ids).unwrap(), &primary_key).await;
    assert_uses(c, &jobs::request_cancel(Sqlite, &ids).unwrap(), &primary_key).await;
    assert_uses(c, &hosts::delete_idle(Sqlite, NOW, 10).unwrap(), &["sqlite_autoindex_source_host_1 (name=?)"]).await;
    let host = "a".parse().unwrap();
    assert_uses(c, &hosts::count_and_tell(Sqlite, &[(&host, -1)]).unwrap()[0], &[]).await;
    let lesson = HostLesson { host, before: HostState::default(), after: HostState::default() };
    assert_uses(c, &hosts::note(Sqlite, &lesson).unwrap(), &["sqlite_autoindex_source_host_1 (name=?)"]).await;
    store.close().await;
}
