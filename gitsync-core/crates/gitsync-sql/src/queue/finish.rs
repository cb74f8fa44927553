//! The end of work on jobs.

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{JobOutcome, Lease};

use super::hosts::Hosts;
use super::{check_batch, fetch_jobs};
use crate::Connection;
use crate::statements::jobs;

/// See [`JobQueue::finish`](gitsync_core::JobQueue::finish).
pub async fn finish(connection: &mut dyn Connection, outcomes: &[(Lease, JobOutcome)]) -> Result<Vec<bool>> {
    check_batch(outcomes.len())?;
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let ids: Vec<TaskId> = outcomes.iter().map(|(lease, _)| lease.id).collect();
    let mut held = fetch_jobs(connection, jobs::lock(dialect, &ids)?).await?;

    let mut hosts = Hosts::default();
    let (mut answers, mut done, mut given_back) = (Vec::with_capacity(outcomes.len()), Vec::new(), Vec::new());
    for (lease, outcome) in outcomes {
        let is_held = held.get(&lease.id).is_some_and(|job| job.is_held_by(*lease, now));
        answers.push(is_held);
        if !is_held {
            continue;
        }
        // Taken out of the map: a lease ends once.
        let Some(job) = held.remove(&lease.id) else { continue };
        hosts.ended(&job.host);
        match outcome {
            JobOutcome::Done => done.push(job.id),
            JobOutcome::Released => given_back.push(jobs::give_back(dialect, job.id, job.attempt_given_back(), None)?),
            JobOutcome::Retry { at, spent, block_host_until } => {
                let attempt = if *spent { job.attempt } else { job.attempt_given_back() };
                given_back.push(jobs::give_back(dialect, job.id, attempt, Some(*at))?);
                if let Some(until) = block_host_until {
                    hosts.blocked(&job.host, *until);
                }
            }
        }
    }
    if !done.is_empty() {
        connection.execute(jobs::delete(dialect, &done)?).await?;
    }
    for statement in given_back {
        connection.execute(statement).await?;
    }
    hosts.write(connection).await?;
    Ok(answers)
}
