//! Serves gitsync over gRPC, with a worker, a scheduler and a janitor in the same process unless told otherwise.
//!
//! `cargo run --release --example server`
#![allow(clippy::print_stdout, reason = "it is a command line program")]

mod engine;
mod metrics;
mod options;
mod roles;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::Runtime;

use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    options.observation.begin_log();
    for setting in options.without_effect() {
        tracing::warn!("{setting} has no effect in a process without the role api");
    }
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(roles::run(&options));
    // A thread that does not return was abandoned, and is not waited for.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let hint = error.downcast_ref::<gitsync_core::Error>().and_then(gitsync_core::Error::hint_text);
            tracing::error!("{error:#}{}", hint.map(|hint| format!("; {hint}")).unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}
