//! What is to go wrong with which calls, and when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::{Error, ErrorKind, Result};

/// A call that is kept waiting. It goes on when it is released, or when this is dropped.
#[derive(Debug)]
pub struct HeldCall(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    reached: Notify,
    open: Notify,
}

impl HeldCall {
    /// Completes when the call was made.
    pub async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// Lets the call go on.
    pub fn release(self) {
        // Dropping does it.
    }
}

impl Drop for HeldCall {
    fn drop(&mut self) {
        self.0.open.notify_one();
    }
}

#[derive(Debug)]
enum Fault {
    Fail(Error),
    FailAfter(Error),
    Delay(Arc<Gate>),
}

/// The faults that are planned for the calls `C`, and how often each was made.
#[derive(Debug)]
pub(super) struct Faults<C>(Mutex<State<C>>);

#[derive(Debug)]
struct State<C> {
    made: BTreeMap<C, usize>,
    /// By call and its number, counted from the first one ever made.
    planned: BTreeMap<(C, usize), Fault>,
    away: bool,
}

impl<C: Copy + Ord> Faults<C> {
    pub(super) fn fail(&self, call: C, nth: usize, error: Error) {
        self.plan(call, nth, Fault::Fail(error));
    }

    pub(super) fn fail_after(&self, call: C, nth: usize, error: Error) {
        self.plan(call, nth, Fault::FailAfter(error));
    }

    pub(super) fn delay(&self, call: C, nth: usize) -> HeldCall {
        let gate = Arc::new(Gate::default());
        self.plan(call, nth, Fault::Delay(Arc::clone(&gate)));
        HeldCall(gate)
    }

    pub(super) fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    pub(super) fn count(&self, call: C) -> usize {
        self.lock().made.get(&call).copied().unwrap_or(0)
    }

    /// Is called before a call is handed on: fails instead of it, keeps it waiting, or returns the error that its caller
    /// gets after it.
    pub(super) async fn before(&self, call: C) -> Result<Option<Error>> {
        match self.next_fault(call)? {
            None => Ok(None),
            Some(Fault::Fail(error)) => Err(error),
            Some(Fault::FailAfter(error)) => Ok(Some(error)),
            Some(Fault::Delay(gate)) => {
                gate.reached.notify_one();
                gate.open.notified().await;
                Ok(None)
            }
        }
    }

    fn next_fault(&self, call: C) -> Result<Option<Fault>> {
        let mut state = self.lock();
        let number = *state.made.entry(call).and_modify(|made| *made += 1).or_insert(1);
        if state.away {
            return Err(Error::new(ErrorKind::Unavailable, "it is away, as the test wants it"));
        }
        Ok(state.planned.remove(&(call, number)))
    }

    fn plan(&self, call: C, nth: usize, fault: Fault) {
        assert!(nth > 0, "calls are counted from 1");
        let mut state = self.lock();
        let made = state.made.get(&call).copied().unwrap_or(0);
        state.planned.insert((call, made + nth), fault);
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Default for Faults<C> {
    fn default() -> Self {
        Faults(Mutex::new(State { made: BTreeMap::new(), planned: BTreeMap::new(), away: false }))
    }
}
