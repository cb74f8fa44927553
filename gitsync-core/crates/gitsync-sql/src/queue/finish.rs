//! The end of work on jobs.

use std::collections::{BTreeMap, HashMap};

use gitsync_core::Result;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{JobEnd, JobOutcome, QueueLimits};
use gitsync_core::rules::HostLesson;

use super::hosts::Hosts;
use super::{check_batch, fetch_jobs};
use crate::Connection;
use crate::schema::job::{HOST, ID};
use crate::statements::jobs;

/// What [`finish`] did.
#[derive(Debug)]
pub struct Ended {
    /// For each end whether its lease was good.
    pub answers: Vec<bool>,
    /// What was learned of hosts, to be logged once it is committed.
    pub lessons: Vec<HostLesson>,
}

/// See [`JobQueue::finish`](gitsync_core::JobQueue::finish).
pub async fn finish(connection: &mut dyn Connection, ends: &[JobEnd], limits: &QueueLimits) -> Result<Ended> {
    check_batch(ends.len())?;
    let mut hosts = Hosts::default();
    let answers = if ends.iter().all(|end| end.outcome == JobOutcome::Done) {
        delete_held(connection, ends, &mut hosts).await?
    } else {
        end_each(connection, ends, &mut hosts).await?
    };
    Ok(Ended { answers, lessons: hosts.learn(connection, limits).await? })
}

/// Ends leases whose jobs are all done, as most are: without a look at them first.
async fn delete_held(connection: &mut dyn Connection, ends: &[JobEnd], hosts: &mut Hosts) -> Result<Vec<bool>> {
    let now = connection.now().await?;
    let mut by_epoch: BTreeMap<i64, Vec<TaskId>> = BTreeMap::new();
    for JobEnd { lease, .. } in ends {
        by_epoch.entry(lease.epoch).or_default().push(lease.id);
    }
    if by_epoch.len() > 1 {
        // In the order in which all lock them, which that of epochs is not.
        let ids: Vec<TaskId> = ends.iter().map(|end| end.lease.id).collect();
        connection.fetch(jobs::lock(connection.dialect(), &ids)?).await?;
    }
    let mut ended = HashMap::with_capacity(ends.len());
    for (epoch, ids) in by_epoch {
        let delete = jobs::delete_held(connection.dialect(), &ids, epoch, now)?;
        for mut row in connection.fetch(delete).await? {
            ended.insert((row.task_id(ID)?, epoch), row.parsed(HOST, str::parse)?);
        }
    }
    let mut answers = Vec::with_capacity(ends.len());
    for JobEnd { lease, host: report, .. } in ends {
        // Taken out: a lease ends once.
        let host = ended.remove(&(lease.id, lease.epoch));
        answers.push(host.is_some());
        if let Some(host) = host {
            hosts.ended(&host, *report);
        }
    }
    Ok(answers)
}

async fn end_each(connection: &mut dyn Connection, ends: &[JobEnd], hosts: &mut Hosts) -> Result<Vec<bool>> {
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let ids: Vec<TaskId> = ends.iter().map(|end| end.lease.id).collect();
    let mut held = fetch_jobs(connection, jobs::lock(dialect, &ids)?).await?;

    let (mut answers, mut done, mut given_back) = (Vec::with_capacity(ends.len()), Vec::new(), Vec::new());
    for JobEnd { lease, outcome, host: report } in ends {
        let is_held = held.get(&lease.id).is_some_and(|job| job.is_held_by(*lease, now));
        answers.push(is_held);
        if !is_held {
            continue;
        }
        // Taken out of the map: a lease ends once.
        let Some(job) = held.remove(&lease.id) else { continue };
        hosts.ended(&job.host, *report);
        match outcome {
            JobOutcome::Done => done.push(job.id),
            JobOutcome::Released => given_back.push(jobs::give_back(dialect, job.id, job.attempt_given_back(), None)?),
            JobOutcome::Retry { at, spent } => {
                let attempt = if *spent { job.attempt } else { job.attempt_given_back() };
                given_back.push(jobs::give_back(dialect, job.id, attempt, Some(*at))?);
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
