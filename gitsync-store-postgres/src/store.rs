//! The store: opening, closing, and the way to the database.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gitsync_core::Result;
use gitsync_core::model::RepositoryId;
use gitsync_core::queue::QueueLimits;
use gitsync_core::rules::{Request, Requested};
use gitsync_core::together::Together;
use gitsync_sql::migrate;
use gitsync_sql::queue::QueueCalls;
use sqlx::Executor;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::PostgresOptions;
use crate::claim::Position;
use crate::error::classify;
use crate::time::TimeSource;
use crate::transaction::{Mode, Transaction};
use crate::watch::Watch;

/// The lock under which the schema is changed: `gitsync` in ASCII.
const SCHEMA_LOCK: i64 = 0x67_69_74_73_79_6e_63;
/// How long an upgrade of the schema may take, and another process wait for it.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(600);

/// How many transactions of requests there are at a time: while one waits for the disk, another is at work.
const REQUEST_TURNS: usize = 2;
/// How many requests are done in one transaction.
const REQUESTS: usize = 256;

/// The store and the job queue in one Postgres database.
///
/// Any number of processes may open the same one. What a call returned from is durable.
#[derive(Debug)]
pub struct PostgresStore {
    pub(crate) pool: PgPool,
    pub(crate) watch: Watch,
    pub(crate) time: TimeSource,
    pub(crate) limits: QueueLimits,
    /// Where the next claim begins to search. It moves on where there are more lanes than one claim looks at.
    claims_begin: Mutex<Position>,
    pub(crate) together: QueueCalls,
    /// Requests that come at the same time are one transaction.
    pub(crate) requests: Together<(RepositoryId, Request), Option<Result<Requested>>>,
}

impl PostgresStore {
    /// Opens a database and brings its schema up to date, one process at a time.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`](gitsync_core::ErrorKind::Unavailable) if the database does not answer, does not exist or
    /// refuses the user;
    /// [`ErrorKind::Unsupported`](gitsync_core::ErrorKind::Unsupported) if a newer gitsync wrote it.
    pub async fn open(options: PostgresOptions, limits: QueueLimits) -> Result<PostgresStore> {
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.patience)
            .test_before_acquire(false)
            .connect_lazy_with(options.to_connect());
        let time = options.clock.clone().map_or(TimeSource::Database, TimeSource::Given);
        open_migrated(&pool, &time).await?;
        let watch = Watch::open(&options, pool.clone()).await?;
        Ok(PostgresStore {
            pool,
            watch,
            time,
            limits,
            claims_begin: Mutex::default(),
            together: QueueCalls::default(),
            requests: Together::new(REQUEST_TURNS, REQUESTS, |_| 1),
        })
    }

    /// Closes all connections after the calls that wait are done.
    pub async fn close(self) {
        self.watch.close().await;
        self.pool.close().await;
    }

    pub(crate) async fn begin(&self, mode: Mode) -> Result<Transaction> {
        Transaction::begin(&self.pool, &self.time, mode).await
    }

    /// Returns where the next claim begins to search.
    pub(crate) fn claims_begin(&self) -> Position {
        self.claims_begin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_claims_begin(&self, position: Position) {
        *self.claims_begin.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }
}

async fn open_migrated(pool: &PgPool, time: &TimeSource) -> Result<()> {
    let mut transaction = Transaction::begin(pool, time, Mode::Write).await?;
    let mut attached = transaction.attach();
    for limit in ["lock_timeout", "statement_timeout"] {
        let query = sqlx::query("SELECT set_config($1, $2, TRUE)").bind(limit);
        let query = query.bind(SCHEMA_PATIENCE.as_millis().to_string());
        attached.driver().execute(query).await.map_err(classify)?;
    }
    // Held until the transaction ends.
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(SCHEMA_LOCK);
    attached.driver().execute(lock).await.map_err(classify)?;
    migrate(&mut attached).await?;
    transaction.commit().await
}
