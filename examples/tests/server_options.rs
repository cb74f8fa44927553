//! The settings of the example `server`, whose tests are beside them. They are not the example's own tests: Cargo would build
//! those in place of the program that the other tests run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../server/options/mod.rs"]
#[allow(dead_code, unused_imports, reason = "it is the server that uses them")]
mod options;
