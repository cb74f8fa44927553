//! The progress that gix reports, as far as it is of use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gitsync_repository::upstream::Failure;
use gix::progress::{Id, MessageLevel, Step, StepShared, Unit};
use gix::{Count, NestedProgress, Progress};

/// gix's name for the counter of objects received.
const RECEIVED_OBJECTS: Id = *b"IWIO";

/// gix's name for what the upstream says on the side.
const REMOTE: Id = *b"FERP";

/// One counter, and where the upstream's last words go.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    id: Id,
    step: StepShared,
    received: StepShared,
    failure: Failure,
}

impl Meter {
    /// Creates the root. The objects received are counted in `received`.
    pub(super) fn new(received: &StepShared, failure: &Failure) -> Self {
        Meter {
            id: gix::progress::UNKNOWN,
            step: Arc::new(AtomicUsize::new(0)),
            received: Arc::clone(received),
            failure: failure.clone(),
        }
    }
}

impl Count for Meter {
    fn set(&self, step: Step) {
        self.step.store(step, Ordering::Relaxed);
    }

    fn step(&self) -> Step {
        self.step.load(Ordering::Relaxed)
    }

    fn inc_by(&self, step: Step) {
        self.step.fetch_add(step, Ordering::Relaxed);
    }

    fn counter(&self) -> StepShared {
        Arc::clone(&self.step)
    }
}

impl Progress for Meter {
    fn init(&mut self, _max: Option<Step>, _unit: Option<Unit>) {
        self.set(0);
    }

    fn set_name(&mut self, _name: String) {}

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        self.id
    }

    fn message(&self, level: MessageLevel, message: String) {
        if self.id == REMOTE && level == MessageLevel::Failure {
            self.failure.keep_said(message);
        }
    }
}

impl NestedProgress for Meter {
    type SubProgress = Meter;

    fn add_child(&mut self, name: impl Into<String>) -> Meter {
        self.add_child_with_id(name, gix::progress::UNKNOWN)
    }

    fn add_child_with_id(&mut self, _name: impl Into<String>, id: Id) -> Meter {
        let step = if id == RECEIVED_OBJECTS { Arc::clone(&self.received) } else { Arc::new(AtomicUsize::new(0)) };
        Meter { id, step, received: Arc::clone(&self.received), failure: self.failure.clone() }
    }
}
