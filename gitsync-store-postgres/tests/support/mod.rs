//! What the tests of this crate share.

#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;
use std::time::Duration;

use gitsync_core::model::{Layout, Slug, SourceType, TaskId};
use gitsync_core::queue::{Lane, NewJob, QueueLimits};
use gitsync_core::store::NewRepository;
use gitsync_core::testing::ManualClock;
use gitsync_core::{Store, Timestamp};
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::{Database, execute};
use sqlx::PgConnection;
use tokio::time::timeout;

pub(crate) async fn open(database: &Database, clock: &ManualClock, limits: QueueLimits) -> Arc<PostgresStore> {
    let options = database.options().clock(Arc::new(clock.clone()));
    Arc::new(PostgresStore::open(options, limits).await.expect("the database can be opened"))
}

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

/// A job that is due.
pub(crate) fn job(host: &str) -> NewJob {
    let lane = Lane { storage: "default".parse().expect("a name"), host: host.parse().expect("a host") };
    NewJob { id: TaskId::generate(), lane, priority: 0, run_at: Timestamp::from_secs(0), attempt: 0, epoch: 0 }
}

/// Describes a mirror in an organisation of its own.
pub(crate) async fn mirror(store: &PostgresStore) -> NewRepository {
    NewRepository {
        organisation: store.create_organisation(&slug("org"), "Org").await.expect("an organisation").id,
        name: "mirror".parse().expect("a name"),
        description: String::new(),
        owner: "somebody".into(),
        is_public: true,
        layout: Layout::Mirror,
        source: Some("https://host.example/mirror".parse().expect("a source")),
        source_type: SourceType::Custom,
        storage: "default".parse().expect("a name"),
        exclude_refs: Vec::new(),
        depth: None,
        task: TaskId::generate(),
    }
}

/// Keeps the database from clearing and analyzing tables by itself: it would look at their pages, too, and at any time. What
/// this connection does is not counted either: the server would do so up to a second later, when others are to be counted.
pub(crate) async fn leave_alone(connection: &mut PgConnection, tables: &[&str]) {
    execute(connection, "SET track_counts = off").await;
    for table in tables {
        execute(connection, &format!("ALTER TABLE {table} SET (autovacuum_enabled = FALSE)")).await;
    }
}

/// Waits until the server has counted what was done on all other connections, which were closed: it does so before they are
/// gone.
pub(crate) async fn until_counted(connection: &mut PgConnection) {
    const OTHERS: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let waiting = async {
        while sqlx::query_scalar::<_, i64>(OTHERS).fetch_one(&mut *connection).await.expect("a count") > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), waiting).await.expect("connections end");
}

/// Returns how many pages of the queue's tables were looked at since the counts were reset.
pub(crate) async fn pages_of_the_queue(connection: &mut PgConnection) -> i64 {
    const PAGES: &str = "SELECT sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit)::bigint
        FROM pg_statio_user_tables WHERE relname IN ('job', 'source_host')";
    sqlx::query_scalar(PAGES).fetch_one(&mut *connection).await.expect("a count")
}
