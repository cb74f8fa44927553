//! Maps and sets of object ids, which are random enough to be hashed quickly.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use gitsync_core::model::ObjectId;

/// A map by object id.
pub type IdMap<T> = HashMap<ObjectId, T, IdState>;

/// A set of object ids.
pub type IdSet = HashSet<ObjectId, IdState>;

/// Makes the hashers of [`IdMap`] and [`IdSet`].
///
/// Whoever makes objects can choose some bits of their ids, but does not know the secret that decides where they go.
#[derive(Clone, Copy, Debug)]
pub struct IdState(u64);

impl Default for IdState {
    fn default() -> Self {
        static SECRET: OnceLock<u64> = OnceLock::new();
        IdState(*SECRET.get_or_init(|| RandomState::new().hash_one(())))
    }
}

impl BuildHasher for IdState {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher { secret: self.0, hash: 0 }
    }
}

/// Hashes an id by its first bytes.
#[derive(Clone, Copy, Debug)]
pub struct IdHasher {
    secret: u64,
    hash: u64,
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        // Lengths and the number of the hash function come as fewer bytes.
        if let Some(first) = bytes.first_chunk() {
            let mixed = u128::from(u64::from_ne_bytes(*first) ^ self.secret) * 0x9e37_79b9_7f4a_7c15;
            self.hash = (mixed >> 64) as u64 ^ mixed as u64;
        }
    }

    fn write_isize(&mut self, _: isize) {}

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_differ_in_one_byte_are_told_apart_and_spread() {
        let ids: Vec<ObjectId> =
            (0..=u8::MAX).map(|byte| ObjectId::from_bytes(&[&[byte][..], &[7; 19]].concat()).unwrap()).collect();
        let set: IdSet = ids.iter().copied().collect();
        assert_eq!(set.len(), ids.len());
        let low: HashSet<u64> = ids.iter().map(|id| IdState::default().hash_one(id) & 0xff).collect();
        assert!(low.len() > 100, "{} of 256", low.len());
    }
}
