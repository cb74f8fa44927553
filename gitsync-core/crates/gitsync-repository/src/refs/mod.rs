//! References of a local repository, kept in git's `files` format.

mod apply;
mod packed;
mod read;

pub use apply::{Applied, apply};
pub use read::read;
