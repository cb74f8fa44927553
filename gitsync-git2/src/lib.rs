//! The engine of gitsync on libgit2.
//!
//! [`Git2Backend`] is the [`GitBackend`](gitsync_core::GitBackend); upstreams are reached through the
//! [`Transport`](gitsync_core::Transport) of each call only. libgit2 speaks git's protocol and reads and writes objects. It
//! never learns an address, a name of a reference or a secret, and it is built without any network library.
//!
//! libgit2 has settings for the whole process. The first fetch registers a transport and takes away the places in which
//! libgit2 looks for configuration of the system and the user: an application that uses libgit2 itself is affected by
//! that.
//!
//! # Where it agrees with git
//!
#![doc = include_str!("agreement.md")]

mod backend;
mod convert;
mod fetch;
mod index;
mod odb;
mod open;
mod options;
mod push;
mod remote;
mod workshop;

pub use backend::{Git2, Git2Backend};
pub use odb::Odb;
pub use open::{Repository, open};
pub use options::Git2Options;
