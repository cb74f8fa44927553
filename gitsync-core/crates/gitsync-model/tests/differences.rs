//! A database that differs is found out.

use std::panic::catch_unwind;
use std::sync::Arc;

use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::queue::QueueLimits;
use gitsync_core::testing::{FaultyQueue, FaultyStore, ManualClock, StoreCall};
use gitsync_core::{Error, ErrorKind};
use gitsync_model::{Database, Opened, check};

/// The reference, with something that can go wrong.
fn open(clock: &ManualClock, limits: QueueLimits) -> (Arc<FaultyStore>, Arc<FaultyQueue>) {
    let store = MemoryStore::new(Arc::new(clock.clone()));
    let queue = MemoryQueue::new(Arc::new(clock.clone()), limits);
    (Arc::new(FaultyStore::new(Arc::new(store))), Arc::new(FaultyQueue::new(Arc::new(queue))))
}

/// The reference itself.
struct Same;

impl Database for Same {
    async fn open(clock: ManualClock, limits: QueueLimits) -> Opened {
        let (store, queue) = open(&clock, limits);
        Opened { store, queue, kept: Box::new(()) }
    }
}

/// Says that it failed where it did not.
struct Liar;

impl Database for Liar {
    async fn open(clock: ManualClock, limits: QueueLimits) -> Opened {
        let (store, queue) = open(&clock, limits);
        store.fail_after(StoreCall::CreateRepository, 1, Error::new(ErrorKind::Conflict, "no"));
        Opened { store, queue, kept: Box::new(()) }
    }
}

/// Takes the end of no push.
struct Deaf;

impl Database for Deaf {
    async fn open(clock: ManualClock, limits: QueueLimits) -> Opened {
        let (store, queue) = open(&clock, limits);
        for call in 1..1000 {
            store.fail(StoreCall::RecordPush, call, Error::new(ErrorKind::Timeout, "no"));
        }
        Opened { store, queue, kept: Box::new(()) }
    }
}

/// Goes by limits of its own: it hands out no job that needs an upstream.
struct Idle;

impl Database for Idle {
    async fn open(clock: ManualClock, limits: QueueLimits) -> Opened {
        let (store, queue) = open(&clock, QueueLimits { host_concurrency: 0, ..limits });
        Opened { store, queue, kept: Box::new(()) }
    }
}

fn difference<D: Database>() -> String {
    let panic = catch_unwind(check::<D>).expect_err("it differs");
    *panic.downcast::<String>().expect("it says how")
}

#[test]
fn the_reference_is_like_itself() {
    check::<Same>();
}

#[test]
fn a_wrong_answer_is_told_with_few_calls_and_the_seed() {
    let text = difference::<Liar>();
    assert!(text.contains("create_repository differs") && text.contains("PROPTEST_RNG_SEED="), "{text}");
    assert_eq!(text.matches("Create {").count(), 1, "{text}");
}

#[test]
fn a_store_that_takes_no_pushes_is_found_out() {
    let text = difference::<Deaf>();
    assert!(text.contains("record_push"), "{text}");
}

#[test]
fn a_queue_with_other_limits_is_found_out() {
    let text = difference::<Idle>();
    assert!(text.contains("claim differs"), "{text}");
}
