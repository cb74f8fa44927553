//! The place of a call in the pool.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::OwnedSemaphorePermit;

use crate::cancel::Cancellation;
use crate::engine::metrics;

const RUNNING: u8 = 0;
const ENDED: u8 = 1;
const ABANDONED: u8 = 2;

/// What the thread holds while it works: its place, given back when the thread ends.
#[derive(Debug)]
pub(super) struct Ticket {
    _permit: OwnedSemaphorePermit,
    state: Arc<AtomicU8>,
    abandoned: Arc<AtomicUsize>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.state.swap(ENDED, Ordering::AcqRel) == ABANDONED {
            self.abandoned.fetch_sub(1, Ordering::AcqRel);
            metrics::abandoned_thread_ended();
        }
    }
}

/// What the caller holds while it waits. Dropping it tells the work to stop and, if that has not ended, abandons it.
#[derive(Debug)]
pub(super) struct Waiting {
    stop: Cancellation,
    state: Arc<AtomicU8>,
    abandoned: Arc<AtomicUsize>,
}

impl Waiting {
    /// Creates both ends of a call.
    pub(super) fn new(
        permit: OwnedSemaphorePermit,
        stop: Cancellation,
        abandoned: &Arc<AtomicUsize>,
    ) -> (Self, Ticket) {
        let state = Arc::new(AtomicU8::new(RUNNING));
        let ticket = Ticket { _permit: permit, state: Arc::clone(&state), abandoned: Arc::clone(abandoned) };
        (Waiting { stop, state, abandoned: Arc::clone(abandoned) }, ticket)
    }

    /// Tells the work to stop.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.stop.cancel();
        // Counted first: the thread may end at any moment, and must find itself counted then.
        self.abandoned.fetch_add(1, Ordering::AcqRel);
        if self.state.compare_exchange(RUNNING, ABANDONED, Ordering::AcqRel, Ordering::Acquire).is_err() {
            self.abandoned.fetch_sub(1, Ordering::AcqRel);
        } else {
            metrics::thread_abandoned();
        }
    }
}
