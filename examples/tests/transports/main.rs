//! Mirrors and push targets by ssh, git://, http, https and through proxies, with real servers and both engines.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failures;
mod http;
mod mirrors;
mod world;
