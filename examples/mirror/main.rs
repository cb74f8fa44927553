//! Mirrors one repository: the embedded use of gitsync in one small program.
//!
//! `cargo run --release --example mirror -- https://github.com/sharkdp/bat`
#![allow(clippy::print_stdout, reason = "it is a command line program")]

mod options;
mod progress;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use gitsync_core::engine::{CreateRepository, EngineOptions};
use gitsync_core::model::{Organisation, Repository, SyncTask};
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{SourcePolicy, SourceUrl};
use gitsync_core::state::TaskStatus;
use gitsync_core::{Cancellation, ErrorKind, GitSync, SystemClock};
use gitsync_gix::GixBackend;
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};

use crate::options::Options;
use crate::progress::ProgressView;

/// How often the task is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    match run(&options).await {
        Ok(TaskStatus::Completed) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            report::error(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> Result<TaskStatus> {
    let source = options.source()?;
    let gitsync = open(options).await?;
    let (repository, task) = request(&gitsync, &source, &options.name(&source)?).await?;
    report::begin(&repository, &task);

    // The worker of this process does the task; Ctrl-C gives it back, to be gone on with at the next run.
    let shutdown = Cancellation::new();
    let worker = tokio::spawn({
        let (worker, shutdown) = (gitsync.worker(), shutdown.clone());
        async move { worker.run(shutdown).await }
    });
    gitsync.janitor().round().await;
    let ended = tokio::select! {
        ended = watch(&gitsync, task) => ended,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted; run the same command again to go on")),
    };
    shutdown.cancel();
    worker.await?;

    let task = ended?;
    report::end(&gitsync, repository.id, &task).await?;
    Ok(task.status)
}

/// Puts the engine together: SQLite, gitoxide and the guarded way out to upstreams.
async fn open(options: &Options) -> Result<GitSync> {
    std::fs::create_dir_all(&options.data_dir)
        .with_context(|| format!("cannot make the directory {}", options.data_dir.display()))?;
    let database = options.data_dir.join("gitsync.db");
    let limits = QueueLimits { lease: options.lease(), ..QueueLimits::default() };
    let database = SqliteStore::open(database, Arc::new(SystemClock), limits).await?;
    let policy = options.policy()?;
    Ok(GitSync::builder()
        .database(Arc::new(database))
        .backend(Arc::new(GixBackend::default()))
        .transport(Arc::new(NetTransport::new(transport_policy(&policy, options)?, NetOptions::default())))
        .policy(policy)
        .repos_dir(options.data_dir.join("repos"))
        .options(EngineOptions {
            lease: options.lease(),
            heartbeat_interval: options.lease() / 4,
            ..EngineOptions::default()
        })
        .build()?)
}

/// Nothing is fetched out of gitsync's own storage.
fn transport_policy(policy: &SourcePolicy, options: &Options) -> Result<SourcePolicy> {
    Ok(policy.clone().with_storage_roots([std::path::absolute(options.data_dir.join("repos"))?])?)
}

/// Asks for what is to be done: a first clone, or a sync of what is there.
async fn request(gitsync: &GitSync, source: &SourceUrl, name: &str) -> Result<(Repository, SyncTask)> {
    let organisation = organisation(gitsync).await?;
    match gitsync.repository_by_name(organisation.id, name).await {
        Ok(repository) if repository.source.as_ref() == Some(source) => {
            let task = gitsync.sync(repository.id).await?;
            Ok((repository, task))
        }
        Ok(repository) => {
            let other = repository.source.map(|source| source.to_string()).unwrap_or_default();
            anyhow::bail!("{name} mirrors {other} already; give this one another --name")
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let wish =
                CreateRepository { name: name.to_owned(), source: Some(source.clone()), ..CreateRepository::default() };
            Ok(gitsync.create_repository(organisation.id, wish).await?)
        }
        Err(error) => Err(error.into()),
    }
}

async fn organisation(gitsync: &GitSync) -> Result<Organisation> {
    let slug = "mirrors".parse()?;
    match gitsync.organisation_by_slug(&slug).await {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(gitsync.create_organisation(&slug, "Mirrors").await?),
        found => Ok(found?),
    }
}

/// Shows progress until the task has ended, or waits for another attempt, which this program does not wait for.
async fn watch(gitsync: &GitSync, mut task: SyncTask) -> Result<SyncTask> {
    let mut view = ProgressView::new();
    loop {
        view.show(&task);
        let waits_for_retry = task.status == TaskStatus::Pending && task.attempt > 0 && task.error.is_some();
        if task.status.is_terminal() || waits_for_retry {
            view.finish();
            return Ok(task);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        task = gitsync.task(task.superseded_by.unwrap_or(task.id)).await?;
    }
}
