//! Lists in pages.

use gitsync_core::model::{
    Branch, Commit, ObjectId, Page, PageRequest, RefName, RefUpdate, Repository, RepositoryId, SyncTask,
};
use gitsync_core::store::{CommitFilter, RepositoryFilter, TaskFilter};
use gitsync_core::{Error, ErrorKind, Result};

use super::load::repository;
use super::{fetch_optional, read_all};
use crate::statements::{commits, log, refs, repositories, tasks};
use crate::{Connection, cursor, rows};

/// See [`Store::list_repositories`](gitsync_core::Store::list_repositories).
pub async fn list_repositories(
    connection: &mut dyn Connection,
    filter: &RepositoryFilter,
    page: &PageRequest,
) -> Result<Page<Repository>> {
    filter.check()?;
    let statement = repositories::list(connection.dialect(), filter, cursor::after(page)?, cursor::rows(page))?;
    let items = read_all(connection.fetch(statement).await?, rows::repository::read)?;
    Ok(cursor::page(page, items, |last| i64::from(last.id.0)))
}

/// See [`Store::list_tasks`](gitsync_core::Store::list_tasks).
pub async fn list_tasks(
    connection: &mut dyn Connection,
    filter: &TaskFilter,
    page: &PageRequest,
) -> Result<Page<SyncTask>> {
    let statement = tasks::list(connection.dialect(), filter, cursor::after(page)?, cursor::rows(page))?;
    let items = read_all(connection.fetch(statement).await?, rows::task::read)?;
    Ok(cursor::page(page, items, |last| last.id))
}

/// See [`Store::list_branches`](gitsync_core::Store::list_branches).
pub async fn list_branches(
    connection: &mut dyn Connection,
    id: RepositoryId,
    page: &PageRequest,
) -> Result<Page<Branch>> {
    let default = repository(connection, id).await?.default_branch;
    let after = cursor::after(page)?;
    let statement = refs::branches(connection.dialect(), id, after.as_ref(), cursor::rows(page))?;
    let recorded = read_all(connection.fetch(statement).await?, rows::recorded_ref::read)?;
    let branches = recorded.into_iter().map(|recorded| {
        let is_default = default.as_ref() == Some(&recorded.name);
        Branch { commit: recorded.commit.unwrap_or(recorded.id), name: recorded.name, is_default }
    });
    Ok(cursor::page(page, branches.collect(), |last| last.name.clone()))
}

/// See [`Store::list_commits`](gitsync_core::Store::list_commits).
pub async fn list_commits(
    connection: &mut dyn Connection,
    id: RepositoryId,
    filter: &CommitFilter,
    page: &PageRequest,
) -> Result<Page<Commit>> {
    repository(connection, id).await?;
    let tip = match &filter.branch {
        Some(branch) => Some(branch_tip(connection, id, branch).await?),
        None => None,
    };
    let statement = commits::list(connection.dialect(), id, filter, tip, cursor::after(page)?, cursor::rows(page))?;
    let items = read_all(connection.fetch(statement).await?, rows::commit::read)?;
    Ok(cursor::page(page, items, |last| (last.committer.seconds, last.id)))
}

/// Returns the commit that a branch is at.
async fn branch_tip(connection: &mut dyn Connection, id: RepositoryId, branch: &RefName) -> Result<ObjectId> {
    let missing = || Error::new(ErrorKind::NotFound, "the branch does not exist").with("branch", branch);
    if !branch.is_branch() {
        return Err(missing());
    }
    let statement = refs::by_name(connection.dialect(), id, branch)?;
    let mut row = fetch_optional(connection, statement).await?.ok_or_else(missing)?;
    let recorded = rows::recorded_ref::read(&mut row)?;
    Ok(recorded.commit.unwrap_or(recorded.id))
}

/// See [`Store::list_ref_updates`](gitsync_core::Store::list_ref_updates).
pub async fn list_ref_updates(
    connection: &mut dyn Connection,
    id: RepositoryId,
    page: &PageRequest,
) -> Result<Page<RefUpdate>> {
    repository(connection, id).await?;
    let statement = log::list(connection.dialect(), id, cursor::after(page)?, cursor::rows(page))?;
    let items = read_all(connection.fetch(statement).await?, rows::ref_update::read)?;
    Ok(cursor::page(page, items, |last| last.id))
}
