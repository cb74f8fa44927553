//! What was learned of source hosts.

use gitsync_core::queue::HostStats;

use super::time;
use crate::proto;

/// Converts what was learned of a host.
pub(crate) fn spared_host(stats: &HostStats) -> proto::SparedHost {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    proto::SparedHost {
        host: stats.host.to_string(),
        limit: number(stats.limit),
        configured_limit: number(stats.configured),
        failures: number(stats.failures),
        blocked_until: stats.blocked_until.map(time),
    }
}
