//! Source hosts: how many of their jobs run, until when they are left alone, and what attempts have taught about them.

use sea_query::{Expr, ExprTrait, TableCreateStatement};

use super::{int, opt_int, text};
use crate::{Dialect, Value};

super::names!("source_host" {
    NAME = "name",
    RUNNING = "running",
    BLOCKED_UNTIL = "blocked_until",
    JOB_LIMIT = "job_limit",
    LEARNED_LIMIT = "learned_limit",
    SUCCESSES = "successes",
    REFUSALS = "refusals",
    FAILURES = "failures",
});

/// The count is exact: it changes in the transaction that claims or ends a job. Work that needs no upstream is not counted.
/// A row that counts nothing, blocks nothing and knows nothing says what no row says, and may go at any time.
pub(crate) fn table() -> TableCreateStatement {
    super::table(TABLE).col(text(NAME).primary_key()).col(int(RUNNING)).col(opt_int(BLOCKED_UNTIL)).to_owned()
}

/// Adds what is learned of hosts. What claims go by is a column of its own, so that the rule is in one place, which is not here:
/// it is missing where as many jobs run as are configured.
pub(crate) fn learn(dialect: Dialect) -> Vec<String> {
    let number = match dialect {
        Dialect::Sqlite => "integer",
        Dialect::Postgres => "bigint",
    };
    let add = |column, more| format!(r#"ALTER TABLE "{TABLE}" ADD COLUMN "{column}" {number}{more}"#);
    let count = " NOT NULL DEFAULT 0";
    vec![add(JOB_LIMIT, ""), add(LEARNED_LIMIT, ""), add(SUCCESSES, count), add(REFUSALS, count), add(FAILURES, count)]
}

/// Holds for a host of which nothing is known; see [`HostState::is_plain`](gitsync_core::rules::HostState::is_plain).
pub(crate) fn is_plain() -> Expr {
    let none = |column| Expr::col(column).eq(Value::from(0_i64));
    Expr::col(LEARNED_LIMIT).is_null().and(none(REFUSALS)).and(none(FAILURES))
}
