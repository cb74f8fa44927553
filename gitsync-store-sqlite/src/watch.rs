//! Whether somebody wrote, also another process.

use std::time::Duration;

use gitsync_core::Result;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Mutex;

use crate::error::classify;

/// How long a write of another process may go unnoticed.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);

/// A connection that only looks at the version of the data. SQLite counts it per connection, so it must be the same one.
#[derive(Debug)]
pub(crate) struct Watch(Mutex<Watched>);

#[derive(Debug)]
struct Watched {
    connection: SqliteConnection,
    /// The last version that anybody was told of.
    seen: i64,
}

impl Watch {
    pub(crate) async fn open(options: &SqliteConnectOptions) -> Result<Self> {
        let mut connection = options.connect().await.map_err(classify)?;
        let seen = version(&mut connection).await?;
        Ok(Watch(Mutex::new(Watched { connection, seen })))
    }

    /// Returns the last version that anybody was told of: where one who begins to wait begins.
    pub(crate) async fn seen(&self) -> i64 {
        self.0.lock().await.seen
    }

    /// Completes when the version is no longer the given one, and returns the new one.
    pub(crate) async fn changed(&self, from: i64) -> i64 {
        loop {
            let mut watched = self.0.lock().await;
            // A database that does not answer changes nothing; who waits has a time limit.
            if let Ok(version) = version(&mut watched.connection).await
                && version != from
            {
                watched.seen = version;
                return version;
            }
            drop(watched);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    pub(crate) async fn close(self) {
        let _ = self.0.into_inner().connection.close().await;
    }
}

async fn version(connection: &mut SqliteConnection) -> Result<i64> {
    sqlx::query_scalar("PRAGMA data_version").fetch_one(connection).await.map_err(classify)
}
