//! What engines do alike when they talk to an upstream, through the [`Transport`](gitsync_core::Transport) of a call.

mod call;
mod greeting;
mod guarded;
mod head;
mod http;
pub mod listing;
mod pack_bounds;
mod packets;
mod prelude;
mod remembered;
pub mod v1;

pub use call::{Call, Failure};
pub use greeting::{Greeting, Streams, greet};
pub use guarded::{Guarded, Unversioned};
pub use head::unborn_head;
pub use http::exchange;
pub use pack_bounds::{PackBounds, too_many_bytes};
pub(crate) use packets::packet;
pub use packets::{read_data, read_packet};
pub use prelude::Prelude;
pub use remembered::{Remembered, advertisement, capabilities_for_a_fetch};
