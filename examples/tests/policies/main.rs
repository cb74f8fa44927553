//! What a repository takes from its upstream: bounds, with both engines, judged by the git program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod world;
