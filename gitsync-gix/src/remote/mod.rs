//! Upstreams: gix's protocol over the [`Transport`](gitsync_core::Transport) of the core.
//!
//! gix never learns an address and opens no connection. Its HTTP transport talks to [`http::UpstreamHttp`], its pipe
//! transport to the streams of [`Transport::connect`](gitsync_core::Transport::connect).

mod explain;
mod http;
mod list;
mod session;
mod v2;

pub(crate) use explain::explain;
pub(crate) use list::list;
pub(crate) use session::{Opening, Session};

/// How we name ourselves to upstreams.
pub(crate) const AGENT: &str = concat!("git/gitsync-", env!("CARGO_PKG_VERSION"));
