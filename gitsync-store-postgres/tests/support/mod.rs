//! What the tests of this crate share: a database for each, on a server that all of them share.
//!
//! The server is that of `GITSYNC_TEST_POSTGRES_URL`, whose user may create databases, or one of the installed programs,
//! started by the first test and ended when no test has used it for a while: see [`cluster`].

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod cluster;
mod programs;

use std::str::FromStr;
use std::sync::Arc;

use gitsync_core::model::{Layout, Slug, SourceType, TaskId};
use gitsync_core::queue::{Lane, NewJob, QueueLimits};
use gitsync_core::store::NewRepository;
use gitsync_core::testing::ManualClock;
use gitsync_core::{Store, SystemClock, Timestamp};
use gitsync_sql::{Dialect, migrations};
use gitsync_store_postgres::{PostgresOptions, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use cluster::Server;

/// A database that only one test uses. It is dropped with the value.
#[derive(Debug)]
pub(crate) struct Database {
    server: Server,
    name: String,
}

impl Database {
    /// Makes a database with the tables in it.
    pub(crate) async fn create() -> Self {
        let server = Server::get().await;
        let template = template(&server).await;
        Database::make(server, Some(&template)).await
    }

    /// Makes a database with nothing in it.
    pub(crate) async fn create_empty() -> Self {
        Database::make(Server::get().await, None).await
    }

    async fn make(server: Server, template: Option<&str>) -> Self {
        let name = format!("gitsync_test_{}", TaskId::generate().to_string().replace('-', ""));
        let template = template.unwrap_or("template1");
        run(&server.address, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Database { server, name }
    }

    pub(crate) fn address(&self) -> PgConnectOptions {
        self.server.address.clone().database(&self.name)
    }

    pub(crate) fn options(&self) -> PostgresOptions {
        // Few, because many tests run at once.
        PostgresOptions::new(self.address()).connections(8)
    }

    /// A connection past the store.
    pub(crate) async fn connect(&self) -> PgConnection {
        self.address().connect().await.expect("a connection")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (address, drop) = (self.server.address.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        // The runtime of the test cannot be waited for here.
        let dropping =
            std::thread::spawn(move || gitsync_core::testing::run(async move { run(&address, &drop).await }));
        // What could not be dropped goes with the server.
        let _ = dropping.join();
    }
}

pub(crate) async fn open(database: &Database, clock: &ManualClock, limits: QueueLimits) -> Arc<PostgresStore> {
    let store = PostgresStore::open(database.options(), Arc::new(clock.clone()), limits).await;
    Arc::new(store.expect("the database can be opened"))
}

/// Returns the name of a database with the tables of this version, which it makes if need be.
async fn template(server: &Server) -> String {
    let text: Vec<_> = migrations().iter().flat_map(|step| step.statements(Dialect::Postgres)).collect();
    let name = format!("gitsync_template_{:016x}", hash(&text.join(";")));
    let _lock = server.lock();
    let mut connection = server.address.connect().await.expect("the server answers");
    let made: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if !made {
        // One that was begun is not marked as a template.
        execute(&mut connection, &format!("DROP DATABASE IF EXISTS {name}")).await;
        execute(&mut connection, &format!("CREATE DATABASE {name}")).await;
        let options = PostgresOptions::new(server.address.clone().database(&name));
        let store = PostgresStore::open(options, Arc::new(SystemClock), QueueLimits::default()).await;
        store.expect("the tables can be made").close().await;
        execute(&mut connection, &format!("ALTER DATABASE {name} IS_TEMPLATE TRUE")).await;
    }
    connection.close().await.unwrap();
    name
}

/// A digest that is the same in every process of a build.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

async fn run(address: &PgConnectOptions, statement: &str) {
    let mut connection = address.connect().await.expect("the server answers");
    execute(&mut connection, statement).await;
    connection.close().await.unwrap();
}

pub(crate) async fn execute(connection: &mut PgConnection, statement: &str) {
    connection.execute(AssertSqlSafe(statement.to_owned())).await.expect("the statement is carried out");
}

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

/// A job that is due.
pub(crate) fn job(host: &str) -> NewJob {
    let lane = Lane { storage: "default".parse().expect("a name"), host: host.parse().expect("a host") };
    NewJob { id: TaskId::generate(), lane, priority: 0, run_at: Timestamp::from_secs(0), attempt: 0, epoch: 0 }
}

/// Describes a mirror in an organisation of its own.
pub(crate) async fn mirror(store: &PostgresStore) -> NewRepository {
    NewRepository {
        organisation: store.create_organisation(&slug("org"), "Org").await.expect("an organisation").id,
        name: "mirror".parse().expect("a name"),
        description: String::new(),
        owner: "somebody".into(),
        is_public: true,
        layout: Layout::Mirror,
        source: Some("https://host.example/mirror".parse().expect("a source")),
        source_type: SourceType::Custom,
        storage: "default".parse().expect("a name"),
        task: TaskId::generate(),
    }
}

/// Completes when somebody waits for a lock in the database that a connection is to.
pub(crate) async fn wait_for_a_lock(connection: &mut PgConnection) {
    const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(WAITS).fetch_one(&mut *connection).await.expect("the server answers") {
        tokio::task::yield_now().await;
    }
}

fn from_environment() -> Option<PgConnectOptions> {
    let address = std::env::var("GITSYNC_TEST_POSTGRES_URL").ok()?;
    Some(PgConnectOptions::from_str(&address).expect("GITSYNC_TEST_POSTGRES_URL is postgres://user:password@host"))
}
