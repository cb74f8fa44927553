//! Talks to a gitsync server: creates, syncs, watches and lists.
//!
//! `cargo run --release --example client -- create mirrors/bat https://github.com/sharkdp/bat`
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a command line program")]

mod commands;
mod connection;
mod credentials;
mod lists;
mod options;
mod output;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use crate::options::Options;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    match commands::run(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}
