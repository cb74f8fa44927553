//! Implementations in memory, for tests and for programs that are content to begin anew at each start.

mod scripted;

pub use scripted::{Call, ScriptedBackend};
