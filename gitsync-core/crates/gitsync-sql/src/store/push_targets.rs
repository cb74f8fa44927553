//! Push targets, and what becomes of them.

use gitsync_core::Result;
use gitsync_core::model::{PushTarget, Repository, RepositoryId};
use gitsync_core::rules::{self, PushOutcome, Request};
use gitsync_core::source::SourceUrl;
use gitsync_core::store::Work;

use super::load::{lock_existing, repository, save_repository, unfinished};
use super::read_all;
use super::work::authorize;
use crate::statements::push_targets as statements;
use crate::{Connection, rows};

/// See [`Store::add_push_target`](gitsync_core::Store::add_push_target).
pub async fn add_push_target(connection: &mut dyn Connection, id: RepositoryId, url: &SourceUrl) -> Result<PushTarget> {
    let now = connection.now().await?;
    let before = lock_existing(connection, id).await?;
    let (targets, unfinished) = (load(connection, id).await?, unfinished(connection, id).await?);
    let (after, target) = rules::add_push_target(&before, unfinished.as_ref(), &targets, url, now)?;
    connection.execute(statements::insert(connection.dialect(), &target)?).await?;
    save_repository(connection, &before, &after).await?;
    Ok(target)
}

/// See [`Store::remove_push_target`](gitsync_core::Store::remove_push_target).
pub async fn remove_push_target(connection: &mut dyn Connection, id: RepositoryId, url: &SourceUrl) -> Result<()> {
    let before = lock_existing(connection, id).await?;
    let targets = load(connection, id).await?;
    let after = rules::remove_push_target(&before, &targets, url)?;
    connection.execute(statements::delete(connection.dialect(), id, url)?).await?;
    save_repository(connection, &before, &after).await
}

/// See [`Store::push_targets`](gitsync_core::Store::push_targets).
pub async fn push_targets(connection: &mut dyn Connection, id: RepositoryId) -> Result<Vec<PushTarget>> {
    repository(connection, id).await?;
    load(connection, id).await
}

/// See [`Store::record_push`](gitsync_core::Store::record_push).
pub async fn record_push(
    connection: &mut dyn Connection,
    work: Work,
    url: &SourceUrl,
    outcome: &PushOutcome,
) -> Result<()> {
    let now = connection.now().await?;
    authorize(connection, work).await?;
    let targets = load(connection, work.repository).await?;
    let Some(before) = targets.iter().find(|target| target.url == *url) else { return Ok(()) };
    let after = rules::record_push(before, outcome, now);
    if let Some(update) = statements::update(connection.dialect(), before, &after)? {
        connection.execute(update).await?;
    }
    Ok(())
}

/// Returns the push targets of a repository that a request has to be compared with, which few have to be.
pub(super) async fn targets_for(
    connection: &mut dyn Connection,
    repository: &Repository,
    request: &Request,
) -> Result<Vec<PushTarget>> {
    match repository.push_targets {
        0 => Ok(Vec::new()),
        _ if !request.names_source() => Ok(Vec::new()),
        _ => load(connection, repository.id).await,
    }
}

/// Reads the few there are. Sorted here, because each database has its own idea of the order of texts.
async fn load(connection: &mut dyn Connection, id: RepositoryId) -> Result<Vec<PushTarget>> {
    let rows = connection.fetch(statements::all(connection.dialect(), id)?).await?;
    let mut targets = read_all(rows, rows::push_target::read)?;
    targets.sort_by_cached_key(|target| target.url.to_string());
    Ok(targets)
}
