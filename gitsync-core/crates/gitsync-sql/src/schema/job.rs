//! Jobs: what waits for a worker, or has one.

use sea_query::{Expr, IndexCreateStatement, TableCreateStatement};

use super::{boolean, bytes, int, opt_int, text};
use crate::Dialect;

super::names!("job" {
    ID = "id",
    STORAGE = "storage",
    HOST = "host",
    PRIORITY = "priority",
    RUN_AT = "run_at",
    ATTEMPT = "attempt",
    EPOCH = "epoch",
    LEASED_UNTIL = "leased_until",
    DEADLINE_AT = "deadline_at",
    COUNTED = "counted",
    ABANDONED_AT = "abandoned_at",
    CANCEL_REQUESTED = "cancel_requested",
});

pub(crate) fn table() -> TableCreateStatement {
    super::table(TABLE)
        .col(bytes(ID).primary_key())
        .col(text(STORAGE))
        .col(text(HOST))
        .col(int(PRIORITY))
        .col(int(RUN_AT))
        .col(int(ATTEMPT))
        .col(int(EPOCH))
        // Missing while nobody has the job.
        .col(opt_int(LEASED_UNTIL))
        .col(opt_int(DEADLINE_AT))
        // Whether the latest claim was counted as an attempt; one of an exhausted job is not.
        .col(boolean(COUNTED))
        // When the lease of its last holder expired: its task is still running in the books, and somebody has to end it.
        .col(opt_int(ABANDONED_AT))
        .col(boolean(CANCEL_REQUESTED))
        .to_owned()
}

pub(crate) fn indexes() -> Vec<IndexCreateStatement> {
    let partial = |name, columns: &[&'static str], condition| super::partial(TABLE, name, columns, condition);
    vec![
        // The claim goes from lane to lane, and in each to what is due first. The last column has no value here; with it
        // SQLite finds all that the claim asks for in the index and leaves the rows alone.
        partial("job_waiting", &[STORAGE, HOST, PRIORITY, RUN_AT, ID, LEASED_UNTIL], waiting()),
        partial("job_scheduled", &[RUN_AT], waiting()),
        partial("job_leased", &[LEASED_UNTIL], leased()),
    ]
}

/// Adds the order of urgency over all lanes.
///
/// If nothing waited when Postgres last looked at the table, it believes that all indexes of what waits are empty, and takes any
/// for the other. So each of them there says one thing more, which holds for all jobs: by that a query says which it means. A
/// comparison of several columns at once says nothing of the kind.
pub(crate) fn order_by_urgency(dialect: Dialect) -> Vec<String> {
    // For the last column of each see above.
    let urgent = [PRIORITY, RUN_AT, ID, LEASED_UNTIL];
    match dialect {
        Dialect::Sqlite => vec![dialect.index(&super::partial(TABLE, "job_urgent", &urgent, waiting()))],
        Dialect::Postgres => {
            let index = |name, columns: &[&'static str], meant: &str| {
                let condition = super::literal(format!("{LEASED_UNTIL} IS NULL AND {meant} IS NOT NULL"));
                dialect.index(&super::partial(TABLE, name, columns, condition))
            };
            let drop = |name| format!(r#"DROP INDEX "{name}""#);
            vec![
                drop("job_waiting"),
                drop("job_scheduled"),
                index("job_waiting", &[STORAGE, HOST, PRIORITY, RUN_AT, ID, LEASED_UNTIL], STORAGE),
                index("job_scheduled", &[RUN_AT], RUN_AT),
                index("job_urgent", &urgent, PRIORITY),
            ]
        }
    }
}

/// Holds for a job that nobody has.
pub(crate) fn waiting() -> Expr {
    super::literal(format!("{LEASED_UNTIL} IS NULL"))
}

/// Holds for a job that nobody has, among those that are found by their ids. It says what [`waiting`] says so that no partial
/// index seems to serve it: Postgres, while it knows little of the table, would rather read the whole of one than look the
/// ids up.
pub(crate) fn still_waiting() -> Expr {
    super::literal(format!("CASE WHEN {LEASED_UNTIL} IS NULL THEN TRUE ELSE FALSE END"))
}

/// Holds for a job that somebody has.
pub(crate) fn leased() -> Expr {
    super::literal(format!("{LEASED_UNTIL} IS NOT NULL"))
}
