//! What may be fetched from where.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use gitsync_core::source::{Scheme, SourcePolicy};

#[derive(Args)]
#[command(next_help_heading = "Sources")]
pub(crate) struct Sources {
    /// Schemes that sources may have: https, ssh, http, git, file
    #[arg(
        long,
        env = "GITSYNC_ALLOWED_SCHEMES",
        value_name = "SCHEME",
        value_delimiter = ',',
        default_value = "https,ssh"
    )]
    allowed_schemes: Vec<String>,

    /// Allow sources on loopback, private and link-local addresses
    #[arg(
        long,
        env = "GITSYNC_ALLOW_PRIVATE_NETWORKS",
        action = ArgAction::SetTrue,
        value_parser = BoolishValueParser::new()
    )]
    allow_private_networks: bool,

    /// The only hosts that sources may be on: names, *.names or networks
    #[arg(long, env = "GITSYNC_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    allowed_hosts: Vec<String>,

    /// Hosts that sources may not be on
    #[arg(long, env = "GITSYNC_DENIED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    denied_hosts: Vec<String>,

    /// Directories that repositories may be mirrored from by path; takes the scheme file
    #[arg(long, env = "GITSYNC_FILE_ROOTS", value_name = "DIR", value_delimiter = ',')]
    file_roots: Vec<PathBuf>,
}

impl Sources {
    /// Returns the policy; nothing is fetched from what lies in a storage.
    pub(super) fn policy(&self, storages: Vec<(String, PathBuf)>) -> Result<SourcePolicy> {
        let schemes = self.allowed_schemes.iter().map(|name| {
            Scheme::from_name(name)
                .with_context(|| format!("there is no scheme {name:?}; use https, ssh, http, git or file"))
        });
        let mut builder = SourcePolicy::builder()
            .schemes(schemes.collect::<Result<Vec<_>>>()?)
            .allow_private_networks(self.allow_private_networks)
            .allowed_hosts(self.allowed_hosts.iter().map(String::as_str))?
            .denied_hosts(self.denied_hosts.iter().map(String::as_str))?;
        for root in &self.file_roots {
            builder = builder.file_root(root);
        }
        let roots = storages.into_iter().map(|(_, root)| std::path::absolute(root));
        Ok(builder.build()?.with_storage_roots(roots.collect::<std::io::Result<Vec<_>>>()?)?)
    }
}
