//! Counts of jobs, and what time alone will change.

use gitsync_core::queue::{HostStats, MAX_BATCH, QueueLimits, QueueStats};
use gitsync_core::{Result, Timestamp};

use crate::Connection;
use crate::rows::host::read;
use crate::statements::hosts;
use crate::statements::jobs::{self, answer};

/// See [`JobQueue::stats`](gitsync_core::JobQueue::stats).
pub async fn stats(connection: &mut dyn Connection, limits: &QueueLimits) -> Result<QueueStats> {
    let now = connection.now().await?;
    let mut spared = Vec::new();
    for mut row in connection.fetch(hosts::spared(connection.dialect(), now, MAX_BATCH)?).await? {
        let (host, state) = read(&mut row)?;
        spared.extend(HostStats::of(&host, &state, limits.host_concurrency, now));
    }
    let statement = jobs::stats(connection.dialect(), now)?;
    let Some(mut row) = connection.fetch(statement).await?.pop() else { return Ok(QueueStats::default()) };
    Ok(QueueStats {
        ready: row.number(answer::READY)?,
        scheduled: row.number(answer::SCHEDULED)?,
        running: row.number(answer::RUNNING)?,
        oldest_ready: row.opt_timestamp(answer::OLDEST)?.map(|since| now.since(since)),
        hosts: spared,
    })
}

/// Returns the next moment at which a job may become claimable just because time passes, and the present one.
///
/// # Errors
/// Those of the connection.
pub async fn next_moment(connection: &mut dyn Connection) -> Result<(Timestamp, Option<Timestamp>)> {
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let mut rows = connection.fetch(jobs::next_moment(dialect, now)?).await?;
    rows.extend(connection.fetch(hosts::next_moment(dialect, now)?).await?);
    let mut moments = Vec::with_capacity(rows.len());
    for mut row in rows {
        moments.extend(row.opt_timestamp(answer::NEXT)?);
    }
    Ok((now, moments.into_iter().min()))
}
