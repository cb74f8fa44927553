//! The engine as the settings want it.

use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use gitsync_core::{GitBackend, GitSync, SystemClock};
use gitsync_gix::GixBackend;
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};

use crate::options::{Backend, Options};

/// Puts the engine together; makes the directories and the database if they are not there.
pub(crate) async fn open(options: &Options) -> Result<GitSync> {
    let file = options.sqlite_file()?;
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    let database = SqliteStore::open(file, Arc::new(SystemClock), options.limits()).await?;
    let policy = options.policy()?;
    let backend: Arc<dyn GitBackend> = match options.git_backend {
        Backend::Gix => Arc::new(GixBackend::default()),
    };
    let mut builder = GitSync::builder()
        .database(Arc::new(database))
        .backend(backend)
        .transport(Arc::new(NetTransport::new(policy.clone(), NetOptions::default())))
        .policy(policy)
        .options(options.engine());
    for (name, directory) in options.storages() {
        builder = builder.storage(&name, directory);
    }
    Ok(builder.build()?)
}
