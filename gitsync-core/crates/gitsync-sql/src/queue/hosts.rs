//! The counts of running jobs per host.

use std::collections::BTreeMap;

use gitsync_core::queue::MAX_BATCH;
use gitsync_core::source::HostKey;
use gitsync_core::{Result, Timestamp};

use crate::Connection;
use crate::statements::hosts;

/// See [`JobQueue::forget_hosts`](gitsync_core::JobQueue::forget_hosts).
pub async fn forget_hosts(connection: &mut dyn Connection, limit: usize) -> Result<u64> {
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
    blocked_until: Option<Timestamp>,
}

impl Hosts {
    pub(super) fn began(&mut self, host: &HostKey) {
        self.change(host, |change| change.running += 1);
    }

    pub(super) fn ended(&mut self, host: &HostKey) {
        self.change(host, |change| change.running -= 1);
    }

    pub(super) fn blocked(&mut self, host: &HostKey, until: Timestamp) {
        self.change(host, |change| change.blocked_until = change.blocked_until.max(Some(until)));
    }

    /// Work that needs no upstream has no limit: a row that all of it changes would only be in its way.
    fn change(&mut self, host: &HostKey, change: impl FnOnce(&mut Change)) {
        if *host != HostKey::local() {
            change(self.0.entry(host.clone()).or_default());
        }
    }

    pub(super) async fn write(self, connection: &mut dyn Connection) -> Result<()> {
        let changes = self.0.into_iter().map(|(host, change)| hosts::HostChange {
            host,
            running: change.running,
            blocked_until: change.blocked_until,
        });
        for statement in hosts::change(connection.dialect(), &changes.collect::<Vec<_>>())? {
            connection.execute(statement).await?;
        }
        Ok(())
    }
}
