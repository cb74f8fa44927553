//! Push targets.

use super::Tables;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::model::{PushTarget, RepositoryId};
use crate::rules::{self, PushOutcome};
use crate::source::SourceUrl;
use crate::store::Work;

impl Tables {
    pub(in crate::memory) fn add_push_target(
        &mut self,
        id: RepositoryId,
        url: &SourceUrl,
        now: Timestamp,
    ) -> Result<PushTarget> {
        let (row, unfinished) = (self.row(id)?, self.unfinished(id));
        let (repository, target) = rules::add_push_target(&row.repository, unfinished, &row.push_targets(), url, now)?;
        let row = self.row_mut(id)?;
        row.repository = repository;
        row.targets.insert(url.to_string(), target.clone());
        Ok(target)
    }

    pub(in crate::memory) fn remove_push_target(&mut self, id: RepositoryId, url: &SourceUrl) -> Result<()> {
        let row = self.row_mut(id)?;
        row.repository = rules::remove_push_target(&row.repository, &row.push_targets(), url)?;
        row.targets.remove(&url.to_string());
        Ok(())
    }

    pub(in crate::memory) fn record_push(
        &mut self,
        work: Work,
        url: &SourceUrl,
        outcome: &PushOutcome,
        now: Timestamp,
    ) -> Result<()> {
        self.check_work(work)?;
        if let Some(target) = self.row_mut(work.repository)?.targets.get_mut(&url.to_string()) {
            *target = rules::record_push(target, outcome, now);
        }
        Ok(())
    }
}
