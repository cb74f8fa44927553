//! Where the database is, and how it is used.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::{Clock, Error, ErrorKind, Result};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

/// Where the database is, and how it is used. An address alone will do: `postgres://user:password@host/database`.
#[derive(Clone)]
pub struct PostgresOptions {
    address: PgConnectOptions,
    pub(crate) connections: u32,
    pub(crate) patience: Duration,
    statement_timeout: Duration,
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl PostgresOptions {
    /// Uses the database at an address.
    pub fn new(address: PgConnectOptions) -> Self {
        PostgresOptions {
            address,
            connections: 16,
            patience: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
            clock: None,
        }
    }

    /// Sets how many calls may be at the database at once; others wait for a connection. One more connection waits for
    /// jobs. Default: 16.
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Sets how long a call waits for a connection, and a statement for a lock, before the call is
    /// [`Unavailable`](gitsync_core::ErrorKind::Unavailable). Default: 10 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets how long a statement may take in all. Default: 30 s.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    /// Takes the time from a clock, for tests that move it. Without it all who share the database go by the database's own
    /// clock, whatever those of their machines say.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How a connection is made.
    pub(crate) fn to_connect(&self) -> PgConnectOptions {
        // Zero would be no limit.
        let milliseconds = |duration: Duration| duration.as_millis().max(1).to_string();
        let address = self.address.clone().statement_cache_capacity(256).options([
            ("statement_timeout", milliseconds(self.statement_timeout)),
            ("lock_timeout", milliseconds(self.patience)),
            // A process that stopped within a transaction must not keep its locks.
            ("idle_in_transaction_session_timeout", milliseconds(self.statement_timeout)),
            // To compile a statement takes longer than any of ours runs.
            ("jit", "off".to_owned()),
            // Of statements outside a transaction, whatever is usual in the database: claims lock what they decide by.
            ("default_transaction_isolation", "read committed".to_owned()),
        ]);
        let address = match address.get_application_name() {
            Some(_) => address,
            None => address.application_name("gitsync"),
        };
        // The text of every statement, on every call.
        address.disable_statement_logging()
    }
}

impl FromStr for PostgresOptions {
    type Err = Error;

    /// Reads an address. What it does not say is taken from the environment, as `psql` does.
    fn from_str(address: &str) -> Result<Self> {
        let options = address.parse().map_err(|error: sqlx::Error| {
            Error::new(ErrorKind::InvalidInput, format!("this is not the address of a Postgres database: {error}"))
                .hint("write postgres://user:password@host/database")
        })?;
        Ok(PostgresOptions::new(options))
    }
}

/// Leaves out the password.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("host", &self.address.get_host())
            .field("port", &self.address.get_port())
            .field("database", &self.address.get_database())
            .field("connections", &self.connections)
            .field("patience", &self.patience)
            .field("statement_timeout", &self.statement_timeout)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let options: PostgresOptions = "postgres://me:hunter2@db.example:5433/gitsync".parse().unwrap();
        let shown = format!("{options:?}");
        assert!(shown.contains("db.example") && shown.contains("5433"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        let error = "postgres://me:hunter2@db.example:port/gitsync".parse::<PostgresOptions>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
