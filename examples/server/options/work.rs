//! What is done, how much of it at once, and when.

use std::num::ParseIntError;
use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use gitsync_core::engine::EngineOptions;
use gitsync_core::queue::QueueLimits;

#[derive(Args)]
#[command(next_help_heading = "Work")]
pub(crate) struct Work {
    /// What this process does
    #[arg(
        long,
        env = "GITSYNC_ROLES",
        value_enum,
        value_delimiter = ',',
        default_value = "api,worker,scheduler,janitor"
    )]
    roles: Vec<Role>,

    /// How many tasks run at once
    #[arg(long, env = "GITSYNC_WORKERS", value_name = "N", default_value = "2")]
    workers: usize,

    /// How many tasks of one source host run at once, in all processes together
    #[arg(
        long,
        env = "GITSYNC_HOST_CONCURRENCY",
        value_name = "N",
        default_value = "4",
        value_parser = value_parser!(u32).range(1..)
    )]
    host_concurrency: u32,

    /// How long one attempt may take
    #[arg(long, env = "GITSYNC_TASK_TIME_LIMIT", value_name = "SECONDS", default_value = "1800")]
    task_time_limit: u64,

    /// The pauses before the second and later attempts; there are as many retries as pauses, and none if it is empty
    #[arg(
        long,
        env = "GITSYNC_RETRY_DELAYS",
        value_name = "SECONDS,…",
        default_value = "60,120,240",
        value_parser = pauses
    )]
    retry_delays: Pauses,

    /// The shortest time between two syncs of a repository
    #[arg(long, env = "GITSYNC_SYNC_INTERVAL_MIN", value_name = "SECONDS", default_value = "300")]
    sync_interval_min: u64,

    /// The longest time between two syncs of a repository
    #[arg(long, env = "GITSYNC_SYNC_INTERVAL_MAX", value_name = "SECONDS", default_value = "86400")]
    sync_interval_max: u64,

    /// How many packs a repository may have before the git program makes them fewer
    #[arg(
        long,
        env = "GITSYNC_MAX_PACKS",
        value_name = "N",
        default_value = "16",
        value_parser = value_parser!(u32).range(1..)
    )]
    max_packs: u32,

    /// How long a dead process's work is left alone before another one takes it over
    #[arg(
        long,
        env = "GITSYNC_LEASE",
        value_name = "SECONDS",
        default_value = "60",
        value_parser = value_parser!(u64).range(1..=3600)
    )]
    lease: u64,

    /// How long what runs is waited for at the end, before it is given back
    #[arg(
        long,
        env = "GITSYNC_DRAIN",
        value_name = "SECONDS",
        default_value = "10",
        value_parser = value_parser!(u64).range(..=3600)
    )]
    drain: u64,
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Serves the API
    Api,
    /// Does tasks
    Worker,
    /// Requests syncs that are due
    Scheduler,
    /// Tidies up
    Janitor,
}

/// Pauses between attempts. A type of its own because an empty list is one, too.
#[derive(Clone)]
struct Pauses(Vec<Duration>);

impl Work {
    /// Tells whether this process has a role.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Returns how long what runs is waited for at the end.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain)
    }

    /// Returns the limits of the queue.
    pub(crate) fn limits(&self) -> QueueLimits {
        QueueLimits {
            lease: Duration::from_secs(self.lease),
            deadline: Duration::from_secs(self.task_time_limit),
            max_attempts: u32::try_from(self.retry_delays.0.len()).unwrap_or(u32::MAX).saturating_add(1),
            host_concurrency: self.host_concurrency,
        }
    }

    /// Returns the engine's options.
    pub(crate) fn engine(&self) -> EngineOptions {
        EngineOptions {
            concurrency: self.workers,
            lease: Duration::from_secs(self.lease),
            heartbeat_interval: Duration::from_secs(self.lease) / 4,
            task_time_limit: Duration::from_secs(self.task_time_limit),
            retry_delays: self.retry_delays.0.clone(),
            sync_interval_min: Duration::from_secs(self.sync_interval_min),
            sync_interval_max: Duration::from_secs(self.sync_interval_max),
            drain: self.drain(),
            max_packs: usize::try_from(self.max_packs).unwrap_or(usize::MAX),
            ..EngineOptions::default()
        }
    }
}

fn pauses(text: &str) -> Result<Pauses, ParseIntError> {
    if text.is_empty() {
        return Ok(Pauses(Vec::new()));
    }
    text.split(',').map(|pause| pause.parse().map(Duration::from_secs)).collect::<Result<_, _>>().map(Pauses)
}
