//! Rows of source hosts: what is known of them. How many of their jobs run is only ever added to.

use gitsync_core::Result;
use gitsync_core::rules::HostState;
use gitsync_core::source::HostKey;

use crate::Row;
use crate::schema::host::{BLOCKED_UNTIL, FAILURES, JOB_LIMIT, LEARNED_LIMIT, NAME, REFUSALS, SUCCESSES};
use crate::statement::Record;

/// Returns what is known, with what claims go by.
pub(crate) fn record(state: &HostState) -> Record {
    vec![
        (JOB_LIMIT, state.most().map(i64::from).into()),
        (LEARNED_LIMIT, state.limit.map(i64::from).into()),
        (SUCCESSES, state.successes.into()),
        (REFUSALS, state.refusals.into()),
        (FAILURES, state.failures.into()),
        (BLOCKED_UNTIL, state.blocked_until.into()),
    ]
}

pub(crate) fn read(row: &mut Row) -> Result<(HostKey, HostState)> {
    let state = HostState {
        limit: row.opt_number(LEARNED_LIMIT)?,
        successes: row.number(SUCCESSES)?,
        refusals: row.number(REFUSALS)?,
        failures: row.number(FAILURES)?,
        blocked_until: row.opt_timestamp(BLOCKED_UNTIL)?,
    };
    Ok((row.parsed(NAME, str::parse)?, state))
}
