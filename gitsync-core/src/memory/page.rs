//! Pages of lists in memory.

use crate::model::{Cursor, Page, PageRequest};

/// Cuts a page out of a list, given with sort keys. Keys are unique and compared byte by byte.
pub(super) fn page<T>(list: impl Iterator<Item = (Vec<u8>, T)>, request: &PageRequest) -> Page<T> {
    let is_wanted = |key: &[u8]| request.after().is_none_or(|after| key > after.key());
    let mut rows: Vec<_> = list.filter(|(key, _)| is_wanted(key)).collect();
    rows.sort_by(|(left, _), (right, _)| left.cmp(right));
    let has_more = rows.len() > request.limit();
    rows.truncate(request.limit());
    let last_key = rows.last().map(|(key, _)| key.clone());
    Page {
        items: rows.into_iter().map(|(_, item)| item).collect(),
        next: last_key.filter(|_| has_more).map(Cursor::new),
    }
}

/// Returns a key that sorts like the number.
pub(super) fn rising(number: i64) -> Vec<u8> {
    // With its sign bit turned over, a number in two's complement sorts as its bytes do.
    (number ^ i64::MIN).to_be_bytes().to_vec()
}

/// Returns a key that sorts against the number: the highest first.
pub(super) fn falling(number: i64) -> Vec<u8> {
    rising(!number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_their_numbers_and_against_them() {
        let numbers = [i64::MIN, -2, -1, 0, 1, 255, 256, i64::MAX];
        assert!(numbers.map(rising).is_sorted());
        assert!(numbers.map(falling).iter().rev().is_sorted());
    }

    #[test]
    fn pages_are_full_until_the_last_which_says_so() {
        let list = || (0..5).rev().map(|number| (rising(number), number));
        let first = page(list(), &PageRequest::new(3, None).unwrap());
        assert_eq!(first.items, [0, 1, 2]);
        let second = page(list(), &PageRequest::new(2, first.next).unwrap());
        assert_eq!((second.items, second.next), (vec![3, 4], None));
    }
}
