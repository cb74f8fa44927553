//! The schema in versions, applied in order and recorded.

use gitsync_core::{Error, ErrorKind, Result};
use sea_query::{Order, Query};

use crate::schema::{self, migration};
use crate::{Connection, Dialect, Statement, statement};

/// One step of the schema.
#[derive(Debug)]
pub struct Migration {
    /// Its number, from 1 without gaps.
    pub version: i64,
    /// What it does.
    pub name: &'static str,
    build: fn(Dialect) -> Vec<String>,
}

impl Migration {
    /// Returns the statements of the step.
    pub fn statements(&self, dialect: Dialect) -> Vec<String> {
        (self.build)(dialect)
    }
}

/// Returns every step. One that is there never changes: whatever else is needed is a step of its own. A test compares the
/// text of each with what was published.
pub fn migrations() -> &'static [Migration] {
    &[
        Migration { version: 1, name: "create the tables", build: create_tables },
        Migration { version: 2, name: "keep busy tables in order", build: schema::upkeep::settings },
        Migration { version: 3, name: "narrow an index", build: schema::commit::narrow_index_by_fence },
        Migration { version: 4, name: "tell disks apart", build: schema::storage::tell_disks_apart },
        Migration { version: 5, name: "verify repositories", build: schema::task::verify },
        Migration { version: 6, name: "add push targets", build: schema::push_target::add_push_targets },
        Migration { version: 7, name: "order jobs by urgency", build: schema::job::order_by_urgency },
        Migration { version: 8, name: "note refused credentials", build: schema::repository::name_refused_credentials },
        Migration { version: 9, name: "store credentials", build: schema::credential::add_credentials },
        Migration { version: 10, name: "learn what hosts take", build: schema::host::learn },
    ]
}

fn create_tables(dialect: Dialect) -> Vec<String> {
    let tables = [
        (schema::organisation::table(), schema::organisation::indexes()),
        (schema::repository::table(), schema::repository::indexes()),
        (schema::task::table(), schema::task::indexes()),
        (schema::recorded_ref::table(), Vec::new()),
        (schema::commit::table(), schema::commit::indexes()),
        (schema::ref_update::table(), schema::ref_update::indexes()),
        (schema::job::table(), schema::job::indexes()),
        (schema::host::table(), Vec::new()),
        (schema::storage::table(), Vec::new()),
    ];
    let mut statements = Vec::new();
    for (table, indexes) in tables {
        statements.push(dialect.table(&table));
        statements.extend(indexes.iter().map(|index| dialect.index(index)));
    }
    statements
}

/// Applies the steps that are missing, and tells how many those were.
///
/// It must run in one transaction, and the owner of the connection keeps others from doing the same meanwhile.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the database was written by a newer gitsync.
pub async fn migrate(connection: &mut dyn Connection) -> Result<usize> {
    let dialect = connection.dialect();
    connection.execute(versions_table(dialect)).await?;
    let applied = match connection.fetch(last_version(dialect)?).await?.pop() {
        Some(mut row) => row.int(migration::VERSION)?,
        None => 0,
    };
    let newest = migrations().last().map_or(0, |migration| migration.version);
    if applied > newest {
        return Err(Error::new(ErrorKind::Unsupported, "the database was written by a newer version of gitsync")
            .with("schema", applied)
            .with("known", newest)
            .hint("run the newer version"));
    }
    let missing = migrations().iter().filter(|migration| migration.version > applied);
    let mut count = 0;
    for step in missing {
        for text in step.statements(dialect) {
            connection.execute(Statement::new(text, Vec::new())).await?;
        }
        let now = connection.now().await?;
        let record = vec![
            (migration::VERSION, step.version.into()),
            (migration::NAME, step.name.into()),
            (migration::APPLIED_AT, now.into()),
        ];
        connection.execute(statement::insert(dialect, migration::TABLE, record)?).await?;
        count += 1;
    }
    Ok(count)
}

fn versions_table(dialect: Dialect) -> Statement {
    Statement::new(dialect.table(&migration::table()), Vec::new())
}

fn last_version(dialect: Dialect) -> Result<Statement> {
    let mut select = Query::select();
    select.column(migration::VERSION).from(migration::TABLE).order_by(migration::VERSION, Order::Desc).limit(1);
    dialect.render(&select)
}
