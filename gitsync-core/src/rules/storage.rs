//! Which machine serves a storage.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{StorageRecord, StorageReport};

/// The most bytes of a machine's name.
pub const MAX_MACHINE_BYTES: usize = 255;

/// Tells whether a storage is being served: who reported it last may still be working.
pub fn is_fresh(storage: &StorageRecord, now: Timestamp) -> bool {
    now < storage.served_until
}

/// Tells whether who reports a storage may work on its files: they are on the disk that is known by this name, and nobody else
/// works on it, or all who do share it.
///
/// Another disk never serves, however long the right one has been silent: it does not have the repositories.
pub fn may_serve(storage: &StorageRecord, report: &StorageReport, now: Timestamp) -> bool {
    let agree = if storage.is_shared { report.is_shared } else { storage.machine == report.machine };
    !is_another_disk(storage, report) && (agree || !is_fresh(storage, now))
}

fn is_another_disk(storage: &StorageRecord, report: &StorageReport) -> bool {
    storage.disk.is_some_and(|disk| disk != report.disk)
}

/// Decides the row of a storage that a worker reports.
///
/// # Errors
/// [`ErrorKind::Conflict`] if the machine [may not serve](may_serve) it: for ever if it has another disk; [`ErrorKind::InvalidInput`] for a machine's name that
/// is empty, longer than [`MAX_MACHINE_BYTES`] or holds control characters.
pub fn report_storage(known: Option<&StorageRecord>, report: &StorageReport, now: Timestamp) -> Result<StorageRecord> {
    let machine = &report.machine;
    if machine.is_empty() || machine.len() > MAX_MACHINE_BYTES || machine.contains(char::is_control) {
        let message = format!("a machine's name has 1 to {MAX_MACHINE_BYTES} bytes and no control characters");
        return Err(Error::new(ErrorKind::InvalidInput, message).with("machine", machine.escape_debug()));
    }
    if let Some(known) = known.filter(|known| is_another_disk(known, report)) {
        let known_disk = known.disk.map(|disk| disk.to_string()).unwrap_or_default();
        return Err(Error::new(ErrorKind::Conflict, "the storage is another disk")
            .with("storage", &known.name)
            .with("known", known_disk)
            .with("found", report.disk)
            .with("machine", &known.machine)
            .with("seen_at", known.seen_at)
            .hint(
                "give each disk a name of its own; one that takes the place of a lost disk is told so by writing the known \
                 id to the file .gitsync/disk on it",
            ));
    }
    if let Some(known) = known.filter(|known| !may_serve(known, report, now)) {
        return Err(Error::new(ErrorKind::Conflict, "another machine serves the storage")
            .with("storage", &known.name)
            .with("machine", &known.machine)
            .with("seen_at", known.seen_at)
            .hint(
                "give each disk a name of its own; if locks on its files work among machines, declare it shared on all",
            ));
    }
    Ok(StorageRecord {
        name: report.name.clone(),
        disk: Some(report.disk),
        machine: machine.clone(),
        is_shared: report.is_shared,
        // Databases have no larger numbers.
        free_bytes: report.free_bytes.min(i64::MAX.unsigned_abs()),
        seen_at: now,
        served_until: now.after(report.serves_for),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::DiskId;
    use crate::rules::fixtures::NOW;

    const TURN: Duration = Duration::from_secs(100);
    const FRESH: Duration = Duration::from_secs(99);
    const DISK: &str = "0198c0de-0000-7000-8000-000000000001";

    /// The storage as this machine reported it.
    fn record(age: Duration) -> StorageRecord {
        StorageRecord { free_bytes: 1, ..report_storage(None, &report("here", false), NOW.before(age)).unwrap() }
    }

    fn report(machine: &str, is_shared: bool) -> StorageReport {
        let (name, disk, machine) = ("a".parse().unwrap(), DISK.parse().unwrap(), machine.into());
        StorageReport { name, disk, machine, is_shared, free_bytes: 7, serves_for: TURN }
    }

    #[test]
    fn a_storage_is_served_from_one_machine_while_its_row_is_fresh() {
        let fresh = record(FRESH);
        let ours = report_storage(Some(&fresh), &report("here", false), NOW).unwrap();
        let expected = StorageRecord { free_bytes: 7, seen_at: NOW, served_until: NOW.after(TURN), ..fresh.clone() };
        assert_eq!(ours, expected);
        for theirs in [report("there", false), report("there", true)] {
            let error = report_storage(Some(&fresh), &theirs, NOW).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.hint_text().unwrap().contains("shared"), "{error}");
        }
        let stale = record(TURN);
        assert_eq!(report_storage(Some(&stale), &report("there", false), NOW).unwrap().machine, "there");
        assert_eq!(report_storage(None, &report("there", false), NOW).unwrap().machine, "there");
    }

    /// Who is waited for says for how long.
    #[test]
    fn the_turn_of_who_serves_counts() {
        let hasty = StorageReport { serves_for: Duration::ZERO, ..report("there", false) };
        assert_eq!(report_storage(Some(&record(FRESH)), &hasty, NOW).unwrap_err().kind(), ErrorKind::Conflict);
    }

    #[test]
    fn another_disk_never_serves() {
        for (age, is_shared) in [(FRESH, false), (FRESH, true), (TURN * 1000, false)] {
            let known = StorageRecord { is_shared, ..record(age) };
            for machine in ["here", "there"] {
                let other = StorageReport { disk: DiskId::generate(), ..report(machine, is_shared) };
                let error = report_storage(Some(&known), &other, NOW).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Conflict);
                assert!(error.to_string().contains(DISK) && error.hint_text().unwrap().contains(".gitsync/disk"));
                assert!(!may_serve(&known, &other, NOW));
            }
        }
        let unknown = StorageRecord { disk: None, ..record(FRESH) };
        let first = report_storage(Some(&unknown), &report("here", false), NOW).unwrap();
        assert_eq!(first.disk, Some(DISK.parse().unwrap()));
    }

    #[test]
    fn a_shared_storage_is_served_by_all_who_declare_it() {
        let shared = StorageRecord { is_shared: true, ..record(FRESH) };
        assert_eq!(report_storage(Some(&shared), &report("there", true), NOW).unwrap().machine, "there");
        // Others than the one in the row may be at work.
        let alone = report_storage(Some(&shared), &report("here", false), NOW);
        assert_eq!(alone.unwrap_err().kind(), ErrorKind::Conflict);
        let declared = report_storage(Some(&record(FRESH)), &report("here", true), NOW).unwrap();
        assert!(declared.is_shared);
    }

    #[test]
    fn rows_hold_what_databases_can() {
        let huge = StorageReport { free_bytes: u64::MAX, ..report("here", false) };
        assert_eq!(report_storage(None, &huge, NOW).unwrap().free_bytes, i64::MAX.unsigned_abs());
        for machine in ["", "a\0", &"m".repeat(256)] {
            let error = report_storage(None, &report(machine, false), NOW).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{machine}");
        }
    }
}
