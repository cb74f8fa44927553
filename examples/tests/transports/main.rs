//! Mirrors and push targets by ssh and git://, with real servers and both engines.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failures;
mod mirrors;
mod world;
