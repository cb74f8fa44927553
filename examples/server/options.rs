//! The settings: flags and environment alike.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::{ArgAction, Parser, ValueEnum};
use gitsync_core::engine::{EngineOptions, GitSyncBuilder};
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{Scheme, SourcePolicy};

/// Serves gitsync over gRPC, and does the work that is requested.
///
/// Without any setting it listens on 127.0.0.1:50051, lets everybody on this machine do everything, and keeps its database
/// and its repositories in ./gitsync-data. SIGTERM and Ctrl-C end it: what runs is waited for, then given back, and gone on
/// with at the next start.
#[derive(Parser)]
#[command(
    version,
    after_help = "\
Examples:
  server
  server --allowed-schemes https,http --allow-private-networks
  server --listen-addr 0.0.0.0:50051 --tokens-file tokens.toml --tls-cert cert.pem --tls-key key.pem
  server --roles worker --workers 8

Every setting can also be given in the environment, by the name in [env: …]. Logs go to standard error; RUST_LOG filters them."
)]
pub(crate) struct Options {
    /// Where to listen; port 0 picks a free one
    #[arg(
        long,
        env = "GITSYNC_LISTEN_ADDR",
        value_name = "ADDR",
        default_value = "127.0.0.1:50051",
        help_heading = "Service"
    )]
    pub(crate) listen_addr: SocketAddr,

    /// TOML file of the tokens that callers may show; without one everybody may do everything
    #[arg(long, env = "GITSYNC_TOKENS_FILE", value_name = "FILE", help_heading = "Service")]
    pub(crate) tokens_file: Option<PathBuf>,

    /// Let public repositories be read without a token
    #[arg(long, env = "GITSYNC_PUBLIC_READS", action = ArgAction::SetTrue, help_heading = "Service")]
    pub(crate) public_reads: bool,

    /// Listen beyond the loopback also without a tokens file
    #[arg(long, env = "GITSYNC_ALLOW_OPEN", action = ArgAction::SetTrue, help_heading = "Service")]
    pub(crate) allow_open: bool,

    /// Certificate of the server and those that lead to its authority, in PEM
    #[arg(long, env = "GITSYNC_TLS_CERT", value_name = "FILE", requires = "tls_key", help_heading = "Service")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key of the certificate, in PEM
    #[arg(long, env = "GITSYNC_TLS_KEY", value_name = "FILE", requires = "tls_cert", help_heading = "Service")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Where the database is: sqlite://PATH, or postgres://USER:PASSWORD@HOST/DATABASE (with the feature postgres)
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://./gitsync-data/gitsync.db",
        hide_env_values = true,
        help_heading = "Storage"
    )]
    database_url: String,

    /// Directory of the repositories, the storage named `default`
    #[arg(
        long,
        env = "GIT_REPOS_DIR",
        value_name = "DIR",
        default_value = "./gitsync-data/repos",
        help_heading = "Storage"
    )]
    repos_dir: PathBuf,

    /// The storages that the worker of this process serves, in place of --repos-dir
    #[arg(
        long,
        env = "GITSYNC_STORAGES",
        value_name = "NAME=DIR",
        value_delimiter = ',',
        value_parser = storage,
        help_heading = "Storage"
    )]
    storages: Vec<(String, PathBuf)>,

    /// Those of the storages that machines share; locks on their files (flock) must work among all of these machines
    #[arg(long, env = "GITSYNC_SHARED_STORAGES", value_name = "NAME", value_delimiter = ',', help_heading = "Storage")]
    shared_storages: Vec<String>,

    /// Which library reads and writes repositories
    #[arg(long, env = "GITSYNC_GIT_BACKEND", value_enum, default_value = "gix", help_heading = "Storage")]
    pub(crate) git_backend: Backend,

    /// What this process does
    #[arg(
        long,
        env = "GITSYNC_ROLES",
        value_enum,
        value_delimiter = ',',
        default_value = "api,worker,scheduler,janitor",
        help_heading = "Work"
    )]
    pub(crate) roles: Vec<Role>,

    /// How many tasks run at once
    #[arg(long, env = "GITSYNC_WORKERS", value_name = "N", default_value = "2", help_heading = "Work")]
    workers: usize,

    /// How many tasks of one source host run at once, in all processes together
    #[arg(long, env = "GITSYNC_HOST_CONCURRENCY", value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Work")]
    host_concurrency: u32,

    /// How long one attempt may take
    #[arg(
        long,
        env = "GITSYNC_TASK_TIME_LIMIT",
        value_name = "SECONDS",
        default_value = "1800",
        help_heading = "Work"
    )]
    task_time_limit: u64,

    /// The pauses before the second and later attempts; there are as many retries as pauses
    #[arg(
        long,
        env = "GITSYNC_RETRY_DELAYS",
        value_name = "SECONDS",
        value_delimiter = ',',
        default_value = "60,120,240",
        help_heading = "Work"
    )]
    retry_delays: Vec<u64>,

    /// The shortest time between two syncs of a repository
    #[arg(
        long,
        env = "GITSYNC_SYNC_INTERVAL_MIN",
        value_name = "SECONDS",
        default_value = "300",
        help_heading = "Work"
    )]
    sync_interval_min: u64,

    /// The longest time between two syncs of a repository
    #[arg(
        long,
        env = "GITSYNC_SYNC_INTERVAL_MAX",
        value_name = "SECONDS",
        default_value = "86400",
        help_heading = "Work"
    )]
    sync_interval_max: u64,

    /// How long a dead process's work is left alone before another one takes it over
    #[arg(long, env = "GITSYNC_LEASE", value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = "Work")]
    lease: u64,

    /// How long what runs is waited for at the end, before it is given back
    #[arg(long, env = "GITSYNC_DRAIN", value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u64).range(..=3600), help_heading = "Work")]
    drain: u64,

    /// Schemes that sources may have: https, ssh, http, git, file
    #[arg(
        long,
        env = "GITSYNC_ALLOWED_SCHEMES",
        value_name = "SCHEME",
        value_delimiter = ',',
        default_value = "https,ssh",
        help_heading = "Sources"
    )]
    allowed_schemes: Vec<String>,

    /// Allow sources on loopback, private and link-local addresses
    #[arg(long, env = "GITSYNC_ALLOW_PRIVATE_NETWORKS", action = ArgAction::SetTrue, help_heading = "Sources")]
    allow_private_networks: bool,

    /// The only hosts that sources may be on: names, *.names or networks
    #[arg(long, env = "GITSYNC_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',', help_heading = "Sources")]
    allowed_hosts: Vec<String>,

    /// Hosts that sources may not be on
    #[arg(long, env = "GITSYNC_DENIED_HOSTS", value_name = "HOST", value_delimiter = ',', help_heading = "Sources")]
    denied_hosts: Vec<String>,

    /// Directories that repositories may be mirrored from by path; takes the scheme file
    #[arg(long, env = "GITSYNC_FILE_ROOTS", value_name = "DIR", value_delimiter = ',', help_heading = "Sources")]
    file_roots: Vec<PathBuf>,

    /// Where to serve metrics for Prometheus, at /metrics
    #[arg(long, env = "GITSYNC_METRICS_ADDR", value_name = "ADDR", help_heading = "Observation")]
    pub(crate) metrics_addr: Option<SocketAddr>,

    /// How the log is written
    #[arg(long, env = "GITSYNC_LOG_FORMAT", value_enum, default_value = "text", help_heading = "Observation")]
    pub(crate) log_format: LogFormat,
}

/// Where the database is.
pub(crate) enum Database {
    /// In a file.
    Sqlite(PathBuf),
    /// At a server.
    #[cfg(feature = "postgres")]
    Postgres(Box<gitsync_store_postgres::PostgresOptions>),
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Serves the API
    Api,
    /// Does tasks
    Worker,
    /// Requests syncs that are due
    Scheduler,
    /// Tidies up
    Janitor,
}

/// A library that reads and writes repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// gitoxide
    Gix,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people
    Text,
    /// An object in each line
    Json,
}

impl Options {
    /// Tells whether this process has a role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Returns how long what runs is waited for at the end.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain)
    }

    /// Adds the storages to an engine. Only who works on them needs the disks; the API goes by what workers report.
    pub(crate) fn add_storages(&self, mut builder: GitSyncBuilder) -> Result<GitSyncBuilder> {
        let storages = self.storages();
        for shared in &self.shared_storages {
            ensure!(
                storages.iter().any(|(name, _)| name == shared),
                "the shared storage {shared:?} is not among the storages; give it with --storages NAME=DIR"
            );
        }
        if !self.has(Role::Worker) && !self.has(Role::Janitor) {
            return Ok(builder);
        }
        for (name, directory) in storages {
            builder = if self.shared_storages.contains(&name) {
                builder.shared_storage(&name, directory)
            } else {
                builder.storage(&name, directory)
            };
        }
        Ok(builder)
    }

    /// Returns the storages by name.
    fn storages(&self) -> Vec<(String, PathBuf)> {
        if self.storages.is_empty() {
            vec![("default".to_owned(), self.repos_dir.clone())]
        } else {
            self.storages.clone()
        }
    }

    /// Returns the database.
    pub(crate) fn database(&self) -> Result<Database> {
        match self.database_url.split_once(':') {
            Some(("sqlite", path)) => match path.strip_prefix("//").unwrap_or(path) {
                "" | ":memory:" => bail!("the database is a file; use sqlite://PATH"),
                path => Ok(Database::Sqlite(PathBuf::from(path))),
            },
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => Ok(Database::Postgres(Box::new(self.database_url.parse()?))),
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => {
                bail!("this server was built without Postgres; build it with --features postgres, or use sqlite://PATH")
            }
            // Whatever else it is may hold a password.
            _ => bail!("the database URL is like neither sqlite://PATH nor postgres://USER:PASSWORD@HOST/DATABASE"),
        }
    }

    /// Returns the limits of the queue.
    pub(crate) fn limits(&self) -> QueueLimits {
        QueueLimits {
            lease: Duration::from_secs(self.lease),
            deadline: Duration::from_secs(self.task_time_limit),
            max_attempts: u32::try_from(self.retry_delays.len()).unwrap_or(u32::MAX).saturating_add(1),
            host_concurrency: self.host_concurrency,
        }
    }

    /// Returns the engine's options.
    pub(crate) fn engine(&self) -> EngineOptions {
        EngineOptions {
            concurrency: self.workers,
            lease: Duration::from_secs(self.lease),
            heartbeat_interval: Duration::from_secs(self.lease) / 4,
            task_time_limit: Duration::from_secs(self.task_time_limit),
            retry_delays: self.retry_delays.iter().copied().map(Duration::from_secs).collect(),
            sync_interval_min: Duration::from_secs(self.sync_interval_min),
            sync_interval_max: Duration::from_secs(self.sync_interval_max),
            drain: self.drain(),
            ..EngineOptions::default()
        }
    }

    /// Returns what may be fetched from where.
    pub(crate) fn policy(&self) -> Result<SourcePolicy> {
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
        let roots = self.storages().into_iter().map(|(_, root)| std::path::absolute(root));
        Ok(builder.build()?.with_storage_roots(roots.collect::<std::io::Result<Vec<_>>>()?)?)
    }
}

fn storage(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), PathBuf::from(path))),
        _ => Err("a storage is NAME=DIR".to_owned()),
    }
}
