//! What tests of gitsync and of programs that use it are made with (feature `testing`).
//!
//! - [`ManualClock`]: time that only a test moves.
//! - [`store_suite!`](crate::store_suite), [`queue_suite!`](crate::queue_suite),
//!   [`backend_suite!`](crate::backend_suite): whether an
//!   implementation of [`Store`](crate::Store), [`JobQueue`](crate::JobQueue) or [`GitBackend`](crate::GitBackend) keeps its contract.
//! - [`Upstream`], [`SmartHttpServer`], [`Git`]: repositories made and judged by the git program, which must be installed.
//!
//! Suite code fails by panicking, like any test.

pub mod backend_suite;
mod clock;
pub mod git;
pub mod http_server;
pub mod queue_suite;
mod run;
pub mod store_suite;
pub mod upstream;

pub use clock::ManualClock;
pub use git::Git;
pub use http_server::SmartHttpServer;
pub use run::run;
pub use upstream::Upstream;
