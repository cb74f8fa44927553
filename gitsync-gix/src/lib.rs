//! The engine of gitsync on gitoxide: local primitives in pure Rust, without the git program.
//!
//! Every function here blocks and belongs on a thread that may. A [`Repository`] is opened for each piece of work: opening
//! costs a few file reads, and what it knows (packs, the shallow boundary) is then as fresh as the work needs.

pub mod convert;
pub mod files;
pub mod graph;
pub mod init;
pub mod open;
pub mod refs;
pub mod resolve;
pub mod walk;

pub use open::Repository;
