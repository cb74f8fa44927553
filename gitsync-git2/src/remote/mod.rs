//! Upstreams: libgit2's protocol over the [`Transport`](gitsync_core::Transport) of the core.
//!
//! libgit2 is given an address that means nothing, `gitsync://<number>/`, and a greeting in which what is wanted has made-up
//! names. The streams behind the number are those of the transport.

mod explain;
mod list;
mod registry;
mod setup;
mod streams;

pub(crate) use explain::explain;
pub(crate) use list::list;
pub(crate) use registry::{Conversation, Registered, WANTS};
pub(crate) use setup::setup;
