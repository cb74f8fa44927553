//! Requests for tasks, by people and by the schedule, their cancellation, and the way of their jobs into the queue.

use std::collections::HashMap;

use gitsync_core::Result;
use gitsync_core::model::{Repository, RepositoryId, SyncTask, TaskId};
use gitsync_core::queue::NewJob;
use gitsync_core::rules::{self, Disposition, Due, DueScan, Request, Requested};
use gitsync_core::store::MAX_STORE_BATCH;

use super::load::{UnfinishedTasks, find_task, lock_existing, no_task, save_repository, save_task, unfinished};
use super::push_targets::targets_for;
use super::repositories::insert_task;
use super::{check_batch, execute_all, read_all};
use crate::statements::{chunks, repositories, tasks};
use crate::{Connection, rows};

/// See [`Store::request_task`](gitsync_core::Store::request_task).
pub async fn request_task(connection: &mut dyn Connection, id: RepositoryId, request: &Request) -> Result<Requested> {
    let now = connection.now().await?;
    let repository = lock_existing(connection, id).await?;
    let unfinished = unfinished(connection, id).await?;
    let targets = targets_for(connection, &repository, request).await?;
    let answer = rules::request(&repository, unfinished.as_ref(), &targets, request, now)?;
    if answer.disposition == Disposition::Created {
        insert_task(connection, &answer.task).await?;
    }
    save_changes(connection, &repository, &unfinished, &answer).await?;
    Ok(answer)
}

/// Does several requests at once, as far as nothing is in the way: the answer to one is missing if its repository is not there or
/// somebody else has it locked, or if an earlier one is about the same repository. Those are to be done one by one.
///
/// # Errors
/// Those of the connection, and [`InvalidInput`](gitsync_core::ErrorKind::InvalidInput) for more than a call may be about.
pub async fn request_tasks(
    connection: &mut dyn Connection,
    requests: &[(RepositoryId, Request)],
) -> Result<Vec<Option<Result<Requested>>>> {
    check_batch(requests.len())?;
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let ids: Vec<_> = requests.iter().map(|(id, _)| *id).collect();
    let free = read_all(connection.fetch(repositories::lock_free(dialect, &ids)?).await?, rows::repository::read)?;
    let mut unfinished = unfinished_of_all(connection, &free).await?;
    let mut free: HashMap<_, _> = free.into_iter().map(|repository| (repository.id, repository)).collect();

    let (mut created, mut answers) = (Vec::new(), Vec::with_capacity(requests.len()));
    for (id, request) in requests {
        // Taken out: a second one has to see what the first one changed.
        let Some(repository) = free.remove(id) else {
            answers.push(None);
            continue;
        };
        let unfinished = unfinished.remove(id).unwrap_or_default();
        let targets = targets_for(connection, &repository, request).await?;
        let answer = rules::request(&repository, unfinished.as_ref(), &targets, request, now);
        if let Ok(answer) = &answer {
            if answer.disposition == Disposition::Created {
                created.push(answer.task.clone());
            }
            save_changes(connection, &repository, &unfinished, answer).await?;
        }
        answers.push(Some(answer));
    }
    execute_all(connection, tasks::insert_many(dialect, &created)?).await?;
    Ok(answers)
}

/// Writes what a request changes of what is there.
async fn save_changes(
    connection: &mut dyn Connection,
    repository: &Repository,
    unfinished: &UnfinishedTasks,
    answer: &Requested,
) -> Result<()> {
    if let Some(pending) = unfinished.pending.as_ref().filter(|task| task.id == answer.task.id) {
        save_task(connection, pending, &answer.task).await?;
    }
    if let (Some(running), Some(stopping)) = (&unfinished.running, &answer.stopping) {
        save_task(connection, running, stopping).await?;
    }
    save_repository(connection, repository, &answer.repository).await
}

/// See [`Store::request_due`](gitsync_core::Store::request_due).
pub async fn request_due(connection: &mut dyn Connection, limit: usize) -> Result<DueScan> {
    let dialect = connection.dialect();
    let now = connection.now().await?;
    let due = repositories::due(dialect, now, limit.min(MAX_STORE_BATCH))?;
    let due = read_all(connection.fetch(due).await?, rows::repository::read)?;
    let mut unfinished = unfinished_of_all(connection, &due).await?;

    let mut found = DueScan { looked_at: due.len(), ..DueScan::default() };
    for repository in due {
        let unfinished = unfinished.remove(&repository.id).unwrap_or_default();
        let Due { repository, task, paused } = rules::due(&repository, unfinished.as_ref(), TaskId::generate(), now);
        let postpone = repositories::set_due(dialect, &repository)?;
        connection.execute(postpone).await?;
        found.paused.extend(paused);
        found.tasks.extend(task);
    }
    execute_all(connection, tasks::insert_many(dialect, &found.tasks)?).await?;
    Ok(found)
}

async fn unfinished_of_all(
    connection: &mut dyn Connection,
    repositories: &[Repository],
) -> Result<HashMap<RepositoryId, UnfinishedTasks>> {
    let ids: Vec<_> = repositories.iter().map(|repository| repository.id).collect();
    let mut found: HashMap<_, UnfinishedTasks> = HashMap::new();
    for ids in chunks(connection.dialect(), &ids) {
        let statement = tasks::unfinished(connection.dialect(), ids)?;
        for task in read_all(connection.fetch(statement).await?, rows::task::read)? {
            found.entry(task.repository).or_default().add(task);
        }
    }
    Ok(found)
}

/// See [`Store::cancel_task`](gitsync_core::Store::cancel_task).
pub async fn cancel_task(connection: &mut dyn Connection, id: TaskId) -> Result<SyncTask> {
    let now = connection.now().await?;
    let Some(seen) = find_task(connection, id).await? else { return Err(no_task(id)) };
    if seen.status.is_terminal() {
        // It will never change again, and its repository may be gone.
        return Ok(seen);
    }
    let repository = lock_existing(connection, seen.repository).await?;
    // It may have changed before the lock was taken.
    let Some(task) = find_task(connection, id).await? else { return Err(no_task(id)) };
    let (restored, cancelled) = rules::cancel(&repository, &task, now)?;
    save_task(connection, &task, &cancelled).await?;
    save_repository(connection, &repository, &restored).await?;
    Ok(cancelled)
}

/// See [`Store::outbox`](gitsync_core::Store::outbox).
pub async fn outbox(connection: &mut dyn Connection, limit: usize) -> Result<Vec<NewJob>> {
    let statement = tasks::outbox(connection.dialect(), limit.min(MAX_STORE_BATCH))?;
    let waiting = read_all(connection.fetch(statement).await?, rows::task::read)?;
    let repositories = repositories_of(connection, &waiting).await?;
    let job = |task: &SyncTask| Some(rules::job(repositories.get(&task.repository)?, task));
    Ok(waiting.iter().filter_map(job).collect())
}

/// See [`Store::mark_enqueued`](gitsync_core::Store::mark_enqueued).
pub async fn mark_enqueued(connection: &mut dyn Connection, jobs: &[NewJob]) -> Result<()> {
    check_batch(jobs.len())?;
    let dialect = connection.dialect();
    let now = connection.now().await?;
    // Few at a time, because each is looked for among them.
    for jobs in jobs.chunks(500) {
        let ids: Vec<TaskId> = jobs.iter().map(|job| job.id).collect();
        let statement = tasks::by_ids(dialect, &ids)?;
        let found = read_all(connection.fetch(statement).await?, rows::task::read)?;
        let repositories = repositories_of(connection, &found).await?;
        let current = found.iter().filter_map(|task| {
            let job = rules::job(repositories.get(&task.repository)?, task);
            jobs.contains(&job).then_some(task.id)
        });
        let current: Vec<_> = current.collect();
        if !current.is_empty() {
            connection.execute(tasks::set_enqueued(dialect, &current, now)?).await?;
        }
    }
    Ok(())
}

async fn repositories_of(
    connection: &mut dyn Connection,
    tasks: &[SyncTask],
) -> Result<HashMap<RepositoryId, Repository>> {
    let mut ids: Vec<_> = tasks.iter().map(|task| task.repository).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut found = HashMap::with_capacity(ids.len());
    for ids in chunks(connection.dialect(), &ids) {
        let statement = repositories::by_ids(connection.dialect(), ids)?;
        for repository in read_all(connection.fetch(statement).await?, rows::repository::read)? {
            found.insert(repository.id, repository);
        }
    }
    Ok(found)
}
