//! What an embedder may set of the engine, and what holds if it does not.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::rules::Rhythm;

/// The shortest time that a storage counts as served by who reported it: several reports.
const SHORTEST_TURN: Duration = Duration::from_secs(60);

/// How long another machine waits beyond that: for what runs to be told to stop, and to do so.
const HANDOVER: Duration = Duration::from_secs(10);

/// The limits and rhythms of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How many jobs one worker runs at once. Default: 2.
    pub concurrency: usize,
    /// How long a lease lasts without a heartbeat, by this process's own clock when the queue is away. Default: 60 s, as the
    /// queue's.
    pub lease: Duration,
    /// How often leases are extended. Default: 15 s, a quarter of a lease.
    pub heartbeat_interval: Duration,
    /// How often a worker asks whether its jobs were cancelled. Default: 1 s.
    pub cancel_poll_interval: Duration,
    /// How long one attempt may take. Default: 30 minutes. The queue's deadline should not be shorter.
    pub task_time_limit: Duration,
    /// How long the pushes of one attempt may take, to all targets together; they also end a little before the attempt's own
    /// time does. Default: 10 minutes.
    pub push_time_limit: Duration,
    /// The pauses before the second and later attempts; there are as many retries as pauses. Default: 60, 120, 240 s.
    pub retry_delays: Vec<Duration>,
    /// How long a worker that shuts down waits for what it runs before it gives that back. Default: not at all.
    pub drain: Duration,
    /// The shortest pause between two syncs of a repository that has no interval of its own; see
    /// [`rules::next_sync_at`](crate::rules::next_sync_at). Default: 5 minutes.
    pub sync_interval_min: Duration,
    /// The longest pause, for an upstream that never changes and after repeated failures. Default: 1 day.
    pub sync_interval_max: Duration,
    /// How many due repositories one scan of the scheduler turns into tasks. Default: 500.
    pub schedule_batch: usize,
    /// How often the scheduler looks for due repositories. Default: 5 s.
    pub schedule_interval: Duration,
    /// How often the janitor looks around. Default: 60 s.
    pub janitor_interval: Duration,
    /// How long overwritten and deleted tips are kept. Default: 90 days.
    pub kept_retention: Duration,
    /// How long finished tasks and the log of references are kept. Default: 90 days.
    pub log_retention: Duration,
    /// How long an unused temporary directory is left alone. Default: 1 day, longer than any task may take.
    pub temporary_retention: Duration,
    /// The most bytes an upstream may send in one response. Default: 8 GiB.
    pub max_response_bytes: u64,
    /// The most bytes of one pack. Default: 8 GiB.
    pub max_pack_bytes: u64,
    /// The most objects of one pack. Default: 13 million, for whose index an engine needs some 512 MiB.
    pub max_pack_objects: u64,
    /// How many bytes stay free on the disk of a storage: a fetch that finds or would leave less fails with
    /// [`ErrorKind::DiskFull`] and is tried again. Default: 1 GiB.
    pub min_free_bytes: u64,
    /// How many packs a repository may have before its upkeep is requested; see
    /// [`rules::needs_upkeep`](crate::rules::needs_upkeep). Default: 16, at least 1.
    ///
    /// A sync that moves something adds a pack, and upkeep leaves a few, each at least twice as large as the next smaller
    /// one. `usize::MAX` leaves upkeep to those who ask for it.
    pub max_packs: usize,
    /// The git program that does upkeep: a path, or a name that is looked for in `PATH`. Default: `git`. Without it, or with one
    /// older than 2.32, upkeep is not done; nothing else needs it.
    pub git_program: PathBuf,
}

impl EngineOptions {
    /// Checks that an engine can live by these options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no room for a job, or a time is zero where waiting is meant, or longer than
    /// ten years, or the shortest pause between syncs is longer than the longest.
    pub(super) fn check(&self) -> Result<()> {
        const TEN_YEARS: Duration = Duration::from_secs(10 * 366 * 24 * 3600);
        let waits = [
            self.lease,
            self.heartbeat_interval,
            self.cancel_poll_interval,
            self.task_time_limit,
            self.push_time_limit,
        ];
        let rhythms = [self.sync_interval_min, self.sync_interval_max, self.schedule_interval, self.janitor_interval];
        let invalid = |message| Err(Error::new(ErrorKind::InvalidInput, message));
        if self.concurrency == 0 || self.schedule_batch == 0 || self.max_packs == 0 {
            return invalid("concurrency, schedule_batch and max_packs are at least 1");
        }
        if waits.iter().chain(&rhythms).any(|time| time.is_zero() || *time > TEN_YEARS) {
            return invalid("intervals and limits are longer than nothing and shorter than ten years");
        }
        if self
            .retry_delays
            .iter()
            .chain([&self.drain, &self.kept_retention, &self.log_retention])
            .any(|time| *time > TEN_YEARS)
        {
            return invalid("delays and retentions are shorter than ten years");
        }
        if self.sync_interval_min > self.sync_interval_max {
            return invalid("sync_interval_min is not longer than sync_interval_max");
        }
        Ok(())
    }

    /// Returns how long a worker goes on with a storage after its last report: no shorter than with a job after the last
    /// heartbeat, so that a database that is away ends no job earlier than its lease does.
    pub(super) fn turn(&self) -> Duration {
        self.lease.saturating_add(self.heartbeat_interval).max(SHORTEST_TURN)
    }

    /// Returns how long other machines are to leave a storage alone after a report.
    pub(super) fn serves_for(&self) -> Duration {
        self.turn().saturating_add(HANDOVER)
    }

    /// Returns how often repositories are synced.
    pub(super) fn rhythm(&self) -> Rhythm {
        Rhythm { min: self.sync_interval_min, max: self.sync_interval_max }
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        EngineOptions {
            concurrency: 2,
            lease: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(15),
            cancel_poll_interval: Duration::from_secs(1),
            task_time_limit: Duration::from_secs(30 * 60),
            push_time_limit: Duration::from_secs(10 * 60),
            retry_delays: [60, 120, 240].map(Duration::from_secs).to_vec(),
            drain: Duration::ZERO,
            sync_interval_min: Duration::from_secs(5 * 60),
            sync_interval_max: DAY,
            schedule_batch: 500,
            schedule_interval: Duration::from_secs(5),
            janitor_interval: Duration::from_secs(60),
            kept_retention: 90 * DAY,
            log_retention: 90 * DAY,
            temporary_retention: DAY,
            max_response_bytes: 8 << 30,
            max_pack_bytes: 8 << 30,
            max_pack_objects: 13_000_000,
            min_free_bytes: 1 << 30,
            max_packs: 16,
            git_program: PathBuf::from("git"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_held_for_longer_than_the_leases_of_its_jobs() {
        let seconds = Duration::from_secs;
        for (lease, turn) in [(1, 60), (60, 75), (3600, 4500)] {
            let options = EngineOptions {
                lease: seconds(lease),
                heartbeat_interval: seconds(lease) / 4,
                ..EngineOptions::default()
            };
            assert_eq!((options.turn(), options.serves_for()), (seconds(turn), seconds(turn) + HANDOVER));
        }
    }

    #[test]
    fn the_shortest_pause_between_syncs_is_not_longer_than_the_longest() {
        let options = EngineOptions::default();
        assert!(options.check().is_ok());
        let max = options.sync_interval_max;
        let turned = EngineOptions { sync_interval_min: max + Duration::from_secs(1), ..options.clone() };
        assert_eq!(turned.check().unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(EngineOptions { sync_interval_min: max, ..options }.check().is_ok());
    }
}
