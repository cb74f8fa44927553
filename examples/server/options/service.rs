//! Who is let in, and where.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};

#[derive(Args)]
#[command(next_help_heading = "Service")]
pub(crate) struct Service {
    /// Where to listen; port 0 picks a free one
    #[arg(long, env = "GITSYNC_LISTEN_ADDR", value_name = "ADDR", default_value = "127.0.0.1:50051")]
    pub(crate) listen_addr: SocketAddr,

    /// TOML file of the tokens that callers may show; without one everybody may do everything
    #[arg(long, env = "GITSYNC_TOKENS_FILE", value_name = "FILE")]
    pub(crate) tokens_file: Option<PathBuf>,

    /// Let public repositories be read without a token
    #[arg(long, env = "GITSYNC_PUBLIC_READS", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) public_reads: bool,

    /// Listen beyond the loopback also without a tokens file
    #[arg(long, env = "GITSYNC_ALLOW_OPEN", action = ArgAction::SetTrue, value_parser = BoolishValueParser::new())]
    pub(crate) allow_open: bool,

    /// Certificate of the server and those that lead to its authority, in PEM
    #[arg(long, env = "GITSYNC_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM
    #[arg(long, env = "GITSYNC_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

impl Service {
    /// Returns which settings were given, but for the address, which is harmless.
    pub(super) fn given(&self) -> Vec<&'static str> {
        let settings = [
            ("--tokens-file", self.tokens_file.is_some()),
            ("--public-reads", self.public_reads),
            ("--allow-open", self.allow_open),
            ("--tls-cert", self.tls_cert.is_some()),
        ];
        settings.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }
}
