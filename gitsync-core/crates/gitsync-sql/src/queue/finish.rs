//! The end of work on jobs.

use std::collections::{BTreeMap, HashSet};

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{JobOutcome, Lease};

use super::hosts::Hosts;
use super::{check_batch, fetch_jobs};
use crate::Connection;
use crate::schema::job::{HOST, ID};
use crate::statements::jobs;

/// See [`JobQueue::finish`](gitsync_core::JobQueue::finish).
pub async fn finish(connection: &mut dyn Connection, outcomes: &[(Lease, JobOutcome)]) -> Result<Vec<bool>> {
    check_batch(outcomes.len())?;
    let mut hosts = Hosts::default();
    let answers = if outcomes.iter().all(|(_, outcome)| matches!(outcome, JobOutcome::Done)) {
        delete_held(connection, outcomes, &mut hosts).await?
    } else {
        end_each(connection, outcomes, &mut hosts).await?
    };
    hosts.write(connection).await?;
    Ok(answers)
}

/// Ends leases whose jobs are all done, as most are: without a look at them first.
async fn delete_held(
    connection: &mut dyn Connection,
    outcomes: &[(Lease, JobOutcome)],
    hosts: &mut Hosts,
) -> Result<Vec<bool>> {
    let now = connection.now().await?;
    let mut by_epoch: BTreeMap<i64, Vec<TaskId>> = BTreeMap::new();
    for (lease, _) in outcomes {
        by_epoch.entry(lease.epoch).or_default().push(lease.id);
    }
    if by_epoch.len() > 1 {
        // In the order in which all lock them, which that of epochs is not.
        let ids: Vec<TaskId> = outcomes.iter().map(|(lease, _)| lease.id).collect();
        connection.fetch(jobs::lock(connection.dialect(), &ids)?).await?;
    }
    let mut ended = HashSet::with_capacity(outcomes.len());
    for (epoch, ids) in by_epoch {
        let delete = jobs::delete_held(connection.dialect(), &ids, epoch, now)?;
        for mut row in connection.fetch(delete).await? {
            hosts.ended(&row.parsed(HOST, str::parse)?);
            ended.insert((row.task_id(ID)?, epoch));
        }
    }
    // Taken out: a lease ends once.
    Ok(outcomes.iter().map(|(lease, _)| ended.remove(&(lease.id, lease.epoch))).collect())
}

async fn end_each(
    connection: &mut dyn Connection,
    outcomes: &[(Lease, JobOutcome)],
    hosts: &mut Hosts,
) -> Result<Vec<bool>> {
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let ids: Vec<TaskId> = outcomes.iter().map(|(lease, _)| lease.id).collect();
    let mut held = fetch_jobs(connection, jobs::lock(dialect, &ids)?).await?;

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
    Ok(answers)
}
