//! How many requests the service takes: SyncRepository for distinct repositories, durable before the answer, on SQLite and on Postgres.
//!
//! `cargo bench --bench service`
#![allow(clippy::print_stdout, reason = "it is a command line program")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use gitsync_core::engine::{CreateRepository, EngineOptions};
use gitsync_core::model::RepositoryId;
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::SourcePolicy;
use gitsync_core::{GitSync, JobQueue, Store, SystemClock};
use gitsync_gix::GixBackend;
use gitsync_grpc::Service;
use gitsync_grpc::access::OpenAccess;
use gitsync_grpc::proto::SyncRepositoryRequest;
use gitsync_grpc::proto::git_repository_service_client::GitRepositoryServiceClient;
use gitsync_grpc::server::{Server, ServerOptions};
use gitsync_store_postgres::{PostgresOptions, PostgresStore};
use gitsync_store_sqlite::SqliteStore;
use gitsync_test_postgres::OwnServer;
use gitsync_transport::{NetOptions, NetTransport};
use tokio::task::JoinSet;

/// How many repositories are asked about.
const REPOSITORIES: usize = 6_000;

/// How many clients there are.
const CONNECTIONS: usize = 16;

/// How many requests a client has under way at once, as a service that calls another one does.
const AT_ONCE: usize = 16;

#[tokio::main]
async fn main() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let sqlite =
        SqliteStore::open(dir.path().join("gitsync.db"), Arc::new(SystemClock), QueueLimits::default()).await?;
    let server = OwnServer::start_durable();
    let options: PostgresOptions = server.url().parse()?;
    let postgres = PostgresStore::open(options, QueueLimits::default()).await?;
    println!("SyncRepository for distinct repositories, {CONNECTIONS} connections with {AT_ONCE} calls each");
    println!("{:20} {:8.0} a second", "on SQLite", measure(sqlite).await?);
    println!("{:20} {:8.0} a second", "on Postgres", measure(postgres).await?);
    Ok(())
}

/// Serves from a database and tells how many calls are answered in a second.
async fn measure(database: impl Store + JobQueue + 'static) -> Result<f64> {
    let dir = tempfile::tempdir()?;
    let gitsync = GitSync::builder()
        .database(Arc::new(database))
        .backend(Arc::new(GixBackend::default()))
        .transport(Arc::new(NetTransport::new(SourcePolicy::default(), NetOptions::default())))
        .repos_dir(dir.path().join("repos"))
        .options(EngineOptions { concurrency: 16, ..EngineOptions::default() })
        .build()?;
    let repositories = Arc::new(create(&gitsync).await?);

    let service = Service::new(gitsync, Arc::new(OpenAccess));
    let server = Server::bind(service, ([127, 0, 0, 1], 0).into(), ServerOptions::default()).await?;
    let address = format!("http://{}", server.address());
    tokio::spawn(server.serve(std::future::pending()));

    let next = Arc::new(AtomicUsize::new(0));
    let mut calls = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(GitRepositoryServiceClient::connect(address.clone()).await?);
    }
    let begin = Instant::now();
    for client in clients {
        for _ in 0..AT_ONCE {
            let (mut client, next, repositories) = (client.clone(), Arc::clone(&next), Arc::clone(&repositories));
            calls.spawn(async move {
                while let Some(id) = repositories.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request = SyncRepositoryRequest { repository_id: id.0, ..SyncRepositoryRequest::default() };
                    client.sync_repository(request).await?;
                }
                anyhow::Ok(())
            });
        }
    }
    while let Some(call) = calls.join_next().await {
        call??;
    }
    Ok(repositories.len() as f64 / begin.elapsed().as_secs_f64())
}

/// Makes empty repositories, several at once, as they are when nothing waits for them.
async fn create(gitsync: &GitSync) -> Result<Vec<RepositoryId>> {
    let organisation = gitsync.create_organisation(&"bench".parse()?, "Bench").await?.id;
    let mut calls = JoinSet::new();
    for number in 0..REPOSITORIES {
        let gitsync = gitsync.clone();
        calls.spawn(async move {
            let wish = CreateRepository { name: format!("r{number}"), ..CreateRepository::default() };
            gitsync.create_repository(organisation, wish).await
        });
    }
    let mut ids = Vec::new();
    while let Some(call) = calls.join_next().await {
        ids.push(call??.0.id);
    }
    gitsync.worker().run_until_idle().await?;
    Ok(ids)
}
