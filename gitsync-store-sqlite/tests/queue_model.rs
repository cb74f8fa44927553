//! The queue against the one in memory: whatever is called in whatever order, both answer alike.
//!
//! Each seed is a run of its own and is printed when it fails. `GITSYNC_SEEDS=from..to` runs others.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use gitsync_core::Clock;
use gitsync_core::memory::MemoryQueue;
use gitsync_core::model::TaskId;
use gitsync_core::queue::{ClaimRequest, JobOutcome, JobQueue, Lane, Lease, NewJob};
use gitsync_core::testing::ManualClock;
use gitsync_core::testing::queue_suite::LIMITS;
use gitsync_store_sqlite::SqliteStore;

use support::{place, seeds};

const HOSTS: [&str; 4] = ["local", "a.example", "b.example", "local-files"];
const STORAGES: [&str; 2] = ["one", "two"];

struct Run {
    rng: Rng,
    clock: ManualClock,
    ids: Vec<TaskId>,
    /// All leases there ever were, good or not.
    leases: Vec<Lease>,
}

impl Run {
    fn job(&mut self) -> NewJob {
        // Often one that is known already.
        let id = match self.rng.choice(&self.ids) {
            Some(id) if self.rng.u8(..3) == 0 => *id,
            _ => {
                let id = TaskId::generate();
                self.ids.push(id);
                id
            }
        };
        let lane = Lane { storage: self.choice(&STORAGES), host: self.choice(&HOSTS) };
        let run_at = self.clock.now().before(Duration::from_secs(10)).after(Duration::from_secs(self.rng.u64(..20)));
        NewJob {
            id,
            lane,
            priority: self.rng.i16(-1..2),
            run_at,
            attempt: self.rng.u32(..4),
            epoch: self.rng.i64(0..5),
        }
    }

    fn choice<T: std::str::FromStr<Err: std::fmt::Debug>>(&mut self, names: &[&str]) -> T {
        let at = self.rng.usize(..names.len());
        names[at].parse().expect("a name")
    }

    fn some<T: Copy>(&mut self, of: impl Fn(&Run) -> &Vec<T>) -> Vec<T> {
        let count = self.rng.usize(..4);
        let (len, all) = (of(self).len(), of(self).clone());
        (0..count.min(len)).map(|_| all[self.rng.usize(..len)]).collect()
    }

    fn outcome(&mut self) -> JobOutcome {
        let later = |run: &mut Run| run.clock.now().after(Duration::from_secs(run.rng.u64(..30)));
        match self.rng.u8(..4) {
            0 => JobOutcome::Done,
            1 => JobOutcome::Released,
            _ => JobOutcome::Retry {
                at: later(self),
                spent: self.rng.bool(),
                block_host_until: self.rng.bool().then(|| later(self)),
            },
        }
    }
}

async fn run(seed: u64) {
    let (_directory, path) = place();
    let clock = ManualClock::default();
    let memory = MemoryQueue::new(Arc::new(clock.clone()), LIMITS);
    let sqlite = SqliteStore::open(path, Arc::new(clock.clone()), LIMITS).await.expect("a database");
    let mut run = Run { rng: Rng::with_seed(seed), clock: clock.clone(), ids: Vec::new(), leases: Vec::new() };
    for step in 0..120 {
        let at = format!("seed {seed}, step {step}");
        match run.rng.u8(..10) {
            0 | 1 => {
                let jobs: Vec<_> = (0..run.rng.usize(1..5)).map(|_| run.job()).collect();
                memory.enqueue(&jobs).await.unwrap();
                sqlite.enqueue(&jobs).await.unwrap();
            }
            2 | 3 => {
                let storages = STORAGES.map(|name| name.parse().unwrap());
                let storages = storages[..run.rng.usize(..3)].to_vec();
                let request = ClaimRequest { limit: run.rng.usize(..6), storages };
                let expected = memory.claim(&request).await.unwrap();
                assert_eq!(sqlite.claim(&request).await.unwrap(), expected, "{at}: {request:?}");
                run.leases.extend(expected.iter().map(|job| job.lease));
            }
            4 => {
                let leases = run.some(|run| &run.leases);
                let expected = memory.heartbeat(&leases).await.unwrap();
                assert_eq!(sqlite.heartbeat(&leases).await.unwrap(), expected, "{at}: {leases:?}");
            }
            5 => {
                let leases = run.some(|run| &run.leases);
                let outcomes: Vec<_> = leases.into_iter().map(|lease| (lease, run.outcome())).collect();
                let expected = memory.finish(&outcomes).await.unwrap();
                assert_eq!(sqlite.finish(&outcomes).await.unwrap(), expected, "{at}: {outcomes:?}");
            }
            6 => {
                let jobs = run.some(|run| &run.ids);
                memory.cancel(&jobs).await.unwrap();
                sqlite.cancel(&jobs).await.unwrap();
            }
            7 => {
                let leases = run.some(|run| &run.leases);
                let expected = memory.cancel_requested(&leases).await.unwrap();
                assert_eq!(sqlite.cancel_requested(&leases).await.unwrap(), expected, "{at}: {leases:?}");
            }
            8 => {
                // What each keeps of hosts is its own matter.
                memory.forget_hosts(run.rng.usize(..3)).await.unwrap();
                sqlite.forget_hosts(run.rng.usize(..3)).await.unwrap();
            }
            _ => clock.advance(Duration::from_secs(run.rng.choice([1, 7, 31, 301]).unwrap_or(1))),
        }
        assert_eq!(sqlite.stats().await.unwrap(), memory.stats().await.unwrap(), "{at}");
    }
}

#[tokio::test]
async fn both_queues_answer_alike() {
    for seed in seeds(0..25) {
        run(seed).await;
    }
}
