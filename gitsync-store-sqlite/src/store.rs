//! The store: opening, closing, and the ways to the database.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gitsync_core::model::StorageName;
use gitsync_core::queue::QueueLimits;
use gitsync_core::{Clock, Error, Result};
use gitsync_sql::queue::QueueCalls;
use gitsync_sql::{Connection, migrate};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::SqliteOptions;
use crate::claim::Position;
use crate::connection::Attached;
use crate::error::classify;
use crate::file_system::check_local;
use crate::operation::{Durability, Work};
use crate::readers::Readers;
use crate::turns::Turns;
use crate::watch::Watch;
use crate::writer::Writer;

/// The store and the job queue in one SQLite file.
///
/// Dropping it ends its writer once the calls that wait are done; [`SqliteStore::close`] waits for that. What a call
/// returned from is durable either way.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    writer_task: JoinHandle<()>,
    readers: Readers,
    pub(crate) watch: Watch,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: QueueLimits,
    /// Wakes who waits for jobs.
    pub(crate) ready: Notify,
    pub(crate) claims: Claims,
    pub(crate) together: QueueCalls,
}

/// What claims leave for later ones.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    /// Whether the last one found nothing: the next one looks before it writes.
    idle: AtomicBool,
    state: Mutex<ClaimState>,
}

#[derive(Debug, Default)]
struct ClaimState {
    /// Where the search begins. It moves on where there are too many lanes to look at in one claim.
    position: Position,
    /// The storages that workers of this process serve.
    served: BTreeSet<StorageName>,
}

impl SqliteStore {
    /// Opens a database, creates it if it is not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](gitsync_core::ErrorKind::Unsupported) on a network file system, or if a newer gitsync wrote
    /// the database; [`ErrorKind::Corrupt`](gitsync_core::ErrorKind::Corrupt) if the file is damaged or no database;
    /// [`ErrorKind::Unavailable`](gitsync_core::ErrorKind::Unavailable) if another process keeps it busy.
    pub async fn open(
        options: impl Into<SqliteOptions>,
        clock: Arc<dyn Clock>,
        limits: QueueLimits,
    ) -> Result<SqliteStore> {
        let options = options.into();
        prepare_directory(&options)?;
        let turns = Turns::open(&options)?;
        let connection = open_migrated(&options, &turns, &*clock).await?;
        let watch = Watch::open(&options.to_read()).await?;
        let readers = Readers::new(&options, Arc::clone(&clock));
        let (writer, writer_task) = Writer::start(connection, options.to_write(), turns, Arc::clone(&clock));
        let (claims, together) = (Claims::default(), QueueCalls::default());
        Ok(SqliteStore { writer, writer_task, readers, watch, clock, limits, ready: Notify::new(), claims, together })
    }

    /// Closes the database after the calls that wait are done.
    pub async fn close(self) {
        self.readers.close().await;
        self.watch.close().await;
        drop(self.writer);
        // It ends by itself; if it was aborted with its runtime, there is nothing left to wait for.
        let _ = self.writer_task.await;
    }

    /// Does work whose loss in a power failure would only mean to do something again: see [`Durability::Process`].
    pub(crate) async fn write_repeatable<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send + 'static,
    {
        self.writer.write(Durability::Process, work).await
    }

    /// Does work in a transaction and returns once it survives a loss of power.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send + 'static,
    {
        self.writer.write(Durability::Power, work).await
    }

    /// Reads in one transaction.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        F: for<'c> FnOnce(&'c mut dyn Connection) -> Work<'c, T> + Send,
    {
        self.readers.read(work).await
    }

    /// Wakes all who wait for jobs, and the next one who is about to: it may have looked before the change.
    pub(crate) fn announce(&self) {
        self.ready.notify_waiters();
        self.ready.notify_one();
    }
}

impl Claims {
    pub(crate) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed)
    }

    pub(crate) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::Relaxed);
    }

    pub(crate) fn position(&self) -> Position {
        self.with(|state| state.position.clone())
    }

    pub(crate) fn set_position(&self, position: Position) {
        self.with(|state| state.position = position);
    }

    pub(crate) fn serve(&self, storages: &[StorageName]) {
        self.with(|state| state.served.extend(storages.iter().cloned()));
    }

    pub(crate) fn served(&self) -> Vec<StorageName> {
        self.with(|state| state.served.iter().cloned().collect())
    }

    fn with<T>(&self, change: impl FnOnce(&mut ClaimState) -> T) -> T {
        // No code that holds the lock can panic half-way through a change.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn prepare_directory(options: &SqliteOptions) -> Result<()> {
    let directory = options.path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let created = std::fs::create_dir_all(directory);
    created.map_err(|error| Error::from(error).with("directory", directory.display()))?;
    if !options.allow_network {
        check_local(directory)?;
    }
    // SQLite would let everybody read it; its other files get the same mode. What is wrong with the path it says itself.
    let _ = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&options.path);
    Ok(())
}

/// Opens the connection that writes. One process at a time: to create the file, to switch it to a write-ahead log and to
/// change the schema are steps that must not meet.
async fn open_migrated(options: &SqliteOptions, turns: &Turns, clock: &dyn Clock) -> Result<SqliteConnection> {
    let _turn = turns.take().await?;
    let mut connection = options.to_write().connect().await.map_err(classify)?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(classify)?;
    migrate(&mut Attached::new(&mut transaction, clock)).await?;
    transaction.commit().await.map_err(classify)?;
    Ok(connection)
}
