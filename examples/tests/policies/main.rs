//! What a repository takes from its upstream: bounds and references that are left out, with both engines, judged by the git program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod excluded;
mod world;
