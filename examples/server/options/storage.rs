//! Where everything is kept.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::{Args, ValueEnum};
use gitsync_core::engine::GitSyncBuilder;

#[derive(Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct Storage {
    /// Where the database is: sqlite://PATH, or postgres://USER:PASSWORD@HOST/DATABASE (with the feature postgres)
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite://./gitsync-data/gitsync.db",
        hide_env_values = true
    )]
    database_url: String,

    /// Directory of the repositories, the storage named `default`
    #[arg(long, env = "GIT_REPOS_DIR", value_name = "DIR", default_value = "./gitsync-data/repos")]
    repos_dir: PathBuf,

    /// The storages that the worker of this process serves, in place of --repos-dir
    #[arg(long, env = "GITSYNC_STORAGES", value_name = "NAME=DIR", value_delimiter = ',', value_parser = storage)]
    storages: Vec<(String, PathBuf)>,

    /// Those of the storages that machines share; locks on their files (flock) must work among all of these machines
    #[arg(long, env = "GITSYNC_SHARED_STORAGES", value_name = "NAME", value_delimiter = ',')]
    shared_storages: Vec<String>,

    /// How many bytes stay free on the disk of a storage: a fetch that would leave less is put off
    #[arg(long, env = "GITSYNC_MIN_FREE_BYTES", value_name = "BYTES", default_value = "1073741824")]
    pub(super) min_free_bytes: u64,

    /// Which library reads and writes repositories (git2 with the feature git2)
    #[arg(long, env = "GITSYNC_GIT_BACKEND", value_enum, default_value = "gix")]
    pub(crate) git_backend: Backend,
}

/// Where the database is.
pub(crate) enum Database {
    /// In a file.
    Sqlite(PathBuf),
    /// At a server.
    #[cfg(feature = "postgres")]
    Postgres(Box<gitsync_store_postgres::PostgresOptions>),
}

/// A library that reads and writes repositories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    /// gitoxide
    Gix,
    /// libgit2
    #[cfg(feature = "git2")]
    Git2,
}

impl Storage {
    /// Adds the storages to an engine that works on them: it needs the disks.
    pub(crate) fn add_to(&self, mut builder: GitSyncBuilder) -> GitSyncBuilder {
        for (name, directory) in self.storages() {
            builder = if self.shared_storages.contains(&name) {
                builder.shared_storage(&name, directory)
            } else {
                builder.storage(&name, directory)
            };
        }
        builder
    }

    /// Finds out whether a storage is declared shared that is none.
    pub(crate) fn check(&self) -> Result<()> {
        let storages = self.storages();
        for shared in &self.shared_storages {
            ensure!(
                storages.iter().any(|(name, _)| name == shared),
                "the shared storage {shared:?} is not among the storages; give it with --storages NAME=DIR"
            );
        }
        Ok(())
    }

    /// Returns the storages by name.
    pub(crate) fn storages(&self) -> Vec<(String, PathBuf)> {
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
}

fn storage(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), PathBuf::from(path))),
        _ => Err("a storage is NAME=DIR".to_owned()),
    }
}
