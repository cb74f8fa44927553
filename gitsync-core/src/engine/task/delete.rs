//! Removing a repository: its files, then its rows, then its fence.

use super::{Attempt, Done};
use crate::engine::disk::remove_published;
use crate::engine::parts::blocking;
use crate::error::{ErrorKind, Result};

impl Attempt {
    pub(super) async fn delete(&self) -> Result<Done> {
        self.progress.phase("deleting");
        let permit = self.permit().await?;
        let (storage, published) = (self.storage.clone(), self.published.clone());
        blocking(move || remove_published(&permit, &storage, &published)).await?;
        self.step("removed").await?;
        self.parts.store.purge_repository(self.started.work).await?;
        // The fence goes last: a worker that was outrun finds it higher, or finds the repository's rows gone.
        let fence = self.fence.clone();
        let number = self.started.work.fence;
        blocking(move || match fence.hold(number) {
            Ok(permit) => fence.remove(permit),
            Err(error) if error.kind() == ErrorKind::LeaseLost => Ok(()),
            Err(error) => Err(error),
        })
        .await?;
        Ok(Done::Purged)
    }
}
