//! What is done to a working tree.

use std::path::Path;

use super::Attempt;
use crate::backend::{Checkout, PublishPermit, RefTransaction};
use crate::engine::disk::REMOTE_HEAD;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Layout, RefName};
use crate::plan::{CheckoutMove, MirrorKind, RefMapping, Target};

impl Attempt {
    /// Refuses to follow an upstream with a working tree that the engine cannot move.
    pub(super) fn check_can_follow(&self) -> Result<()> {
        let backend = &self.parts.backend;
        if self.started.repository.layout == Layout::Regular && !backend.capabilities().worktree {
            return Err(Error::new(ErrorKind::Unsupported, "this engine has no working trees")
                .with("engine", backend.name())
                .hint("make the repository a bare one, or use another engine"));
        }
        if self.started.repository.layout == Layout::Regular && self.started.repository.depth.is_some() {
            // All tips would be asked for, and those of its own branches are not upstream's.
            return Err(Error::new(ErrorKind::Unsupported, "a repository with a working tree has no limited depth"));
        }
        Ok(())
    }

    /// Takes back what a crash left of a checkout.
    pub(super) async fn recover_checkout(&self) -> Result<()> {
        if self.started.repository.layout != Layout::Regular {
            return Ok(());
        }
        let permit = self.permit().await?;
        self.parts.backend.recover_checkout(&self.published, Box::new(permit), &self.context).await?;
        self.step("checkout recovered").await
    }

    /// Tells, now that the objects are there, whether the checked-out branch has all that it is to go to, and more.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`] if it can neither go there nor stay: it goes only forward.
    pub(super) async fn is_ahead(&self, target: &Target<'_>) -> Result<bool> {
        let Some(CheckoutMove { from: Some(from), to }) = target.checkout else { return Ok(false) };
        let pairs = [(from, to), (to, from)];
        match self.parts.backend.is_ancestor(&self.published, &pairs, &self.context).await?[..] {
            [true, _] => Ok(false),
            [false, true] => Ok(true),
            _ => Err(Error::new(ErrorKind::Conflict, "the checked-out branch and upstream's have diverged")
                .with("here", from)
                .with("upstream", to)
                .hint("rebase or merge by hand, or migrate with force, which sets the old files aside")),
        }
    }

    /// Changes references, and the working tree with them if that is to move.
    pub(super) async fn move_refs(
        &self,
        directory: &Path,
        change: RefTransaction,
        checkout: Option<&CheckoutMove>,
        permit: Box<dyn PublishPermit>,
    ) -> Result<()> {
        let backend = &self.parts.backend;
        match checkout {
            None => backend.update_refs(directory, change, permit).await,
            Some(CheckoutMove { from, to }) => {
                self.progress.phase("checking out");
                let checkout = Checkout { from: *from, to: *to, change };
                backend.check_out(directory, checkout, permit, &self.context).await
            }
        }
    }
}

/// Tells whether a reference is none that a clone decides about, so that it is carried over. Where upstream's `HEAD` was is
/// said anew.
pub(super) fn is_beside(mapping: &RefMapping, name: &RefName) -> bool {
    let is_remote_head = mapping.kind == MirrorKind::Regular && name.as_bytes() == REMOTE_HEAD;
    !mapping.manages(name) && !is_remote_head
}
