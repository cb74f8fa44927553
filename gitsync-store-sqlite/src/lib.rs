//! The store and the job queue of gitsync on SQLite: the embedded default.
//!
//! One file holds everything. [`SqliteStore`] is both a [`Store`](gitsync_core::Store) and a
//! [`JobQueue`](gitsync_core::JobQueue); clone the `Arc` it is in to use it as either.
//!
//! - One connection writes. Calls queue for it, and those that wait at the same moment are committed together: the disk is
//!   waited for once. Each call is still a transaction of its own to its caller.
//! - What is answered survives a loss of power (`synchronous=FULL`), but for what could only have to be done again: claims
//!   and ends of jobs, progress, and commits of a recording that is not finished. Those survive the end of the process, and
//!   are never lost without everything that came after them.
//! - Reads have connections aside and never wait for a write.
//! - Any number of processes of one machine may open the file. They take turns writing, and upgrade its schema one at a
//!   time.
//!
//! ```
//! use std::sync::Arc;
//!
//! use gitsync_core::queue::QueueLimits;
//! use gitsync_core::{Store, SystemClock};
//! use gitsync_store_sqlite::SqliteStore;
//!
//! # async fn example(directory: &std::path::Path) -> gitsync_core::Result<()> {
//! let store = SqliteStore::open(directory.join("gitsync.db"), Arc::new(SystemClock), QueueLimits::default()).await?;
//! let organisation = store.create_organisation(&"rust-lang".parse()?, "The Rust project").await?;
//! assert_eq!(store.organisation(organisation.id).await?, organisation);
//! # Ok(())
//! # }
//! # let directory = tempfile::tempdir().unwrap();
//! # gitsync_core::testing::run(example(directory.path())).unwrap();
//! ```

mod claim;
mod connection;
mod error;
mod file_system;
mod operation;
mod options;
mod queue;
mod readers;
mod records;
mod store;
mod turns;
mod watch;
mod writer;

pub use options::SqliteOptions;
pub use store::SqliteStore;
