//! How a database keeps tables in order whose rows change all the time.

use super::{host, job, repository, task};
use crate::Dialect;

/// Sets what Postgres does about rows that were replaced or deleted: it leaves them where they are until they are cleared
/// away, and searches go past them. By its own measure that is due when a fifth of a table is dead, which in one of a
/// million rows is long after claims have become slow.
///
/// SQLite leaves nothing behind.
pub(crate) fn settings(dialect: Dialect) -> Vec<String> {
    match dialect {
        Dialect::Sqlite => Vec::new(),
        Dialect::Postgres => {
            // Room in each page, so that a row whose indexed columns stay as they are is replaced beside the old one, and
            // the indexes need not know. What claims change of a job is indexed, so that room would gain nothing there.
            let (every, at_least) = ("autovacuum_vacuum_scale_factor", "autovacuum_vacuum_threshold");
            let analyze = "autovacuum_analyze_scale_factor";
            // Few rows, written by every claim.
            let of_hosts = format!("fillfactor = 50, {every} = 0, {at_least} = 1000");
            // Those at the head of the queue, where every claim begins, are the first to be dead.
            let of_jobs =
                format!("{every} = 0.01, {at_least} = 1000, autovacuum_vacuum_cost_delay = 0, {analyze} = 0.02");
            let of_books = format!("fillfactor = 85, {every} = 0.02, {analyze} = 0.02");
            [(host::TABLE, &of_hosts), (job::TABLE, &of_jobs), (task::TABLE, &of_books), (repository::TABLE, &of_books)]
                .map(|(table, settings)| format!(r#"ALTER TABLE "{table}" SET ({settings})"#))
                .into()
        }
    }
}
