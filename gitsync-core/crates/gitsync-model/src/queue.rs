//! The calls of the queue.

use std::time::Duration;

use gitsync_core::Timestamp;
use gitsync_core::model::{StorageName, TaskId};
use gitsync_core::queue::{ClaimRequest, ClaimedJob, HostReport, JobEnd, JobOutcome, Lane, Lease, NewJob};

use crate::call::{Call, Job, Right, Which};
use crate::pair::{Both, Pair, split};
use crate::values::End;

/// The storages of jobs and repositories.
pub(crate) const STORAGES: [&str; 2] = ["one", "two"];

/// The hosts of jobs: those of repositories, and the one of work that needs no upstream.
const HOSTS: [&str; 3] = ["local", "h0.example", "h1.example"];

impl Pair {
    pub(crate) async fn call_queue(&mut self, call: Call) {
        let pair = self;
        let Both { reference: ours, subject: theirs } = pair.queues();
        match call {
            Call::Enqueue(jobs) => {
                let jobs: Vec<_> = jobs.iter().map(|job| pair.new_job(job)).collect();
                let answers = (ours.enqueue(&jobs).await, theirs.enqueue(&jobs).await);
                pair.expect_same("enqueue", &answers.0, &answers.1);
            }
            Call::Claim { limit, storages } => drop(pair.claim(limit, storages).await),
            Call::Heartbeat(held) => {
                let leases = split(&pair.leases(&held));
                let answers = (ours.heartbeat(&leases.reference).await, theirs.heartbeat(&leases.subject).await);
                pair.expect_same("heartbeat", &answers.0, &answers.1);
            }
            Call::AskForCancellations(held) => {
                let leases = split(&pair.leases(&held));
                let answers =
                    (ours.cancel_requested(&leases.reference).await, theirs.cancel_requested(&leases.subject).await);
                pair.expect_same("cancel_requested", &answers.0, &answers.1);
            }
            Call::FinishJobs(ends) => {
                let now = pair.now();
                let end = |(held, end, report)| Some((pair.lease(held)?, End::of_job(&end, now), report));
                let ends: Vec<_> = ends.into_iter().filter_map(end).collect();
                pair.finish_jobs(&ends).await;
            }
            Call::CancelJobs { jobs, tasks_of } => {
                let mut jobs: Vec<_> = jobs.into_iter().map(|number| Both::same(pair.job_id(number))).collect();
                if let Some(repository) = tasks_of {
                    jobs.push(pair.task(repository, Which::Waiting).await);
                }
                let jobs = split(&jobs);
                let answers = (ours.cancel(&jobs.reference).await, theirs.cancel(&jobs.subject).await);
                pair.expect_same("cancel", &answers.0, &answers.1);
            }
            Call::ForgetHosts { limit } => {
                // How many there are to forget is each queue's own.
                let forgotten = (ours.forget_hosts(limit).await, theirs.forget_hosts(limit).await);
                pair.expect_same("forget_hosts", &forgotten.0.map(drop), &forgotten.1.map(drop));
            }
            Call::Work { end, report } => pair.work(&end, report).await,
            other => unreachable!("{other:?} is no call of the queue"),
        }
    }

    fn queues(&self) -> Both<std::sync::Arc<dyn gitsync_core::JobQueue>> {
        Both { reference: self.reference.queue.clone(), subject: self.subject.queue.clone() }
    }

    fn job_id(&mut self, number: u8) -> TaskId {
        *self.jobs.entry(number).or_insert_with(TaskId::generate)
    }

    fn new_job(&mut self, job: &Job) -> NewJob {
        let lane = Lane { storage: storage(job.storage), host: HOSTS[usize::from(job.host)].parse().expect("a host") };
        let second = i64::try_from(Duration::from_secs(1).as_micros()).unwrap_or_default();
        let run_at = Timestamp::from_micros(self.now().as_micros() + job.due * second);
        let Job { priority, attempt, epoch, .. } = *job;
        NewJob { id: self.job_id(job.number), lane, priority, run_at, attempt, epoch }
    }

    /// Claims jobs; `storages` says in its bits of which storages.
    async fn claim(&mut self, limit: usize, storages: u8) -> Vec<Both<ClaimedJob>> {
        let storages = (0..2).filter(|number| storages & (1 << number) != 0).map(storage).collect();
        let request = ClaimRequest { limit, storages };
        let claimed = (self.reference.queue.claim(&request).await, self.subject.queue.claim(&request).await);
        self.expect_same("claim", &claimed.0, &claimed.1);
        let (Ok(reference), Ok(subject)) = claimed else { return Vec::new() };
        let claimed = reference.into_iter().zip(subject);
        let claimed: Vec<_> = claimed.map(|(reference, subject)| Both { reference, subject }).collect();
        let leases = claimed.iter().map(|job| Both { reference: job.reference.lease, subject: job.subject.lease });
        self.leases.extend(leases);
        claimed
    }

    async fn finish_jobs(&mut self, ends: &[(Both<Lease>, JobOutcome, HostReport)]) {
        let end =
            |lease, (_, outcome, host): &(_, JobOutcome, _)| JobEnd { lease, outcome: outcome.clone(), host: *host };
        let ours: Vec<_> = ends.iter().map(|all| end(all.0.reference, all)).collect();
        let theirs: Vec<_> = ends.iter().map(|all| end(all.0.subject, all)).collect();
        let answers = (self.reference.queue.finish(&ours).await, self.subject.queue.finish(&theirs).await);
        self.expect_same("finish", &answers.0, &answers.1);
    }

    /// Does as a worker does: claims a job, starts its task, and ends the one, then the other.
    async fn work(&mut self, end: &End, report: HostReport) {
        let Some(job) = self.claim(1, 3).await.pop() else { return };
        let ClaimedJob { lease, attempt, .. } = job.reference;
        let task = Both { reference: lease.id, subject: job.subject.lease.id };
        let repository = self.number_of(task.reference).await;
        if self.start(repository, task, lease.epoch, attempt).await {
            let outcome = end.of_task(self.now());
            self.finish(Right { repository, before: 0 }, &outcome, None, Some(60)).await;
        }
        let lease = Both { reference: lease, subject: job.subject.lease };
        let outcome = end.of_job(self.now());
        self.finish_jobs(&[(lease, outcome, report)]).await;
    }

    /// Returns the number in the name of the repository that a task is of; of none if that has gone.
    async fn number_of(&self, task: TaskId) -> u8 {
        let repository = self.reference.store.task(task).await.ok().map(|task| task.repository);
        let found = self.repositories.iter().find(|(_, both)| Some(both.reference) == repository);
        found.map_or(u8::MAX, |(number, _)| *number)
    }
}

fn storage(number: u8) -> StorageName {
    STORAGES[usize::from(number)].parse().expect("a storage name")
}
