//! Which storage gets a new repository.

use super::storage::is_fresh;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{KnownStorages, StorageName, StorageRecord};

/// How many names an error suggests.
const SUGGESTIONS: usize = 10;

/// Decides where a new repository is put: where the caller wants it; else, of the storages that are being served, where there is
/// most room; else on the first of the process's own, whose worker is yet to come.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] if nobody knows the storage that is wanted; [`ErrorKind::Unavailable`] if there is none at all.
pub fn place(wanted: Option<&StorageName>, known: &KnownStorages, own: &[StorageName]) -> Result<StorageName> {
    let KnownStorages { at, storages } = known;
    if let Some(wanted) = wanted {
        let is_known = own.contains(wanted) || storages.iter().any(|storage| storage.name == *wanted);
        return if is_known { Ok(wanted.clone()) } else { Err(unknown(wanted, storages, own)) };
    }
    let served = storages.iter().filter(|storage| is_fresh(storage, *at));
    // The first by name of those that have equally much.
    let roomiest = served.max_by(|a, b| a.free_bytes.cmp(&b.free_bytes).then_with(|| b.name.cmp(&a.name)));
    let chosen = roomiest.map(|storage| &storage.name).or_else(|| own.iter().min());
    chosen.cloned().ok_or_else(|| {
        Error::new(ErrorKind::Unavailable, "no worker serves a storage")
            .hint("start a worker that has a disk, or name the storage of one that is to come back")
    })
}

fn unknown(wanted: &StorageName, known: &[StorageRecord], own: &[StorageName]) -> Error {
    let mut names: Vec<_> = known.iter().map(|storage| storage.name.as_str()).collect();
    names.extend(own.iter().map(StorageName::as_str));
    names.sort_unstable();
    names.dedup();
    let error = Error::new(ErrorKind::InvalidInput, "no worker has ever served a storage of that name");
    let error = error.in_field("storage").with("storage", wanted);
    match names.len() {
        0 => error.hint("start a worker that serves it"),
        1..=SUGGESTIONS => error.hint(format!("choose one of {}, or none", names.join(", "))),
        _ => error.hint(format!("choose one of {}, …, or none", names[..SUGGESTIONS].join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::fixtures::NOW;

    const TURN: Duration = Duration::from_secs(60);
    const FRESH: Duration = Duration::from_secs(59);

    fn name(name: &str) -> StorageName {
        name.parse().unwrap()
    }

    fn record(storage: &str, free_bytes: u64, age: Duration) -> StorageRecord {
        let (machine, seen_at) = ("here".into(), NOW.before(age));
        let (disk, served_until) = (None, seen_at.after(TURN));
        StorageRecord { name: name(storage), disk, machine, is_shared: false, free_bytes, seen_at, served_until }
    }

    fn known(storages: &[StorageRecord]) -> KnownStorages {
        KnownStorages { at: NOW, storages: storages.to_vec() }
    }

    #[test]
    fn what_is_wanted_has_to_be_known() {
        let known = known(&[record("a", 5, TURN * 100), record("b", 9, FRESH)]);
        let place = |wanted: &str| place(Some(&name(wanted)), &known, &[name("own")]);
        assert_eq!(place("a").unwrap(), name("a"), "its worker will be back");
        assert_eq!(place("own").unwrap(), name("own"));
        let error = place("c").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.hint_text().unwrap().contains("a, b, own"), "{error:?}");
    }

    #[test]
    fn a_hint_names_some_only() {
        let disks: Vec<_> = (10..99).map(|number| record(&format!("disk{number}"), 1, FRESH)).collect();
        let error = place(Some(&name("c")), &known(&disks), &[]).unwrap_err();
        assert!(error.hint_text().unwrap().contains("disk19, …"), "{error:?}");
    }

    #[test]
    fn the_roomiest_that_is_served_is_chosen() {
        let disks = [
            record("full", 0, FRESH),
            record("gone", 100, TURN),
            record("second", 50, FRESH),
            record("first", 50, FRESH),
        ];
        assert_eq!(place(None, &known(&disks), &[name("own")]).unwrap(), name("first"));
        assert_eq!(place(None, &known(&disks[..1]), &[]).unwrap(), name("full"));
    }

    #[test]
    fn without_one_that_is_served_it_is_the_process_own() {
        let gone = known(&[record("gone", 100, TURN)]);
        assert_eq!(place(None, &gone, &[name("b"), name("a")]).unwrap(), name("a"));
        assert_eq!(place(None, &known(&[]), &[name("b")]).unwrap(), name("b"));
        let error = place(None, &gone, &[]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.hint_text().is_some());
    }
}
