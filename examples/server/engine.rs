//! The engine as the settings want it.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use gitsync_core::engine::GitSyncBuilder;
use gitsync_core::{GitBackend, GitSync, SystemClock};
use gitsync_gix::{GixBackend, GixOptions};
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::NetTransport;

use crate::options::{Backend, Database, Options, Role};

/// Puts the engine together; makes the database, and the directories that it works in, if they are not there.
pub(crate) async fn open(options: &Options) -> Result<GitSync> {
    let policy = options.policy()?;
    let backend = backend(options);
    let transport = NetTransport::new(policy.clone(), options.net()?);
    let transport = transport.with_credentials(Arc::new(options.credentials()?));
    let builder = database(options)
        .await?
        .backend(backend)
        .transport(Arc::new(transport))
        .policy(policy)
        .options(options.engine());
    let builder = match options.credential_keys()? {
        Some(keys) => builder.credential_keys(Arc::new(keys)),
        None => builder,
    };
    options.storage.check()?;
    // Only who works on the storages needs the disks; the API goes by what workers report.
    let needs_disks = options.work.has(Role::Worker) || options.work.has(Role::Janitor);
    Ok(if needs_disks { options.storage.add_to(builder) } else { builder }.build()?)
}

fn backend(options: &Options) -> Arc<dyn GitBackend> {
    match options.storage.git_backend {
        Backend::Gix => {
            let mut settings = GixOptions::default();
            settings.max_listed_refs = options.max_listed_refs();
            Arc::new(GixBackend::new(settings))
        }
        #[cfg(feature = "git2")]
        Backend::Git2 => {
            let mut settings = gitsync_git2::Git2Options::default();
            settings.max_listed_refs = options.max_listed_refs();
            Arc::new(gitsync_git2::Git2Backend::new(settings))
        }
    }
}

/// Opens the database, which brings its schema up to date.
async fn database(options: &Options) -> Result<GitSyncBuilder> {
    let builder = GitSync::builder();
    match options.storage.database()? {
        Database::Sqlite(file) => {
            if let Some(directory) = file.parent() {
                fs::create_dir_all(directory)
                    .with_context(|| format!("cannot make the directory {}", directory.display()))?;
            }
            let store = SqliteStore::open(file, Arc::new(SystemClock), options.work.limits()).await?;
            Ok(builder.database(Arc::new(store)))
        }
        #[cfg(feature = "postgres")]
        Database::Postgres(address) => {
            let store = gitsync_store_postgres::PostgresStore::open(*address, options.work.limits()).await?;
            Ok(builder.database(Arc::new(store)))
        }
    }
}
