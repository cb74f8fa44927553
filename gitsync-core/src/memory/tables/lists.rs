//! Lists, in pages.

use std::collections::BTreeSet;

use super::{CommitRow, RepositoryRow, Tables};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::page::{falling, page, rising};
use crate::model::{
    Branch, Commit, ObjectId, Organisation, Page, PageRequest, RefName, RefUpdate, Repository, RepositoryId, SyncTask,
};
use crate::store::{CommitFilter, RepositoryFilter, TaskFilter};

impl Tables {
    pub(in crate::memory) fn list_organisations(&self, request: &PageRequest) -> Page<Organisation> {
        page(self.organisations.values().map(|row| (rising(row.id.0.into()), row.clone())), request)
    }

    pub(in crate::memory) fn list_repositories(
        &self,
        filter: &RepositoryFilter,
        request: &PageRequest,
    ) -> Result<Page<Repository>> {
        filter.check()?;
        let is_wanted = |repository: &&Repository| {
            repository.deleted_at.is_none()
                && filter.organisations.as_ref().is_none_or(|ids| ids.contains(&repository.organisation))
                && filter.status.is_none_or(|status| repository.status == status)
                && filter.is_public.is_none_or(|is_public| repository.is_public == is_public)
        };
        let wanted = self.repositories.values().map(|row| &row.repository).filter(is_wanted);
        Ok(page(wanted.map(|repository| (rising(repository.id.0.into()), repository.clone())), request))
    }

    pub(in crate::memory) fn list_tasks(&self, filter: &TaskFilter, request: &PageRequest) -> Page<SyncTask> {
        let is_wanted = |task: &&SyncTask| {
            filter.repository.is_none_or(|id| task.repository == id)
                && filter.status.is_none_or(|status| task.status == status)
                && filter.kind.is_none_or(|kind| task.kind == kind)
        };
        // With all bits turned over, the newest id sorts first.
        let key = |task: &SyncTask| (!task.id.0.as_u128()).to_be_bytes().to_vec();
        page(self.tasks.values().filter(is_wanted).map(|task| (key(task), task.clone())), request)
    }

    pub(in crate::memory) fn list_branches(&self, id: RepositoryId, request: &PageRequest) -> Result<Page<Branch>> {
        let row = self.visible(id)?;
        let branches = row.refs.values().filter(|reference| reference.name.is_branch()).map(|reference| {
            let branch = Branch {
                name: reference.name.clone(),
                commit: reference.commit.unwrap_or(reference.id),
                is_default: row.repository.default_branch.as_ref() == Some(&reference.name),
            };
            (branch.name.as_bytes().to_vec(), branch)
        });
        Ok(page(branches, request))
    }

    pub(in crate::memory) fn list_commits(
        &self,
        id: RepositoryId,
        filter: &CommitFilter,
        request: &PageRequest,
    ) -> Result<Page<Commit>> {
        let row = self.visible(id)?;
        let reached = filter.branch.as_ref().map(|branch| row.reached_by(branch)).transpose()?;
        let is_wanted = |row: &&CommitRow| {
            reached.as_ref().is_none_or(|ids| ids.contains(&row.commit.id)) && is_wanted(row, filter)
        };
        let key = |commit: &Commit| [falling(commit.committer.seconds), commit.id.as_bytes().to_vec()].concat();
        let commits = row.commits.values().filter(is_wanted).map(|row| &row.commit);
        Ok(page(commits.map(|commit| (key(commit), commit.clone())), request))
    }

    pub(in crate::memory) fn list_ref_updates(
        &self,
        id: RepositoryId,
        request: &PageRequest,
    ) -> Result<Page<RefUpdate>> {
        self.visible(id)?;
        let updates = self.ref_updates.values().filter(|update| update.repository == id);
        Ok(page(updates.map(|update| (falling(update.id), update.clone())), request))
    }
}

impl RepositoryRow {
    /// Returns the commits that a branch reaches.
    fn reached_by(&self, branch: &RefName) -> Result<BTreeSet<ObjectId>> {
        let missing = || Error::new(ErrorKind::NotFound, "the branch does not exist").with("branch", branch);
        let tip = self.refs.get(branch).filter(|_| branch.is_branch()).ok_or_else(missing)?;
        let (mut reached, mut next) = (BTreeSet::new(), vec![tip.commit.unwrap_or(tip.id)]);
        while let Some(id) = next.pop() {
            if reached.insert(id) {
                next.extend(self.commits.get(&id).into_iter().flat_map(|row| &row.commit.parents));
            }
        }
        Ok(reached)
    }
}

fn is_wanted(row: &CommitRow, filter: &CommitFilter) -> bool {
    let CommitRow { commit, orphaned_at, .. } = row;
    (filter.include_orphaned || orphaned_at.is_none())
        && filter.author_email.as_ref().is_none_or(|email| commit.author.email == *email)
        && filter.since_seconds.is_none_or(|since| commit.committer.seconds >= since)
        && filter.until_seconds.is_none_or(|until| commit.committer.seconds < until)
}
