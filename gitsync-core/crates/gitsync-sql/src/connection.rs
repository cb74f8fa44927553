//! The seam to a database.

use async_trait::async_trait;
use gitsync_core::{Result, Timestamp};

use crate::{Dialect, Row, Statement};

/// A connection to a database, inside a transaction that its owner began and will end.
///
/// The operations of this crate run on it whole: they leave it to the owner to commit what succeeded and to roll back what
/// failed. A statement that breaks a unique constraint fails with
/// [`AlreadyExists`](gitsync_core::ErrorKind::AlreadyExists); a database that is away or busy is
/// [`Unavailable`](gitsync_core::ErrorKind::Unavailable).
#[async_trait]
pub trait Connection: Send {
    /// Returns how statements are written for this database.
    fn dialect(&self) -> Dialect;

    /// Returns the present moment, as all who share the database see it.
    async fn now(&mut self) -> Result<Timestamp>;

    /// Runs a statement and returns the rows it answers with.
    async fn fetch(&mut self, statement: Statement) -> Result<Vec<Row>>;

    /// Runs a statement and returns how many rows it changed.
    async fn execute(&mut self, statement: Statement) -> Result<u64>;
}
