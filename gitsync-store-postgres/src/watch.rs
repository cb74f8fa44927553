//! Whether there may be something to claim, also when another process put it there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::Result;
use sqlx::Executor;
use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::PostgresOptions;
use crate::error::classify;

const CHANNEL: &str = "gitsync_jobs";
const TELL: &str = "NOTIFY gitsync_jobs";
/// How long others wait at most to be told. Every notification takes a lock that all of a server share, so that there must
/// not be one for each call.
const INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait before the database is tried again after it did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells who waits for jobs, in this process and in others, that there may be some. A hint: what is lost with a connection
/// is found by asking.
pub(crate) struct Watch {
    /// Wakes who waits here.
    ready: Arc<Notify>,
    /// Makes the others be told.
    changed: Arc<Notify>,
    listening: PgPool,
    tasks: JoinSet<()>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    /// Begins to listen, on a connection of its own, and to tell others, on one of the pool.
    pub(crate) async fn open(options: &PostgresOptions, pool: PgPool) -> Result<Self> {
        let listening = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.patience)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options.to_connect());
        let listener = listener(&listening).await.map_err(classify)?;
        let (ready, changed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, listening.clone(), Arc::clone(&ready)));
        tasks.spawn(tell(pool, Arc::clone(&changed)));
        Ok(Watch { ready, changed, listening, tasks })
    }

    /// Tells that something may be claimable that was not before.
    pub(crate) fn announce(&self) {
        wake(&self.ready);
        self.changed.notify_one();
    }

    /// Completes when something may be claimable that was not before.
    pub(crate) async fn ready(&self) {
        self.ready.notified().await;
    }

    pub(crate) async fn close(mut self) {
        self.tasks.shutdown().await;
        self.listening.close().await;
    }
}

/// Wakes all who wait, and the next one who is about to: it may have looked before the change.
fn wake(ready: &Notify) {
    ready.notify_waiters();
    ready.notify_one();
}

async fn listener(pool: &PgPool) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

async fn listen(mut current: PgListener, pool: PgPool, ready: Arc<Notify>) {
    loop {
        // Without a notification when the connection was lost and is there again: what came meanwhile was missed.
        while current.try_recv().await.is_ok() {
            wake(&ready);
        }
        // Its connection goes back first: there is only one.
        drop(current);
        current = loop {
            tokio::time::sleep(PAUSE).await;
            if let Ok(listener) = listener(&pool).await {
                break listener;
            }
        };
        wake(&ready);
    }
}

async fn tell(pool: PgPool, changed: Arc<Notify>) {
    loop {
        changed.notified().await;
        // If it fails the others ask in a while.
        let _ = pool.execute(TELL).await;
        tokio::time::sleep(INTERVAL).await;
    }
}
