//! Blocking work for async callers, on a bounded number of threads.
//!
//! Git engines block: on disks, on upstreams, on libraries that look at a cancellation flag now and then, or never. A
//! [`BlockingPool`] gives their calls what async callers expect: they can be dropped, they end at their deadline, and a
//! panic is an error. A thread cannot be ended from outside, so one that does not listen is *abandoned*: the call
//! returns, the thread keeps its place in the pool until it really ends.

mod batch;
mod commits;
mod pool;
mod ticket;

pub use batch::{BatchLimits, CommitSink};
pub use pool::BlockingPool;
