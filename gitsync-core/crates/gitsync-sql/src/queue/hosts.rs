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
    began: i64,
    ended: i64,
    blocked_until: Option<Timestamp>,
}

impl Hosts {
    pub(super) fn began(&mut self, host: &HostKey) {
        self.change(host, |change| change.began += 1);
    }

    pub(super) fn ended(&mut self, host: &HostKey) {
        self.change(host, |change| change.ended += 1);
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
        let dialect = connection.dialect();
        for (host, Change { began, ended, blocked_until }) in self.0 {
            if began > 0 {
                connection.execute(hosts::begin(dialect, &host, began)?).await?;
            }
            if ended > 0 {
                connection.execute(hosts::end(dialect, &host, ended)?).await?;
            }
            if let Some(until) = blocked_until {
                connection.execute(hosts::block(dialect, &host, until)?).await?;
            }
        }
        Ok(())
    }
}
