//! The store: opening, closing, and the way to the database.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gitsync_core::Result;
use gitsync_core::queue::QueueLimits;
use gitsync_sql::migrate;
use sqlx::Executor;
use sqlx::postgres::{PgPool, PgPoolOptions};

use crate::PostgresOptions;
use crate::error::classify;
use crate::time::TimeSource;
use crate::transaction::{Mode, Transaction};
use crate::watch::Watch;

/// The lock under which the schema is changed: `gitsync` in ASCII.
const SCHEMA_LOCK: i64 = 0x67_69_74_73_79_6e_63;
/// How long an upgrade of the schema may take, and another process wait for it.
const SCHEMA_PATIENCE: Duration = Duration::from_secs(600);

/// The store and the job queue in one Postgres database.
///
/// Any number of processes may open the same one. What a call returned from is durable.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    pub(crate) watch: Watch,
    pub(crate) time: TimeSource,
    pub(crate) limits: QueueLimits,
    /// The host behind which the next claim begins to search. It moves on where there are more than one claim looks at.
    claims_begin: Mutex<String>,
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
        Ok(PostgresStore { pool, watch, time, limits, claims_begin: Mutex::default() })
    }

    /// Closes all connections after the calls that wait are done.
    pub async fn close(self) {
        self.watch.close().await;
        self.pool.close().await;
    }

    pub(crate) async fn begin(&self, mode: Mode) -> Result<Transaction> {
        Transaction::begin(&self.pool, &self.time, mode).await
    }

    /// Returns the host behind which the next claim begins to search.
    pub(crate) fn claims_begin(&self) -> String {
        self.claims_begin.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_claims_begin(&self, host: String) {
        *self.claims_begin.lock().unwrap_or_else(PoisonError::into_inner) = host;
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
