//! Mirrors one repository with parts of its own: a database that keeps an audit log, and a git engine with quotas.
//!
//! `cargo run --release --example custom_backend -- https://github.com/sharkdp/bat`
//!
//! `examples/tests/custom_backend.rs` runs the published suites on these parts.
#![allow(clippy::print_stdout, reason = "it is a command line program")]

mod audit;
mod quota;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use gitsync_core::engine::CreateRepository;
use gitsync_core::model::Repository;
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::{ErrorKind, GitSync, SystemClock};
use gitsync_gix::GixBackend;
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};

use crate::audit::{AuditLog, Audited};
use crate::quota::Quota;

/// Mirrors a git repository up to a size, and notes every change of its records in DATA_DIR/audit.log.
#[derive(Debug, Parser)]
struct Options {
    /// What to mirror: a URL, or the absolute path of a repository on this machine
    source: String,

    /// Where the database, the audit log and the repositories are
    #[arg(long, value_name = "DIR", default_value = "./gitsync-data", env = "GITSYNC_DATA_DIR")]
    data_dir: PathBuf,

    /// How large a repository may become
    #[arg(long, value_name = "BYTES", default_value = "1000000000")]
    quota: u64,

    /// Directory that repositories may be mirrored from by path
    #[arg(long, value_name = "DIR")]
    file_root: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let gitsync = open(&options).await?;
    let repository = request(&gitsync, SourceUrl::parse(&options.source)?.url).await?;
    gitsync.worker().run_until_idle().await?;

    let repository = gitsync.repository(repository.id).await?;
    if let Some(error) = &repository.error {
        anyhow::bail!("{}", error.message);
    }
    println!("{}: {} commits, {} bytes", repository.name, repository.total_commits, repository.size_bytes);
    Ok(())
}

/// Puts the engine together: any part may be somebody's own.
async fn open(options: &Options) -> Result<GitSync> {
    let directory = &options.data_dir;
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let clock = Arc::new(SystemClock);
    let database = SqliteStore::open(directory.join("gitsync.db"), Arc::clone(&clock) as _, QueueLimits::default());
    let log = AuditLog::open(&directory.join("audit.log"), clock).context("cannot open the audit log")?;
    let repositories = std::path::absolute(directory.join("repos"))?;
    let policy = policy(options)?;
    let transport_policy = policy.clone().with_storage_roots([repositories.clone()])?;
    Ok(GitSync::builder()
        .database(Arc::new(Audited::new(database.await?, log)))
        .backend(Arc::new(Quota::new(GixBackend::default(), options.quota)))
        .transport(Arc::new(NetTransport::new(transport_policy, NetOptions::default())))
        .policy(policy)
        .repos_dir(repositories)
        .build()?)
}

fn policy(options: &Options) -> Result<SourcePolicy> {
    Ok(match &options.file_root {
        Some(root) => SourcePolicy::builder().schemes([Scheme::Https, Scheme::File]).file_root(root).build()?,
        None => SourcePolicy::default(),
    })
}

/// Asks for a first clone, or for a sync of what is there.
async fn request(gitsync: &GitSync, source: SourceUrl) -> Result<Repository> {
    let slug = "audited".parse()?;
    let organisation = match gitsync.organisation_by_slug(&slug).await {
        Err(error) if error.kind() == ErrorKind::NotFound => gitsync.create_organisation(&slug, "Audited").await?,
        found => found?,
    };
    let last = source.path().rsplit('/').find(|part| !part.is_empty()).context("the source has no name")?;
    let name = last.strip_suffix(".git").unwrap_or(last).to_owned();
    match gitsync.repository_by_name(organisation.id, &name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let wish = CreateRepository { name, source: Some(source), ..CreateRepository::default() };
            Ok(gitsync.create_repository(organisation.id, wish).await?.0)
        }
        found => {
            let repository = found?;
            gitsync.sync(repository.id).await?;
            Ok(repository)
        }
    }
}
