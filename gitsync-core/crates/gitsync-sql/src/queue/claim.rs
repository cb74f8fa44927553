//! What a claim does before and after the search.

use std::collections::HashMap;

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimedJob, HostReport, QueueLimits};

use super::hosts::Hosts;
use crate::rows::job::read_claimed;
use crate::schema::job::HOST;
use crate::statements::jobs;
use crate::{Connection, Row};

/// Takes the expired leases away, so that their jobs can be claimed and their hosts have room again.
///
/// # Errors
/// Those of the connection.
pub async fn abandon_expired(connection: &mut dyn Connection) -> Result<()> {
    let now = connection.now().await?;
    let expired = jobs::abandon_expired(connection.dialect(), now)?;
    let mut hosts = Hosts::default();
    for mut row in connection.fetch(expired).await? {
        // A dead worker says nothing of a host.
        hosts.ended(&row.parsed(HOST, str::parse)?, HostReport::Nothing);
    }
    hosts.count(connection).await
}

/// Reads a job that was leased.
///
/// # Errors
/// [`ErrorKind::Corrupt`](gitsync_core::ErrorKind::Corrupt) if the row is not what the statement answers with.
pub fn claimed(row: &mut Row) -> Result<ClaimedJob> {
    read_claimed(row)
}

/// Leases the jobs that the search found, whose hosts have room for them, and returns them in the same order.
///
/// # Errors
/// Those of the connection.
pub async fn lease(connection: &mut dyn Connection, found: &[TaskId], limits: &QueueLimits) -> Result<Vec<ClaimedJob>> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let now = connection.now().await?;
    let lease = jobs::lease(connection.dialect(), found, limits, now)?;
    let mut hosts = Hosts::default();
    let mut claimed = HashMap::with_capacity(found.len());
    for mut row in connection.fetch(lease).await? {
        let job = read_claimed(&mut row)?;
        hosts.began(&job.lane.host);
        claimed.insert(job.lease.id, job);
    }
    hosts.count(connection).await?;
    Ok(found.iter().filter_map(|id| claimed.remove(id)).collect())
}
