//! What is told of the work.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

#[derive(Args)]
#[command(next_help_heading = "Observation")]
pub(crate) struct Observation {
    /// Where to serve metrics for Prometheus, at /metrics
    #[arg(long, env = "GITSYNC_METRICS_ADDR", value_name = "ADDR")]
    pub(crate) metrics_addr: Option<SocketAddr>,

    /// What is written to the log: error, warn, info, debug or trace, also per module as in warn,gitsync_core=debug
    #[arg(long, env = "RUST_LOG", value_name = "FILTER", default_value = "info", value_parser = filter)]
    log: String,

    /// How the log is written
    #[arg(long, env = "GITSYNC_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Lines for people
    Text,
    /// An object in each line
    Json,
}

impl Observation {
    /// Sends the log to standard error.
    pub(crate) fn begin_log(&self) {
        let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(&self.log)).with_writer(io::stderr);
        match self.log_format {
            LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
            LogFormat::Json => log.json().init(),
        }
    }
}

/// Checks a filter; it cannot be kept as what it is, since that cannot be cloned.
fn filter(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}; RUST_LOG or --log is like info or warn,gitsync_core=debug")),
    }
}
