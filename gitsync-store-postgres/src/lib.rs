//! The store and the job queue of gitsync on Postgres: one database, shared by any number of processes and machines.
//!
//! [`PostgresStore`] is both a [`Store`](gitsync_core::Store) and a [`JobQueue`](gitsync_core::JobQueue); clone the `Arc` it
//! is in to use it as either. What it does is what [`gitsync_sql`] says, as on SQLite; here is what only Postgres has.
//!
//! - Every call is one transaction; a claim is one for each look at what waits. What is answered survives the failure of the database's machine, but for what could only
//!   have to be done again: jobs put into the queue, extended and ended, progress, and commits of a recording that is not
//!   finished. Those do not wait for the disk (`synchronous_commit = off`), and are never lost without everything that came
//!   after them. Claims wait: workers on other machines outlive a crash of the database, and an epoch that was forgotten with a
//!   claim would be given twice.
//! - The time is the database's: however wrong the clocks of the machines are, they agree on which leases have expired.
//! - Rows that a decision depends on are locked. What Postgres ends for the sake of another transaction is done again.
//! - A claim locks the rows of the hosts it takes jobs from, and passes over those that another claim has.
//! - Who waits for jobs is woken by `NOTIFY`, at most some twenty times a second. That is a hint; what is missed is found by
//!   asking again.
//! - Connections, statements and waits for locks have bounds: see [`PostgresOptions`]. While the database is away calls are
//!   [`Unavailable`](gitsync_core::ErrorKind::Unavailable), and when it is back they work again.
//!
//! ```no_run
//! use gitsync_core::Store;
//! use gitsync_core::queue::QueueLimits;
//! use gitsync_store_postgres::{PostgresOptions, PostgresStore};
//!
//! # async fn example() -> gitsync_core::Result<()> {
//! let options: PostgresOptions = "postgres://gitsync@localhost/gitsync".parse()?;
//! let store = PostgresStore::open(options, QueueLimits::default()).await?;
//! let organisation = store.create_organisation(&"rust-lang".parse()?, "The Rust project").await?;
//! assert_eq!(store.organisation(organisation.id).await?, organisation);
//! # Ok(())
//! # }
//! ```

mod claim;
mod connection;
mod error;
mod glance;
mod options;
mod queue;
mod records;
mod store;
mod time;
mod transaction;
mod watch;

pub use options::PostgresOptions;
pub use store::PostgresStore;
