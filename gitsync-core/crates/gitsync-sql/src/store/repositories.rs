//! What a user does to repositories.

use gitsync_core::Result;
use gitsync_core::model::{Repository, RepositoryId, SyncTask};
use gitsync_core::rules::{self, Archived};
use gitsync_core::store::{NewRepository, RepositoryPatch};

use super::load::{lock_existing, save_repository, save_task, unfinished};
use super::organisations::{answered, organisation};
use super::{fetch_optional, taken};
use crate::Connection;
use crate::schema::repository::ID;
use crate::statements::{repositories, tasks};

/// See [`Store::create_repository`](gitsync_core::Store::create_repository).
pub async fn create_repository(connection: &mut dyn Connection, new: &NewRepository) -> Result<(Repository, SyncTask)> {
    let dialect = connection.dialect();
    let now = connection.now().await?;
    organisation(connection, new.organisation).await?;

    // The database gives the id: until then it is nobody's.
    let (mut repository, mut task) = rules::create(new, RepositoryId(0), now)?;
    let insert = repositories::insert(dialect, &repository)?;
    let row = fetch_optional(connection, insert)
        .await
        .map_err(|error| taken(error, "the organisation has a repository of this name").with("name", &new.name))?;
    repository.id = RepositoryId(answered(row)?.number(ID)?);
    task.repository = repository.id;
    insert_task(connection, &task).await?;
    Ok((repository, task))
}

/// See [`Store::update_repository`](gitsync_core::Store::update_repository).
pub async fn update_repository(
    connection: &mut dyn Connection,
    id: RepositoryId,
    version: i64,
    patch: &RepositoryPatch,
) -> Result<Repository> {
    let now = connection.now().await?;
    let before = lock_existing(connection, id).await?;
    let after = rules::edit(&before, version, patch, now)?;
    save_repository(connection, &before, &after).await?;
    Ok(after)
}

/// See [`Store::archive_repository`](gitsync_core::Store::archive_repository).
pub async fn archive_repository(connection: &mut dyn Connection, id: RepositoryId) -> Result<Archived> {
    let now = connection.now().await?;
    let before = lock_existing(connection, id).await?;
    let tasks = unfinished(connection, id).await?;
    let archived = rules::archive(&before, tasks.as_ref(), now)?;
    if let (Some(pending), Some(cancelled)) = (&tasks.pending, &archived.cancelled) {
        save_task(connection, pending, cancelled).await?;
    }
    save_repository(connection, &before, &archived.repository).await?;
    Ok(archived)
}

/// See [`Store::unarchive_repository`](gitsync_core::Store::unarchive_repository).
pub async fn unarchive_repository(connection: &mut dyn Connection, id: RepositoryId) -> Result<Repository> {
    let now = connection.now().await?;
    let before = lock_existing(connection, id).await?;
    let after = rules::unarchive(&before, now)?;
    save_repository(connection, &before, &after).await?;
    Ok(after)
}

/// Inserts a task that is new.
pub(super) async fn insert_task(connection: &mut dyn Connection, task: &SyncTask) -> Result<()> {
    let insert = tasks::insert(connection.dialect(), task)?;
    let inserted = connection.execute(insert).await;
    inserted.map_err(|error| taken(error, "there is a task of this id").with("task", task.id))?;
    Ok(())
}
