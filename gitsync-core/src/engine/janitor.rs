//! The janitor: tidies up what crashes, retries and time leave behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{debug, warn};

use super::disk::{Occupant, Storage, journalled, move_to_trash, replay_journal};
use super::parts::{Parts, blocking};
use super::relay::relay_outbox;
use crate::backend::{RefEdit, RefTransaction};
use crate::cancel::Cancellation;
use crate::error::{ErrorKind, Result};
use crate::model::{Cursor, PageRequest, RefName, Repository, RepositoryId, SyncTask, TaskId};
use crate::rules::may_serve;
use crate::store::{RepositoryFilter, Retention};

/// How many rows or repositories one round looks at of each kind.
const ROUND_BATCH: usize = 500;

/// How many repositories one round prunes kept references of.
const REPOSITORIES_PER_ROUND: usize = 50;

/// Removes temporary directories of attempts that have ended, empties the trash, ends interrupted swaps, prunes kept
/// references, old rows and idle hosts, queues what was not queued, and seals stored credentials anew when the key has changed. Any
/// number may run at once.
///
/// Made by [`GitSync::janitor`](super::GitSync::janitor).
#[derive(Debug)]
pub struct Janitor {
    parts: Arc<Parts>,
    next_repository: Mutex<Option<Cursor>>,
}

impl Janitor {
    pub(super) fn new(parts: Arc<Parts>) -> Self {
        Janitor { parts, next_repository: Mutex::default() }
    }

    /// Tidies up until `shutdown`. A database that is away is waited for.
    pub async fn run(&self, shutdown: Cancellation) {
        let rounds = async {
            loop {
                self.round().await;
                self.parts.clock.sleep(self.parts.options.janitor_interval).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = rounds => {}
        }
    }

    /// Tidies up once. What fails is reported and left to the next round.
    pub async fn round(&self) {
        report("queue waiting tasks", relay_outbox(&self.parts, ROUND_BATCH).await);
        report("prune old rows", self.prune_rows().await);
        report("forget idle hosts", self.forget_hosts().await);
        report("seal credentials anew", self.parts.reseal_credentials().await);
        for storage in self.parts.storages.values() {
            match self.may_tidy(storage).await {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    warn!(%error, storage = %storage.name(), "cannot tell who serves the storage");
                    continue;
                }
            }
            report("end interrupted swaps", self.replay_journals(storage).await);
            report("remove temporary directories", self.remove_temporaries(storage).await);
            report("empty the trash", empty_trash(storage).await);
        }
        report("prune kept references", self.prune_kept().await);
    }

    /// Tells whether a storage may be tidied up from here now: no other machine serves it, whose locks would not be seen, and it
    /// is the disk that is known by its name.
    async fn may_tidy(&self, storage: &Storage) -> Result<bool> {
        let report = self.parts.report_of(storage).await?;
        let known = self.parts.store.storages().await?;
        let row = known.storages.iter().find(|row| row.name == report.name);
        Ok(row.is_none_or(|row| may_serve(row, &report, known.at)))
    }

    async fn prune_rows(&self) -> Result<usize> {
        let before = self.parts.clock.now().before(self.parts.options.log_retention);
        let retention = Retention { tasks_before: before, ref_updates_before: before, limit: ROUND_BATCH };
        let rows = self.parts.store.prune(&retention).await?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    async fn forget_hosts(&self) -> Result<usize> {
        let hosts = self.parts.queue.forget_hosts(ROUND_BATCH).await?;
        Ok(usize::try_from(hosts).unwrap_or(usize::MAX))
    }

    async fn replay_journals(&self, storage: &Storage) -> Result<usize> {
        let storage = storage.clone();
        blocking(move || {
            let mut count = 0;
            for entry in fs::read_dir(storage.journals())? {
                let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
                count += done("end an interrupted swap", replay_if_free(&storage, RepositoryId(id)));
            }
            Ok(count)
        })
        .await
    }

    async fn remove_temporaries(&self, storage: &Storage) -> Result<usize> {
        let mut count = 0;
        for path in in_no_swap(storage, storage.temporaries()).await? {
            count += done("remove a temporary directory", self.trash_if_stale(storage, path).await);
        }
        Ok(count)
    }

    /// Moves a temporary directory to the trash if the attempt that made it can publish no more: a later one has begun on
    /// disk, or its task has ended. That is found out and done while the fence is held, so nobody is publishing it.
    async fn trash_if_stale(&self, storage: &Storage, path: PathBuf) -> Result<bool> {
        let storage = storage.clone();
        let Some((task, fence)) = self.attempt_of(&path).await? else {
            let retention = self.parts.options.temporary_retention;
            return blocking(move || trash_if(age_of(&path) >= Some(retention), &storage, &path)).await;
        };
        blocking(move || {
            let Some(permit) = storage.fence(task.repository).hold_for_upkeep()? else { return Ok(false) };
            let is_outrun = permit.number().is_some_and(|number| number > fence);
            trash_if(is_outrun || task.status.is_terminal(), &storage, &path)
        })
        .await
    }

    /// Returns the task that made a temporary directory, and the fence it had; `None` if nobody knows it any more.
    async fn attempt_of(&self, path: &Path) -> Result<Option<(SyncTask, i64)>> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let attempt = name
            .rsplit_once('-')
            .and_then(|(task, fence)| Some((task.parse::<TaskId>().ok()?, fence.parse::<i64>().ok()?)));
        let Some((task, fence)) = attempt else { return Ok(None) };
        match self.parts.store.task(task).await {
            Ok(task) => Ok(Some((task, fence))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Prunes kept references of the next few repositories, beginning anew after the last one.
    async fn prune_kept(&self) -> Result<usize> {
        let after = self.next_repository.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let page = PageRequest::new(REPOSITORIES_PER_ROUND, after)?;
        let page = self.parts.store.list_repositories(&RepositoryFilter::default(), &page).await?;
        *self.next_repository.lock().unwrap_or_else(PoisonError::into_inner) = page.next;
        let oldest_day = self.parts.clock.now().before(self.parts.options.kept_retention).utc_day();
        let mut count = 0;
        for repository in &page.items {
            let Some(storage) = self.parts.storages.get(&repository.storage) else { continue };
            match self.prune_kept_of(storage, repository, &oldest_day).await {
                Ok(pruned) => count += pruned,
                Err(error) => warn!(%error, repository = %repository.id, "cannot prune kept references"),
            }
        }
        Ok(count)
    }

    async fn prune_kept_of(&self, storage: &Storage, repository: &Repository, oldest_day: &str) -> Result<usize> {
        let organisation = self.parts.store.organisation(repository.organisation).await?;
        let published = storage.published(repository, &organisation.slug);
        let (path, id) = (published.clone(), repository.id);
        if !matches!(blocking(move || Occupant::of(&path, id)).await?, Occupant::Own(_)) {
            return Ok(0);
        }
        let refs = match self.parts.backend.read_refs(&published).await {
            Ok(local) => local.refs,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let expired = refs.into_iter().filter(|(name, _)| kept_on(name).is_some_and(|day| day < oldest_day.as_bytes()));
        let edits: Vec<_> = expired.map(|(name, id)| RefEdit { name, old: Some(id), new: None }).collect();
        if edits.is_empty() {
            return Ok(0);
        }
        if !self.may_tidy(storage).await? {
            return Ok(0);
        }
        let count = edits.len();
        let fence = storage.fence(repository.id);
        let Some(permit) = blocking(move || fence.hold_for_upkeep()).await? else { return Ok(0) };
        let change = RefTransaction { edits, ..RefTransaction::default() };
        self.parts.backend.update_refs(&published, change, Box::new(permit)).await?;
        Ok(count)
    }
}

/// Returns the day a kept reference dates from.
fn kept_on(name: &RefName) -> Option<&[u8]> {
    let rest = name.as_bytes().strip_prefix(b"refs/gitsync/kept/")?;
    let day = rest.split(|byte| *byte == b'/').next()?;
    (day.len() == 8 && day.iter().all(u8::is_ascii_digit)).then_some(day)
}

/// Ends an interrupted swap, unless somebody holds the fence, who has done so first.
fn replay_if_free(storage: &Storage, repository: RepositoryId) -> Result<bool> {
    match storage.fence(repository).hold_for_upkeep()? {
        Some(permit) => replay_journal(&permit, storage, repository).map(|()| true),
        None => Ok(false),
    }
}

async fn empty_trash(storage: &Storage) -> Result<usize> {
    let mut count = 0;
    for path in in_no_swap(storage, storage.trash()).await? {
        count += done("remove what is in the trash", blocking(move || Ok(remove_tree(&path)?)).await.map(|()| true));
    }
    Ok(count)
}

/// Lists what is in a directory, without what an unfinished swap needs.
async fn in_no_swap(storage: &Storage, directory: PathBuf) -> Result<Vec<PathBuf>> {
    let storage = storage.clone();
    blocking(move || {
        let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
        let mut entries = entries.collect::<Result<Vec<PathBuf>>>()?;
        // In this order: a swap that begins meanwhile moves to where nothing was seen.
        let journalled = journalled(&storage)?;
        entries.retain(|path| !journalled.contains(path));
        Ok(entries)
    })
    .await
}

fn trash_if(is_stale: bool, storage: &Storage, path: &Path) -> Result<bool> {
    if is_stale {
        move_to_trash(storage, path)?;
    }
    Ok(is_stale)
}

fn age_of(path: &Path) -> Option<Duration> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?.elapsed().ok()
}

/// Removes a directory with all that is in it, or a file; somebody else may be doing the same.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        result => result,
    }
}

/// Counts what was done. What failed is reported, and keeps nothing else from being done.
fn done(what: &str, result: Result<bool>) -> usize {
    let done = result.inspect_err(|error| warn!(%error, "cannot {what}"));
    usize::from(done.unwrap_or(false))
}

fn report(what: &str, result: Result<usize>) {
    match result {
        Ok(0) => {}
        Ok(count) => debug!(count, "{what}"),
        Err(error) => warn!(%error, "cannot {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kept_references_have_a_day() {
        let day = |name: &str| RefName::new(name).ok().and_then(|name| kept_on(&name).map(<[u8]>::to_vec));
        assert_eq!(day("refs/gitsync/kept/20260101/00"), Some(b"20260101".to_vec()));
        for other in ["refs/gitsync/kept/2026/00", "refs/gitsync/other/20260101/00", "refs/heads/20260101"] {
            assert_eq!(day(other), None, "{other}");
        }
    }
}
