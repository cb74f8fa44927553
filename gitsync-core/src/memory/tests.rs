//! The conformance suites against the implementations in memory.

use std::sync::Arc;

use super::{MemoryQueue, MemoryStore};
use crate::queue::QueueLimits;
use crate::testing::ManualClock;
use crate::testing::engine_suite::EngineHarness;
use crate::testing::queue_suite::{LIMITS, QueueHarness};
use crate::testing::store_suite::StoreHarness;

mod store {
    use super::*;

    async fn make() -> StoreHarness {
        let clock = ManualClock::default();
        StoreHarness::new(Arc::new(MemoryStore::new(Arc::new(clock.clone()))), clock)
    }

    crate::store_suite!(make);
}

mod queue {
    use super::*;

    async fn make() -> QueueHarness {
        let clock = ManualClock::default();
        QueueHarness::new(Arc::new(MemoryQueue::new(Arc::new(clock.clone()), LIMITS)), clock)
    }

    crate::queue_suite!(make);
}

mod engine {
    use super::*;

    async fn make() -> EngineHarness {
        let clock = ManualClock::default();
        let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        let queue = Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default()));
        EngineHarness::new([(Arc::clone(&store) as _, Arc::clone(&queue) as _), (store, queue)], clock)
    }

    crate::engine_suite!(make);
}
