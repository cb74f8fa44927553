//! Upkeep by the git program, and finding and repairing what is broken, on real repositories.
//!
//! `GITSYNC_SYNCS=2000 cargo nextest run -p gitsync-examples --test upkeep synced_often --no-capture` is the long form of the
//! mirror that is synced often; it prints how long the first and the last syncs took.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the long form shows how long syncs took")]

mod crashes;
mod damage;
mod packs;
mod world;
