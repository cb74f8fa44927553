//! How many of a thing each of many has.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what each has, so that nobody takes what is there for all. It remembers only those who have something.
#[derive(Debug)]
pub(crate) struct Places<K>(Mutex<HashMap<K, usize>>);

impl<K> Default for Places<K> {
    fn default() -> Self {
        Places(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Places<K> {
    /// Gives a place to somebody who has fewer than `most`, until it is dropped.
    pub(crate) fn enter(self: &Arc<Self>, who: K, most: usize) -> Option<Place<K>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.get(&who).copied().unwrap_or(0) >= most {
            return None;
        }
        *counts.entry(who.clone()).or_default() += 1;
        Some(Place { places: Arc::clone(self), who })
    }
}

/// A place that somebody has.
#[derive(Debug)]
pub(crate) struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    who: K,
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_places_and_gets_them_back() {
        let places = Arc::new(Places::default());
        let first = places.enter("a", 2).unwrap();
        let second = places.enter("a", 2).unwrap();
        assert!(places.enter("a", 2).is_none());
        let other = places.enter("b", 2).unwrap();
        drop(first);
        let third = places.enter("a", 2).unwrap();
        assert!(places.enter("a", 2).is_none());
        drop((second, third, other));
        assert!(places.0.lock().unwrap().is_empty(), "who is gone is forgotten");
    }
}
