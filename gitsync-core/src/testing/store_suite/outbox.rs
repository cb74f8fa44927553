//! What has to get into the queue, and how the store learns that it did.

use super::harness::{SECOND, StoreHarness, completion, error};
use crate::error::ErrorKind;
use crate::model::{TaskId, TaskKind, TaskParameters};
use crate::queue::NewJob;
use crate::rules::{self, Outcome};

/// Waiting tasks are there as the jobs that the rules make of them, by id, and no more than asked for.
pub async fn waiting_tasks_are_in_the_outbox(h: StoreHarness) {
    assert_eq!(h.outbox().await, []);
    let mut jobs = Vec::new();
    for name in ["a", "b"] {
        let (repository, task) = h.create(name).await;
        jobs.push(rules::job(&repository, &task));
    }
    let (repository, task) = h.create_empty("c").await;
    jobs.push(rules::job(&repository, &task));
    assert_eq!(h.outbox().await, jobs);
    assert_eq!(h.store.outbox(2).await.expect("the outbox can be read"), jobs[..2]);
    assert_eq!(h.store.outbox(0).await.expect("the outbox can be read"), []);
}

/// What is in the queue is in the outbox no more. Telling it twice is telling it once.
pub async fn what_was_enqueued_is_left_out(h: StoreHarness) {
    let (_, first) = h.create("a").await;
    let (_, second) = h.create("b").await;
    let jobs = h.outbox().await;
    mark(&h, &jobs[..1]).await;
    assert_eq!(h.outbox().await, jobs[1..]);
    let marked = h.task(first.id).await;
    h.assert_now(marked.enqueued_at);
    assert_eq!(h.task(second.id).await, second);

    h.clock.advance(10 * SECOND);
    mark(&h, &jobs[..1]).await;
    assert_eq!(h.task(first.id).await, marked);
    mark(&h, &[]).await;
    mark(&h, &jobs).await;
    assert_eq!(h.outbox().await, []);
}

/// A job of a task that nobody knows is passed over, and so does not stop the others.
pub async fn a_job_whose_task_is_gone_is_passed_over(h: StoreHarness) {
    h.create("a").await;
    let known = h.outbox().await;
    let unknown = NewJob { id: TaskId::generate(), ..known[0].clone() };
    mark(&h, &[unknown, known[0].clone()]).await;
    assert_eq!(h.outbox().await, []);
}

/// A request that changed a task on its job's way into the queue is not lost: the new job still has to get there.
pub async fn a_task_that_was_changed_meanwhile_stays(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let sync = h.request(repository.id, TaskKind::Sync).await.task;
    let old = h.outbox().await;
    assert_eq!(old, [rules::job(&repository, &sync)]);
    let force = TaskParameters { force: true, ..TaskParameters::default() };
    let migrate = h.try_request(repository.id, TaskKind::Migrate, force).await.expect("a forced migrate").task;

    mark(&h, &old).await;
    let new = h.outbox().await;
    assert_eq!(new, [rules::job(&repository, &migrate)]);
    assert_eq!((new[0].id, h.task(sync.id).await.enqueued_at), (old[0].id, None));
    mark(&h, &new).await;
    assert_eq!(h.outbox().await, []);
}

/// A follow-up gets into the queue when the task before it has ended, however it ended.
pub async fn a_held_task_waits_for_the_end_of_the_one_before(h: StoreHarness) {
    let outcomes = [
        Outcome::Completed(Some(Box::new(completion(1, 1)))),
        Outcome::Failed(error(ErrorKind::SourceNotFound)),
        Outcome::Cancelled,
    ];
    for (outcome, name) in outcomes.into_iter().zip(["a", "b", "c"]) {
        let repository = h.migrated(name).await;
        let work = h.running(repository.id, TaskKind::Sync).await;
        let follow_up = h.request(repository.id, TaskKind::Sync).await.task;
        assert!(follow_up.held);
        assert_eq!(h.outbox().await, []);
        h.finish(&work, outcome).await;
        let free = h.task(follow_up.id).await;
        assert_eq!((free.held, free.status), (false, follow_up.status));
        let jobs = h.outbox().await;
        assert_eq!(jobs, [rules::job(&h.repository(repository.id).await, &free)]);
        mark(&h, &jobs).await;
    }
}

/// A task that waits for another attempt has its job in the queue already, unless nobody has noted that.
pub async fn a_retry_is_the_queues_matter(h: StoreHarness) {
    let retry = |at| Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true };
    let repository = h.migrated("r").await;
    let task = h.request(repository.id, TaskKind::Sync).await.task;
    mark(&h, &h.outbox().await).await;
    let work = h.start(task.id).await;
    assert_eq!(h.outbox().await, [], "a running task has nothing to do in the queue");
    h.finish(&work, retry(h.in_seconds(60))).await;
    assert_eq!(h.outbox().await, []);

    let other = h.migrated("other").await;
    let work = h.running(other.id, TaskKind::Sync).await;
    let at = h.in_seconds(60);
    h.finish(&work, retry(at)).await;
    let jobs = h.outbox().await;
    assert_eq!(jobs.iter().map(|job| (job.id, job.run_at)).collect::<Vec<_>>(), [(work.task.id, at)]);
    assert_eq!((jobs[0].attempt, jobs[0].epoch), (1, 1), "the queue goes on counting from there");
}

/// Whoever asks by hand does not wait for a retry's pause: the job gets into the queue again, due now.
pub async fn asking_again_makes_a_retry_due_now(h: StoreHarness) {
    let repository = h.migrated("r").await;
    let task = h.request(repository.id, TaskKind::Sync).await.task;
    mark(&h, &h.outbox().await).await;
    let work = h.start(task.id).await;
    let at = h.in_seconds(240);
    h.finish(&work, Outcome::Retry { error: error(ErrorKind::Timeout), at, spent: true }).await;
    assert_eq!(h.outbox().await, []);

    h.clock.advance(10 * SECOND);
    let asked = h.request(repository.id, TaskKind::Sync).await.task;
    assert_eq!((asked.id, asked.attempt, asked.enqueued_at), (task.id, 1, None));
    h.assert_now(asked.next_attempt_at);
    assert_eq!(h.outbox().await, [rules::job(&repository, &asked)]);
}

/// What has ended has no job.
pub async fn ended_tasks_are_left_out(h: StoreHarness) {
    let (_, task) = h.create("a").await;
    h.store.cancel_task(task.id).await.expect("the task can be cancelled");
    h.migrated("b").await;
    assert_eq!(h.outbox().await, []);
}

async fn mark(h: &StoreHarness, jobs: &[NewJob]) {
    h.store.mark_enqueued(jobs).await.expect("the jobs can be marked");
}
