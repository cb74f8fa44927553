//! Serves gitsync over gRPC, with a worker, a scheduler and a janitor in the same process unless told otherwise.
//!
//! `cargo run --release --example server`
#![allow(clippy::print_stdout, reason = "it is a command line program")]

mod engine;
mod metrics;
mod options;
mod roles;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::Parser as _;
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

use crate::options::{LogFormat, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    log(options.log_format);
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

/// Sends the log to standard error.
fn log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().init(),
    }
}
