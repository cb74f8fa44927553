//! The engine: what carries the decisions out.
//!
//! [`GitSync`] is the facade; [`Worker`], [`Scheduler`] and [`Janitor`] are the roles that do the work, in one process or in
//! many on the same database.

mod builder;
mod credentials;
pub mod disk;
mod dispatch;
mod git_program;
mod gitsync;
mod janitor;
mod machine;
pub mod metrics;
mod options;
mod parts;
mod relay;
mod scheduler;
mod steps;
mod store_time;
mod task;
#[cfg(test)]
mod tests;
mod watch;
mod worker;

pub use builder::GitSyncBuilder;
pub use gitsync::{CreateRepository, GitSync};
pub use janitor::Janitor;
pub use options::EngineOptions;
pub use scheduler::Scheduler;
pub use steps::{NoSteps, StepHook};
pub use watch::MAX_WATCHERS;
pub use worker::Worker;
