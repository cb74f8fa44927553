//! What tests of gitsync and of programs that use it are made with (feature `testing`).
//!
//! - [`ManualClock`]: time that only a test moves.
//! - [`store_suite!`](crate::store_suite), [`queue_suite!`](crate::queue_suite),
//!   [`backend_suite!`](crate::backend_suite): whether an
//!   implementation of [`Store`](crate::Store), [`JobQueue`](crate::JobQueue) or [`GitBackend`](crate::GitBackend) keeps its contract.
//! - [`engine_suite!`](crate::engine_suite): whether two processes can use one database at once.
//! - [`agreement`]: whether an engine agrees with git, whatever an upstream gets into.
//! - [`Upstream`], [`RandomUpstream`], [`SmartHttpServer`], [`GitDaemon`], [`Git`], [`check_mirror`], [`check_depth`]: repositories made,
//!   served and judged by the git program, which must be installed.
//! - [`SshServer`], [`KeyPair`]: a server of OpenSSH and keys for it, which must be installed.
//! - [`TlsServer`], [`Authority`], [`ProxyServer`]: TLS and proxies in front of servers.
//! - `MockStore`, `MockJobQueue`, `MockGitBackend`: mocks made by mockall, for tests that care for a single call; how
//!   they are used is told in `mocks`.
//! - [`FaultyStore`], [`FaultyQueue`]: a database that fails, loses an answer or keeps a call waiting.
//! - [`Offline`]: a way out that leads nowhere.
//! - [`DieAt`]: a process that dies between two steps of a task.
//!
//! Suite code fails by panicking, like any test. Long tests are small unless `GITSYNC_TEST_FULL` is set in the environment.

pub mod agreement;
pub mod backend_suite;
mod clock;
pub mod engine_suite;
mod faulty;
pub mod git;
mod git_daemon;
pub mod http_server;
mod judge;
#[cfg(test)]
mod listed;
#[cfg(feature = "testing")]
mod listening;
#[cfg(feature = "testing")]
pub mod mocks;
mod offline;
mod per_connection;
#[cfg(feature = "testing")]
mod proxy_server;
pub mod queue_suite;
mod random_upstream;
mod run;
mod size;
mod ssh_server;
mod steps;
pub mod store_suite;
#[cfg(feature = "testing")]
mod tls_server;
pub mod upstream;

pub use clock::ManualClock;
pub use faulty::{FaultyQueue, FaultyStore, HeldCall, QueueCall, StoreCall};
pub use git::Git;
pub use git_daemon::GitDaemon;
pub use http_server::SmartHttpServer;
pub use judge::{check_depth, check_mirror};
#[cfg(feature = "testing")]
pub use mocks::{MockGitBackend, MockJobQueue, MockStore, mockall};
pub use offline::Offline;
#[cfg(feature = "testing")]
pub use proxy_server::{ProxyProtocol, ProxyServer};
pub use random_upstream::RandomUpstream;
pub use run::run;
pub use size::size;
pub use ssh_server::{KeyPair, SshServer};
pub use steps::DieAt;
#[cfg(feature = "testing")]
pub use tls_server::{Authority, Identity, TlsServer};
pub use upstream::Upstream;
