//! Implementations in memory, for tests and for programs that are content to begin anew at each start.
//!
//! The store and the queue are the reference: they are meant to be obviously right, and all others are compared with them.
//! They keep everything that durable ones keep but the data, which is gone with the value.

mod job;
mod page;
mod queue;
mod scripted;
mod store;
mod tables;
#[cfg(test)]
mod tests;

pub use queue::MemoryQueue;
pub use scripted::{Call, ScriptedBackend};
pub use store::MemoryStore;
