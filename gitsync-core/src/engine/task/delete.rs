//! Removing a repository: its files, then its rows. Its fence stays, for workers that were outrun.

use super::{Attempt, Done};
use crate::engine::disk::remove_published;
use crate::engine::parts::blocking;
use crate::error::Result;

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
        self.parts.store.purge_repository(self.started.work).await?;
        // There is no row any more that could say that this attempt is to stop.
        self.parts.steps.reached("purged").await;
        Ok(Done::Purged)
    }
}
