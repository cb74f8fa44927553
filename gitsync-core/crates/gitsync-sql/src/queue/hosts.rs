//! What happens to source hosts: the counts of their running jobs, and what is learned of them.

use std::collections::BTreeMap;

use gitsync_core::Result;
use gitsync_core::queue::{HostReport, MAX_BATCH, QueueLimits};
use gitsync_core::rules::{HostLesson, HostState};
use gitsync_core::source::HostKey;

use super::abandon_expired;
use crate::Connection;
use crate::rows::host::read;
use crate::statements::hosts;

/// See [`JobQueue::forget_hosts`](gitsync_core::JobQueue::forget_hosts).
pub async fn forget_hosts(connection: &mut dyn Connection, limit: usize) -> Result<u64> {
    // What has expired does not run.
    abandon_expired(connection).await?;
    let now = connection.now().await?;
    let delete = hosts::delete_idle(connection.dialect(), now, limit.min(MAX_BATCH))?;
    connection.execute(delete).await
}

/// What happens to hosts in one transaction, in the order of their names: two transactions that change some of the same
/// hosts do not wait for each other.
#[derive(Debug, Default)]
pub(super) struct Hosts(BTreeMap<HostKey, Change>);

#[derive(Debug, Default)]
struct Change {
    running: i64,
    /// What ends of jobs say, in their order.
    reports: Vec<HostReport>,
}

impl Hosts {
    pub(super) fn began(&mut self, host: &HostKey) {
        self.change(host, |change| change.running += 1);
    }

    pub(super) fn ended(&mut self, host: &HostKey, report: HostReport) {
        self.change(host, |change| {
            change.running -= 1;
            if report != HostReport::Nothing {
                change.reports.push(report);
            }
        });
    }

    /// Work that needs no upstream has no limit: a row that all of it changes would only be in its way.
    fn change(&mut self, host: &HostKey, change: impl FnOnce(&mut Change)) {
        if *host != HostKey::local() {
            change(self.0.entry(host.clone()).or_default());
        }
    }

    /// Writes the counts alone.
    pub(super) async fn count(self, connection: &mut dyn Connection) -> Result<()> {
        for statement in hosts::count(connection.dialect(), &self.counts())? {
            connection.execute(statement).await?;
        }
        Ok(())
    }

    /// Writes the counts, and what was learned; returns the latter. The rows, which so are locked, answer with what is known, and
    /// only where that changes there is more to write.
    pub(super) async fn learn(self, connection: &mut dyn Connection, limits: &QueueLimits) -> Result<Vec<HostLesson>> {
        let (dialect, now) = (connection.dialect(), connection.now().await?);
        let mut lessons = Vec::new();
        for statement in hosts::count_and_tell(dialect, &self.counts())? {
            for mut row in connection.fetch(statement).await? {
                let (host, before) = read(&mut row)?;
                let reports = self.0.get(&host).map_or(&[][..], |change| &change.reports);
                let learn = |known: HostState, report: &HostReport| known.after(*report, limits.host_concurrency, now);
                let after = reports.iter().fold(before.clone(), learn);
                if after != before {
                    lessons.push(HostLesson { host, before, after });
                }
            }
        }
        for lesson in &lessons {
            connection.execute(hosts::note(dialect, lesson)?).await?;
        }
        Ok(lessons)
    }

    fn counts(&self) -> Vec<(&HostKey, i64)> {
        self.0.iter().map(|(host, change)| (host, change.running)).collect()
    }
}
