//! What differs between databases in how statements are written.

use gitsync_core::Result;
use sea_query::{
    IndexCreateStatement, PostgresQueryBuilder, QueryStatementWriter, SchemaStatementBuilder, SqliteQueryBuilder,
    TableCreateStatement,
};

use crate::{Statement, Value};

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite. One writer at a time: there is nothing to lock, and `FOR UPDATE` is left out.
    Sqlite,
    /// Postgres. Rows that a decision depends on are locked.
    Postgres,
}

impl Dialect {
    /// Writes a statement.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](gitsync_core::ErrorKind::Internal) if it holds a value of a type that is not [`Value`]'s.
    pub(crate) fn render(self, statement: &impl QueryStatementWriter) -> Result<Statement> {
        let (sql, values) = match self {
            Dialect::Sqlite => statement.build(SqliteQueryBuilder),
            Dialect::Postgres => statement.build(PostgresQueryBuilder),
        };
        let values = values.into_iter().map(Value::try_from).collect::<Result<_>>()?;
        Ok(Statement::new(sql, values))
    }

    /// Writes the definition of a table.
    pub(crate) fn table(self, table: &TableCreateStatement) -> String {
        match self {
            Dialect::Sqlite => SchemaStatementBuilder::to_string(table, SqliteQueryBuilder),
            Dialect::Postgres => SchemaStatementBuilder::to_string(table, PostgresQueryBuilder),
        }
    }

    /// Writes the definition of an index.
    pub(crate) fn index(self, index: &IndexCreateStatement) -> String {
        match self {
            Dialect::Sqlite => SchemaStatementBuilder::to_string(index, SqliteQueryBuilder),
            Dialect::Postgres => SchemaStatementBuilder::to_string(index, PostgresQueryBuilder),
        }
    }
}
