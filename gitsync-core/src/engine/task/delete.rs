//! Removing a repository: its files, then its rows. Its fence stays, for workers that were outrun.

use super::{Attempt, Done};
use crate::engine::disk::remove_published;
use crate::engine::parts::blocking;
use crate::error::Result;
use crate::store::Chunk;

/// How many rows one call removes. While it does, all others that write to the store may have to wait, so it is to take
/// some tens of milliseconds at most; and each waits for the disk, so there are not to be many more of them.
pub(in crate::engine) const PURGE_CHUNK: usize = 1_000;

impl Attempt {
    pub(super) async fn delete(&self) -> Result<Done> {
        self.progress.phase("deleting");
        let permit = self.permit().await?;
        let (storage, published) = (self.storage.clone(), self.published.clone());
        let repository = self.started.repository.id;
        let is_gone = blocking(move || remove_published(&permit, &storage, repository, &published)).await?;
        if !is_gone {
            tracing::warn!(path = %self.published.display(), %repository, "not the repository's directory: left alone");
        }
        self.step("removed").await?;
        while self.parts.store.purge_repository(self.started.work, PURGE_CHUNK).await? == Chunk::More {
            self.step("rows removed").await?;
        }
        // There is no row any more that could say that this attempt is to stop.
        self.parts.steps.reached("purged").await;
        Ok(Done::Purged)
    }
}
