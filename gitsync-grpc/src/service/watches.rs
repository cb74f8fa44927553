//! How many tasks each caller watches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gitsync_core::{Error, ErrorKind, Result};

/// Counts watches by caller: the engine has places for a number of them, which one caller must not take from the others.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<HashMap<String, usize>>);

impl Watches {
    /// Lets a caller begin to watch, unless it watches `most` tasks already. It does so until the place is dropped.
    pub(super) fn enter(self: &Arc<Self>, caller: &str, most: usize) -> Result<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.get(caller).copied().unwrap_or(0) >= most {
            let error = Error::new(ErrorKind::LimitExceeded, format!("a caller watches at most {most} tasks at once"));
            return Err(error.hint("end other watches, or ask for the task from time to time"));
        }
        *counts.entry(caller.to_owned()).or_default() += 1;
        Ok(Place { watches: Arc::clone(self), caller: caller.to_owned() })
    }
}

/// One watch of a caller.
#[derive(Debug)]
pub(super) struct Place {
    watches: Arc<Watches>,
    caller: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.watches.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_places_and_gets_them_back() {
        let watches = Arc::new(Watches::default());
        let first = watches.enter("a", 2).unwrap();
        let second = watches.enter("a", 2).unwrap();
        assert_eq!(watches.enter("a", 2).unwrap_err().kind(), ErrorKind::LimitExceeded);
        let other = watches.enter("b", 2).unwrap();
        drop(first);
        let third = watches.enter("a", 2).unwrap();
        assert!(watches.enter("a", 2).is_err());
        drop((second, third, other));
        assert!(watches.0.lock().unwrap().is_empty(), "who is gone is forgotten");
    }
}
