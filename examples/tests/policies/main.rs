//! What a repository takes from its upstream: bounds, references that are left out, and the depth of its history, with both engines, judged by the git program.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod excluded;
mod shallow;
mod world;
