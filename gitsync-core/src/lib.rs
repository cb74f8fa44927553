//! The engine that keeps git repositories in step with their upstreams and knows what is in them.
//!
//! This crate holds the domain ([`model`], [`state`]) and the seams ([`backend::GitBackend`], [`Transport`]) between the
//! decisions and what carries them out. It knows no SQL, no git library and no network: those are adapters, and each of
//! them can be replaced.

pub mod backend;
pub mod blocking;
pub mod cancel;
pub mod clock;
pub mod engine;
pub mod error;
pub mod memory;
pub mod model;
pub mod plan;
pub mod queue;
pub mod rules;
pub mod source;
pub mod state;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod together;
pub mod transport;
pub mod watched_file;

pub use backend::GitBackend;
pub use cancel::Cancellation;
pub use clock::{Clock, SystemClock, Timestamp};
pub use engine::GitSync;
pub use error::{Error, ErrorKind, Result};
pub use queue::JobQueue;
pub use store::Store;
pub use transport::Transport;
