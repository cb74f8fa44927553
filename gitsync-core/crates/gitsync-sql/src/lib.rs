//! What every SQL store of gitsync shares: schema, migrations, statements, row mapping, and the operations made of them.
//!
//! The crate builds statements and does not run them. A store supplies a [`Connection`] inside a transaction of its
//! database; the functions in [`store`] and [`queue`] load rows through it, ask the
//! [rules](gitsync_core::rules), and write what they say. What differs between databases is behind [`Dialect`]: how a
//! statement is written, how rows are locked and where the time comes from.

mod connection;
mod cursor;
mod dialect;
mod migrations;
pub mod queue;
mod row;
mod rows;
mod schema;
mod statement;
pub mod statements;
pub mod store;
mod value;

pub use connection::Connection;
pub use dialect::Dialect;
pub use migrations::{Migration, migrate, migrations};
pub use row::{Columns, Row};
pub use statement::Statement;
pub use value::{Array, Value};
