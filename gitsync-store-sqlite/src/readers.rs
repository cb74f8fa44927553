//! The connections that read.

use std::sync::Arc;

use gitsync_core::{Clock, Result};
use gitsync_sql::Connection;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

use crate::SqliteOptions;
use crate::connection::Attached;
use crate::error::classify;
use crate::operation::Work;

/// A small pool of connections that cannot write.
#[derive(Debug)]
pub(crate) struct Readers {
    pool: SqlitePool,
    clock: Arc<dyn Clock>,
}

impl Readers {
    pub(crate) fn new(options: &SqliteOptions, clock: Arc<dyn Clock>) -> Self {
        let pool = SqlitePoolOptions::new()
            .max_connections(options.readers)
            .acquire_timeout(options.patience)
            // A connection to a file does not go away while it is not used.
            .test_before_acquire(false)
            .connect_lazy_with(options.to_read());
        Readers { pool, clock }
    }

    /// Reads in one transaction: all that it sees was true at the same moment.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send,
    {
        let mut transaction = self.pool.begin().await.map_err(classify)?;
        let outcome = work(&mut Attached::new(&mut transaction, &*self.clock)).await;
        transaction.rollback().await.map_err(classify)?;
        outcome
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
