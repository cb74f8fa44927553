//! Several processes, what they share, and what a test sees of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::GitSync;
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::SourcePolicy;
use gitsync_gix::GixBackend;
use gitsync_grpc::proto::git_repository_service_client::GitRepositoryServiceClient;
use gitsync_grpc::proto::{CreateOrganisationRequest, CreateRepositoryRequest, SyncRepositoryRequest};
use gitsync_store_postgres::{PostgresOptions, PostgresStore};
use gitsync_test_postgres::Database;
use gitsync_transport::{NetOptions, NetTransport};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

use crate::process::Process;
use crate::{audit, until};

pub(crate) type Client = GitRepositoryServiceClient<Channel>;

/// Processes on one database and one disk.
pub(crate) struct Fleet {
    // Dropped first: they use the rest.
    pub(crate) processes: Vec<Process>,
    pub(crate) client: Client,
    pub(crate) pool: PgPool,
    pub(crate) api: String,
    organisation: i32,
    database: String,
    data: TempDir,
    _own: Option<Database>,
}

impl Fleet {
    /// Starts a fleet on a database of its own.
    pub(crate) async fn start(arguments: &[&str], others: &[(&str, &str)]) -> Self {
        let own = Database::create().await;
        let fleet = Fleet::start_on(&own.url(), arguments, others).await;
        Fleet { _own: Some(own), ..fleet }
    }

    /// Starts one process with the API, and others by name and roles, these with the arguments.
    pub(crate) async fn start_on(database: &str, arguments: &[&str], others: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut api = Process::start("api", database, data.path(), &["--roles", "api"]);
        let address = api.address();
        let pool = PgPoolOptions::new().max_connections(4).connect(database).await.unwrap();
        audit::install(&pool).await;
        let mut client = connect(&address).await;
        let request = CreateOrganisationRequest { slug: "acme".into(), name: "Acme".into() };
        let organisation = client.create_organisation(request).await.unwrap().into_inner().id;
        let mut fleet = Fleet {
            processes: vec![api],
            client,
            pool,
            api: address,
            organisation,
            database: database.to_owned(),
            data,
            _own: None,
        };
        for (name, roles) in others {
            fleet.add(name, roles, arguments);
        }
        // Without a worker there is no storage to put a repository on.
        until("a storage is served", async || fleet.count("SELECT count(*) FROM storage").await > 0).await;
        fleet
    }

    /// Starts one more process.
    pub(crate) fn add(&mut self, name: &str, roles: &str, arguments: &[&str]) {
        let arguments = [&["--roles", roles], arguments].concat();
        self.processes.push(Process::start(name, &self.database, self.data.path(), &arguments));
    }

    pub(crate) fn process(&self, name: &str) -> &Process {
        self.processes.iter().find(|process| process.name() == name).expect("there is a process of that name")
    }

    /// Kills a process.
    pub(crate) fn kill(&mut self, name: &str) {
        let at = self.processes.iter().position(|process| process.name() == name).expect("there is one of that name");
        self.processes.remove(at).kill();
    }

    /// Creates mirrors of these sources, named by their numbers, and returns their ids.
    pub(crate) async fn create(&self, sources: Vec<String>) -> Vec<i32> {
        let mut calls = JoinSet::new();
        for (number, source_url) in sources.into_iter().enumerate() {
            let (mut client, organisation_id) = (self.client.clone(), self.organisation);
            let name = format!("mirror-{number}");
            calls.spawn(async move {
                let request = CreateRepositoryRequest { name, source_url, organisation_id, ..Default::default() };
                (number, client.create_repository(request).await.unwrap().into_inner().repository.unwrap().id)
            });
        }
        let mut created = calls.join_all().await;
        created.sort_unstable();
        created.into_iter().map(|(_, id)| id).collect()
    }

    /// Asks for syncs of repositories, all at once, and returns the tasks that will do it.
    pub(crate) async fn sync(&self, repositories: &[i32]) -> Vec<Result<String, Status>> {
        let mut calls = JoinSet::new();
        for id in repositories {
            calls.spawn(sync(self.client.clone(), *id));
        }
        calls.join_all().await
    }

    /// Asks the database for a number.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until nothing is to be done any more.
    pub(crate) async fn wait_until_idle(&self) {
        const LEFT: &str = "SELECT (SELECT count(*) FROM job)
            + (SELECT count(*) FROM sync_task WHERE status IN ('pending', 'running'))";
        until("all work is done", async || self.count(LEFT).await == 0).await;
    }

    /// Returns the jobs that a process has leased, and their epochs.
    pub(crate) async fn held_by(&self, process: &str) -> Vec<(Vec<u8>, i64)> {
        const HELD: &str = "SELECT job.id, job.epoch FROM job, LATERAL (
                SELECT process FROM audit WHERE what = 'claimed' AND audit.job = job.id ORDER BY seq DESC LIMIT 1
            ) AS last
            WHERE job.leased_until IS NOT NULL AND last.process = $1";
        sqlx::query_as(HELD).bind(process).fetch_all(&self.pool).await.unwrap()
    }

    /// Tells whether none of these jobs is still as it was: each was claimed by somebody else, or is done.
    pub(crate) async fn are_taken_over(&self, jobs: &[(Vec<u8>, i64)]) -> bool {
        const LEFT: &str = "SELECT count(*) FROM job, unnest($1::bytea[], $2::bigint[]) AS was (id, epoch)
            WHERE job.id = was.id AND job.epoch <= was.epoch";
        let (ids, epochs): (Vec<_>, Vec<_>) = jobs.iter().cloned().unzip();
        sqlx::query_scalar::<_, i64>(LEFT).bind(ids).bind(epochs).fetch_one(&self.pool).await.unwrap() == 0
    }

    /// Returns when it will be some time later by the clock of the database, in microseconds.
    pub(crate) async fn after(&self, time: Duration) -> i64 {
        let now = self.count("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").await;
        now + i64::try_from(time.as_micros()).unwrap()
    }

    /// Returns a directory of the storage, such as `acme/mirror-1`.
    pub(crate) fn storage(&self, path: &str) -> PathBuf {
        self.data.path().join("gitsync-data/repos").join(path)
    }

    /// Returns an engine to read what the fleet wrote, and to tidy up.
    pub(crate) async fn reader(&self) -> GitSync {
        let options: PostgresOptions = self.database.parse().unwrap();
        let store = PostgresStore::open(options.connections(4), QueueLimits::default()).await.unwrap();
        let transport = NetTransport::new(SourcePolicy::default(), NetOptions::default());
        let builder = GitSync::builder().database(Arc::new(store)).backend(Arc::new(GixBackend::default()));
        builder.transport(Arc::new(transport)).repos_dir(self.storage("")).build().unwrap()
    }
}

/// Opens a connection to a server.
pub(crate) async fn connect(address: &str) -> Client {
    GitRepositoryServiceClient::connect(address.to_owned()).await.unwrap()
}

/// Asks for a sync and returns the task that will do it.
pub(crate) async fn sync(mut client: Client, repository_id: i32) -> Result<String, Status> {
    let request = SyncRepositoryRequest { repository_id, accept_shrink: None };
    Ok(client.sync_repository(request).await?.into_inner().task_id)
}
