//! The engine of gitsync on gitoxide: in pure Rust, without the git program.
//!
//! [`GixBackend`] is the [`GitBackend`](gitsync_core::GitBackend); upstreams are reached through the
//! [`Transport`](gitsync_core::Transport) of each call only.
//!
//! Every other function here blocks and belongs on a thread that may. A [`Repository`] is opened for each piece of work:
//! opening costs a few file reads, and what it knows (packs, the shallow boundary) is then as fresh as the work needs.
//!
//! # Where it agrees with git
//!
#![doc = include_str!("agreement.md")]

pub mod backend;
pub mod convert;
mod fetch;
mod index;
mod odb;
pub mod open;
pub mod options;
mod push;
mod remote;

pub use backend::{Gix, GixBackend};
pub use odb::Odb;
pub use open::{Repository, open};
pub use options::GixOptions;
