//! Source hosts: how many of their jobs run, and until when they are left alone.

use sea_query::TableCreateStatement;

use super::{int, opt_int, text};

super::names!("source_host" { NAME = "name", RUNNING = "running", BLOCKED_UNTIL = "blocked_until" });

/// The count is exact: it changes in the transaction that claims or ends a job. Work that needs no upstream is not counted.
/// A row that counts nothing and blocks nothing says what no row says, and may go at any time.
pub(crate) fn table() -> TableCreateStatement {
    super::table(TABLE).col(text(NAME).primary_key()).col(int(RUNNING)).col(opt_int(BLOCKED_UNTIL)).to_owned()
}
