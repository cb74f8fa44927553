//! No secret is anywhere but where it was put: the example server, with everything it may say switched on, beside upstreams that
//! are well, that fail, and that repeat what they were shown.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod api;
mod processes;
mod runs;
mod search;
#[path = "../support/mod.rs"]
mod support;
mod upstreams;
mod world;

use std::time::{Duration, Instant};

use self::world::World;

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it took too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_tells_a_secret_with_gix() {
    World::new("gix", "text").run();
}

#[test]
fn nothing_tells_a_secret_with_git2() {
    World::new("git2", "json").run();
}
