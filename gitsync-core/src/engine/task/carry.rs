//! What a new clone takes over from the repository that it replaces.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::poll_fn;
use std::path::Path;

use super::Attempt;
use super::local::Temporary;
use super::sync::unique;
use super::worktree::is_beside;
use crate::backend::{CommitWalk, LocalRefs, RefTransaction, Resolved};
use crate::engine::disk::{adopt_objects, git_directory};
use crate::engine::git_program::GitCall;
use crate::engine::parts::blocking;
use crate::error::{ErrorKind, Result};
use crate::model::ObjectId;
use crate::plan::{RefMapping, SyncPlan};

impl Attempt {
    /// Takes objects over from the old repository if the clone lacks one that is to be kept, and tells whether all are there
    /// that the old repository has a name for.
    pub(super) async fn carry_objects_over(
        &self,
        clone: &Temporary,
        mapping: &RefMapping,
        plan: &SyncPlan,
        before: &LocalRefs,
        upstream: &[ObjectId],
    ) -> Result<bool> {
        let kept = before.refs.iter().filter(|(name, _)| is_beside(mapping, name)).map(|(_, id)| *id);
        let ids = unique(plan.at_risk.iter().map(|risk| risk.old).chain(kept));
        let lacking = self.missing(clone.path(), &ids).await?;
        if lacking.is_empty() || !self.published.exists() {
            return Ok(lacking.is_empty());
        }
        if !self.was_corrupt() || !self.carry_readable(clone.path(), &lacking, upstream).await? {
            let (from, to) = (self.published.clone(), clone.clone());
            blocking(move || adopt_objects(&from, to.path())).await?;
        }
        let lost = self.missing(clone.path(), &lacking).await?;
        Ok(!before.refs.iter().any(|(_, id)| lost.contains(id)))
    }

    /// Copies what some ids lead to out of a repository that is broken: of each id all, or nothing if something of it is
    /// missing or cannot be read. Returns `false` where there is no git program to do so.
    async fn carry_readable(&self, clone: &Path, ids: &[ObjectId], upstream: &[ObjectId]) -> Result<bool> {
        match self.parts.git.version(&self.context.limits).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(false),
            Err(error) => return Err(error),
        }
        let mut waiting = vec![ids];
        while let Some(ids) = waiting.pop() {
            if self.pack(clone, ids, upstream).await? {
                self.step("objects carried over").await?;
            } else if ids.len() > 1 {
                let (some, others) = ids.split_at(ids.len() / 2);
                waiting.extend([some, others]);
            } else {
                tracing::warn!(id = %ids[0], "not all that this leads to can be read: it is not carried over");
            }
        }
        Ok(true)
    }

    /// Puts all that some ids lead to, beyond what upstream has, into a pack of the clone; `false` if git cannot.
    async fn pack(&self, clone: &Path, ids: &[ObjectId], upstream: &[ObjectId]) -> Result<bool> {
        let mut wanted = String::new();
        for id in ids {
            let _ = writeln!(wanted, "{id}");
        }
        wanted.push_str("--not\n");
        for id in upstream {
            let _ = writeln!(wanted, "{id}");
        }
        let git_dir = git_directory(clone);
        let arguments = ["pack-objects", "--revs", "--non-empty", "--delta-base-offset", "-q"];
        let call = GitCall::new(&git_dir, &arguments).with_path(&git_dir.join("objects/pack/pack"));
        let call = call.reading(wanted.into_bytes()).seeing_objects_of(&self.git_dir());
        Ok(self.git(call).await?.code == 0)
    }

    /// Writes the shallow boundary of a clone that nobody knows yet.
    pub(super) async fn write_boundary(&self, clone: &Temporary, boundary: &[ObjectId]) -> Result<()> {
        let change = RefTransaction { shallow: Some(boundary.to_vec()), ..RefTransaction::default() };
        self.parts.backend.update_refs(clone.path(), change, Box::new(clone.clone())).await
    }

    /// Returns what of the old boundary the old tips may still need: all but the commits that the clone itself has. Those it
    /// has whole, or ends at them as well.
    pub(super) async fn boundary_carried_over(
        &self,
        clone: &Path,
        tips: &[ObjectId],
        boundary: &[ObjectId],
    ) -> Result<BTreeSet<ObjectId>> {
        let mut needed: BTreeSet<ObjectId> = boundary.iter().copied().collect();
        if needed.is_empty() {
            return Ok(needed);
        }
        let resolved = self.parts.backend.resolve(clone, tips).await?;
        let tips = resolved.into_iter().filter_map(|found| match found {
            Resolved::Commit(id) => Some(id),
            Resolved::Missing | Resolved::Other => None,
        });
        let walk = CommitWalk { tips: unique(tips), ..CommitWalk::default() };
        let mut batches = self.parts.backend.walk_commits(clone, walk, &self.context).await?;
        while let Some(batch) = poll_fn(|cx| batches.as_mut().poll_next(cx)).await {
            for commit in batch? {
                needed.remove(&commit.id);
            }
        }
        Ok(needed)
    }

    pub(super) async fn missing(&self, directory: &Path, ids: &[ObjectId]) -> Result<Vec<ObjectId>> {
        let resolved = self.parts.backend.resolve(directory, ids).await?;
        let missing = ids.iter().zip(resolved).filter(|(_, found)| *found == Resolved::Missing);
        Ok(missing.map(|(id, _)| *id).collect())
    }
}
