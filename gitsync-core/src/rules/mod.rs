//! The rules of tasks: pure decisions over the rows a store has loaded.
//!
//! A store loads a repository and its unfinished tasks in a transaction, asks a rule, and writes what it says. So every
//! store decides alike, and each rule is tested without a database.

mod cancel;
mod finish;
#[cfg(test)]
mod fixtures;
mod job;
mod request;
mod start;

pub use cancel::cancel;
pub use finish::{Completion, Finished, Outcome, finish};
pub use job::{job, lane};
pub use request::{Disposition, Request, Requested, Unfinished, request};
pub use start::{Start, start};
