//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};

/// Mirrors a git repository and keeps a record of what is in it.
///
/// The first run clones every branch, tag and other reference of SOURCE; each further run brings the mirror in step and
/// says what moved. Tips that upstream overwrote or deleted are kept as refs/gitsync/kept/… for 90 days.
///
/// A run that was interrupted, even by kill -9, is gone on with by the next one.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "\
Examples:
  mirror https://github.com/sharkdp/bat
  mirror --file-root /srv/git /srv/git/project.git
  mirror --allow-http --allow-private-networks http://127.0.0.1:8080/project.git

Afterwards DATA_DIR/repos/mirrors/NAME is a bare repository like any other: clone from it, log it, fsck it."
)]
pub(crate) struct Options {
    /// What to mirror: a URL, or the absolute path of a repository on this machine
    #[arg(value_name = "SOURCE")]
    source: String,

    /// Name of the mirror [default: the last part of SOURCE]
    #[arg(long)]
    name: Option<String>,

    /// Where the database and the repositories are
    #[arg(long, value_name = "DIR", default_value = "./gitsync-data", env = "GITSYNC_DATA_DIR")]
    pub(crate) data_dir: PathBuf,

    /// How long the work of a run that was killed is left alone before this one takes it over
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    takeover_after: u64,

    /// Directory that repositories may be mirrored from by path; may be given several times
    #[arg(long, value_name = "DIR")]
    file_root: Vec<PathBuf>,

    /// Allow sources in clear-text http
    #[arg(long)]
    allow_http: bool,

    /// Allow sources on loopback, private and link-local addresses
    #[arg(long)]
    allow_private_networks: bool,
}

impl Options {
    /// Returns the checked source.
    pub(crate) fn source(&self) -> Result<SourceUrl> {
        let parsed = SourceUrl::parse(&self.source)?;
        anyhow::ensure!(
            parsed.credentials.is_none(),
            "this example mirrors without credentials; leave them out of SOURCE"
        );
        Ok(parsed.url)
    }

    /// Returns the name of the mirror.
    pub(crate) fn name(&self, source: &SourceUrl) -> Result<String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let last = source.path().rsplit('/').find(|part| !part.is_empty() && *part != ".git");
        let last = last.context("SOURCE has no last part to name the mirror after; give a --name")?;
        Ok(last.strip_suffix(".git").unwrap_or(last).to_owned())
    }

    /// Returns how long a worker's claim on a task lasts without a sign of life.
    pub(crate) fn lease(&self) -> Duration {
        Duration::from_secs(self.takeover_after)
    }

    /// Returns what may be fetched from where.
    pub(crate) fn policy(&self) -> Result<SourcePolicy> {
        let mut schemes = vec![Scheme::Https, Scheme::Ssh];
        if self.allow_http {
            schemes.push(Scheme::Http);
        }
        let mut builder = SourcePolicy::builder().allow_private_networks(self.allow_private_networks);
        for root in &self.file_root {
            schemes.push(Scheme::File);
            builder = builder.file_root(root);
        }
        Ok(builder.schemes(schemes).build()?)
    }
}
