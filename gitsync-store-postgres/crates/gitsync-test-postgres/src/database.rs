//! A database for one test.

use gitsync_core::model::TaskId;
use gitsync_core::queue::QueueLimits;
use gitsync_sql::{Dialect, migrations};
use gitsync_store_postgres::{PostgresOptions, PostgresStore};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use crate::shared::Shared;

/// A database that only one test uses. It is dropped with the value.
#[derive(Debug)]
pub struct Database {
    server: Shared,
    name: String,
}

impl Database {
    /// Makes a database with the tables in it.
    ///
    /// # Panics
    /// If there is no server and none can be started; so do all functions here when the server refuses.
    pub async fn create() -> Self {
        let server = Shared::get();
        let template = template(&server).await;
        Database::make(server, &template).await
    }

    /// Makes a database with nothing in it.
    pub async fn create_empty() -> Self {
        Database::make(Shared::get(), "template1").await
    }

    async fn make(server: Shared, template: &str) -> Self {
        let name = format!("gitsync_test_{}", TaskId::generate().to_string().replace('-', ""));
        run(&server.address, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Database { server, name }
    }

    /// Returns its address for this process.
    pub fn address(&self) -> PgConnectOptions {
        self.server.address.clone().database(&self.name)
    }

    /// Returns its address for other processes.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Returns how a store may use it: with few connections, because many tests run at once.
    pub fn options(&self) -> PostgresOptions {
        PostgresOptions::new(self.address()).connections(8)
    }

    /// Opens a connection past the store.
    pub async fn connect(&self) -> PgConnection {
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

/// Returns the name of a database with the tables of this version, which it makes if need be.
async fn template(server: &Shared) -> String {
    let text: Vec<_> = migrations().iter().flat_map(|step| step.statements(Dialect::Postgres)).collect();
    let name = format!("gitsync_template_{:016x}", hash(&text.join(";")));
    let _lock = server.lock();
    let mut connection = server.address.connect().await.expect("the server answers");
    let made: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .expect("the server answers");
    if !made {
        // One that was begun is not marked as a template.
        execute(&mut connection, &format!("DROP DATABASE IF EXISTS {name}")).await;
        execute(&mut connection, &format!("CREATE DATABASE {name}")).await;
        let options = PostgresOptions::new(server.address.clone().database(&name));
        let store = PostgresStore::open(options, QueueLimits::default()).await;
        store.expect("the tables can be made").close().await;
        execute(&mut connection, &format!("ALTER DATABASE {name} IS_TEMPLATE TRUE")).await;
    }
    close(connection).await;
    name
}

/// A digest that is the same in every process of a build.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

async fn run(address: &PgConnectOptions, statement: &str) {
    let mut connection = address.connect().await.expect("the server answers");
    execute(&mut connection, statement).await;
    close(connection).await;
}

async fn close(connection: PgConnection) {
    connection.close().await.expect("a connection can be closed");
}

/// Carries out a statement past the store.
///
/// # Panics
/// If the server refuses it.
pub async fn execute(connection: &mut PgConnection, statement: &str) {
    connection.execute(AssertSqlSafe(statement.to_owned())).await.expect("the statement is carried out");
}

/// Completes when somebody waits for a lock in the database that a connection is to.
///
/// # Panics
/// If the server does not answer.
pub async fn wait_for_a_lock(connection: &mut PgConnection) {
    const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(WAITS).fetch_one(&mut *connection).await.expect("the server answers") {
        tokio::task::yield_now().await;
    }
}
