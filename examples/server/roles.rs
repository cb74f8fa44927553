//! The roles of the process, from its start to its end.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use gitsync_core::{Cancellation, GitSync};
use gitsync_grpc::Service;
use gitsync_grpc::access::{Authorizer, OpenAccess, TokensFile};
use gitsync_grpc::server::{Server, ServerOptions, Tls};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Duration, timeout};

use crate::options::{Options, Role};
use crate::{engine, metrics};

/// How much longer than the drain the end may take: what does not stop is abandoned, and fenced.
const END_GRACE: Duration = Duration::from_secs(10);

/// Runs the roles until a signal comes.
pub(crate) async fn run(options: &Options) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    if let Some(address) = options.observation.metrics_addr {
        metrics::serve(address)?;
    }
    let gitsync = engine::open(options).await?;
    let shutdown = Cancellation::new();
    let mut roles = JoinSet::new();
    start(options, &gitsync, &shutdown, &mut roles).await?;

    let early = tokio::select! {
        _ = terminate.recv() => None,
        _ = tokio::signal::ctrl_c() => None,
        ended = roles.join_next() => ended,
    };
    if let Some(ended) = early {
        // No role ends by itself.
        ended.context("a role broke off")??;
        bail!("a role ended by itself");
    }
    tracing::info!("ending");
    shutdown.cancel();
    let all = async { while roles.join_next().await.is_some() {} };
    if timeout(options.work.drain() + END_GRACE, all).await.is_err() {
        tracing::warn!("some work did not end and is abandoned; it is taken over when its lease runs out");
    }
    Ok(())
}

async fn start(
    options: &Options,
    gitsync: &GitSync,
    shutdown: &Cancellation,
    roles: &mut JoinSet<Result<()>>,
) -> Result<()> {
    if options.work.has(Role::Api) {
        let server = bind(options, gitsync).await?;
        let scheme = if options.service.tls_cert.is_some() { "https" } else { "http" };
        println!("listening on {scheme}://{}", server.address());
        let shutdown = shutdown.clone();
        roles.spawn(async move { Ok(server.serve(async move { shutdown.cancelled().await }).await?) });
    }
    if options.work.has(Role::Worker) {
        let (worker, shutdown) = (gitsync.worker(), shutdown.clone());
        roles.spawn(async move {
            worker.run(shutdown).await;
            Ok(())
        });
    }
    if options.work.has(Role::Scheduler) {
        let (scheduler, shutdown) = (gitsync.scheduler(), shutdown.clone());
        roles.spawn(async move {
            scheduler.run(shutdown).await;
            Ok(())
        });
    }
    if options.work.has(Role::Janitor) {
        let (janitor, shutdown) = (gitsync.janitor(), shutdown.clone());
        roles.spawn(async move {
            janitor.run(shutdown).await;
            Ok(())
        });
    }
    if options.observation.metrics_addr.is_some() {
        let (gitsync, shutdown) = (gitsync.clone(), shutdown.clone());
        roles.spawn(async move {
            tokio::select! {
                () = metrics::sample(&gitsync) => {}
                () = shutdown.cancelled() => {}
            }
            Ok(())
        });
    }
    Ok(())
}

async fn bind(options: &Options, gitsync: &GitSync) -> Result<Server> {
    let authorizer: Arc<dyn Authorizer> = match &options.service.tokens_file {
        Some(file) => Arc::new(TokensFile::open(file)?.public_reads(options.service.public_reads)),
        None => Arc::new(OpenAccess),
    };
    let tls = match (&options.service.tls_cert, &options.service.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls { certificate: certificate.clone(), key: key.clone() }),
        _ => None,
    };
    let limits = ServerOptions {
        tls,
        allow_open: options.service.allow_open,
        drain: options.work.drain(),
        ..ServerOptions::default()
    };
    let service = Service::new(gitsync.clone(), authorizer);
    Ok(Server::bind(service, options.service.listen_addr, limits).await?)
}
