//! Which machine serves a storage.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{StorageRecord, StorageReport};

/// How long after a report a storage counts as served.
pub const STORAGE_FRESH_FOR: Duration = Duration::from_secs(60);

/// The most bytes of a machine's name.
pub const MAX_MACHINE_BYTES: usize = 255;

/// Tells whether a storage is being served: it was reported within [`STORAGE_FRESH_FOR`].
pub fn is_fresh(storage: &StorageRecord, now: Timestamp) -> bool {
    now.since(storage.seen_at) < STORAGE_FRESH_FOR
}

/// Tells whether a machine may work on the files of a storage: nobody else does, or all who do share it.
///
/// Who may is seldom another one: the machine that served it has been silent for [`STORAGE_FRESH_FOR`], which is as long as a
/// lease without a heartbeat.
pub fn may_serve(storage: &StorageRecord, machine: &str, is_shared: bool, now: Timestamp) -> bool {
    let agree = if storage.is_shared { is_shared } else { storage.machine == machine };
    agree || !is_fresh(storage, now)
}

/// Decides the row of a storage that a worker reports.
///
/// # Errors
/// [`ErrorKind::Conflict`] if the machine [may not serve](may_serve) it; [`ErrorKind::InvalidInput`] for a machine's name that
/// is empty, longer than [`MAX_MACHINE_BYTES`] or holds control characters.
pub fn report_storage(known: Option<&StorageRecord>, report: &StorageReport, now: Timestamp) -> Result<StorageRecord> {
    let machine = &report.machine;
    if machine.is_empty() || machine.len() > MAX_MACHINE_BYTES || machine.contains(char::is_control) {
        let message = format!("a machine's name has 1 to {MAX_MACHINE_BYTES} bytes and no control characters");
        return Err(Error::new(ErrorKind::InvalidInput, message).with("machine", machine.escape_debug()));
    }
    if let Some(known) = known.filter(|known| !may_serve(known, machine, report.is_shared, now)) {
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
        machine: machine.clone(),
        is_shared: report.is_shared,
        // Databases have no larger numbers.
        free_bytes: report.free_bytes.min(i64::MAX.unsigned_abs()),
        seen_at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::fixtures::NOW;

    /// The storage as this machine reported it.
    fn record(age: Duration) -> StorageRecord {
        let (name, machine) = ("a".parse().unwrap(), "here".into());
        StorageRecord { name, machine, is_shared: false, free_bytes: 1, seen_at: NOW.before(age) }
    }

    fn report(machine: &str, is_shared: bool) -> StorageReport {
        StorageReport { name: "a".parse().unwrap(), machine: machine.into(), is_shared, free_bytes: 7 }
    }

    const FRESH: Duration = Duration::from_secs(59);

    #[test]
    fn a_storage_is_served_from_one_machine_while_its_row_is_fresh() {
        let fresh = record(FRESH);
        let ours = report_storage(Some(&fresh), &report("here", false), NOW).unwrap();
        assert_eq!(ours, StorageRecord { free_bytes: 7, seen_at: NOW, ..fresh.clone() });
        for theirs in [report("there", false), report("there", true)] {
            let error = report_storage(Some(&fresh), &theirs, NOW).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.hint_text().unwrap().contains("shared"), "{error}");
        }
        let stale = record(STORAGE_FRESH_FOR);
        assert_eq!(report_storage(Some(&stale), &report("there", false), NOW).unwrap().machine, "there");
        assert_eq!(report_storage(None, &report("there", false), NOW).unwrap().machine, "there");
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
