//! Storages: who serves them, and how much room they have.

use std::sync::Arc;
use std::time::Duration;

use super::harness::{SECOND, StoreHarness, refusal};
use crate::error::{ErrorKind, Result};
use crate::model::{DiskId, StorageRecord, StorageReport};
use crate::rules::MAX_MACHINE_BYTES;
use crate::store::MAX_STORAGES;

/// How long a report holds.
const TURN: Duration = Duration::from_secs(60);

/// The last report of a machine is what is known of its storage.
pub async fn a_report_is_kept(h: StoreHarness) {
    assert_eq!(storages(&h).await, []);
    for free_bytes in [7, 0, u64::MAX >> 1, u64::MAX] {
        h.clock.advance(10 * SECOND);
        let report = StorageReport { free_bytes, ..report("disk", "here") };
        h.store.report_storage(&report).await.expect("a storage can be reported");
        let found = only(&h).await;
        h.assert_now(Some(found.seen_at));
        assert_eq!((found.name.as_str(), found.machine.as_str(), found.is_shared), ("disk", "here", false));
        assert_eq!(found.free_bytes, free_bytes.min(u64::MAX >> 1));
        assert_eq!((found.disk, found.served_until), (Some(report.disk), found.seen_at.after(TURN)));
    }
}

/// Another machine takes over when the one before has been silent, and not earlier.
pub async fn a_storage_is_served_from_one_machine(h: StoreHarness) {
    try_report(&h, report("disk", "here")).await.expect("nobody else serves it");
    let before = only(&h).await;
    h.clock.advance(TURN - SECOND);
    let shared = StorageReport { is_shared: true, ..report("disk", "there") };
    for theirs in [report("disk", "there"), shared] {
        assert_eq!(refusal(try_report(&h, theirs).await), ErrorKind::Conflict);
        assert_eq!(only(&h).await, before);
    }
    try_report(&h, report("other", "there")).await.expect("another storage is another matter");
    try_report(&h, report("disk", "here")).await.expect("it goes on");

    h.clock.advance(TURN - SECOND);
    assert_eq!(refusal(try_report(&h, report("disk", "there")).await), ErrorKind::Conflict);
    h.clock.advance(2 * SECOND);
    try_report(&h, report("disk", "there")).await.expect("the other one is gone");
    assert_eq!(refusal(try_report(&h, report("disk", "here")).await), ErrorKind::Conflict);
    let disk = storages(&h).await.into_iter().find(|storage| storage.name.as_str() == "disk");
    assert_eq!(disk.expect("it is known").machine, "there");
}

/// Two disks that bear one name stay apart, however long the right one is away, whether they are declared shared or not, and
/// also on the same machine. The right one is welcome on any.
pub async fn another_disk_is_never_taken_for_a_storage(h: StoreHarness) {
    try_report(&h, report("disk", "here")).await.expect("nobody else serves it");
    let before = only(&h).await;
    for pause in [SECOND, TURN + SECOND, 1000 * TURN] {
        h.clock.advance(pause);
        for (machine, is_shared) in [("here", false), ("there", false), ("there", true)] {
            let other = StorageReport { disk: DiskId::generate(), is_shared, ..report("disk", machine) };
            assert_eq!(refusal(try_report(&h, other).await), ErrorKind::Conflict);
            assert_eq!(only(&h).await, before);
        }
    }
    try_report(&h, report("disk", "here after a start")).await.expect("it is the same disk");
    assert_eq!(only(&h).await.disk, before.disk);
}

/// Who serves a storage says for how long nobody may take it over.
pub async fn a_storage_is_served_as_long_as_its_report_says(h: StoreHarness) {
    let hour = Duration::from_secs(3600);
    let long = StorageReport { serves_for: hour, ..report("disk", "here") };
    try_report(&h, long).await.expect("nobody else serves it");
    h.clock.advance(hour - SECOND);
    assert_eq!(refusal(try_report(&h, report("disk", "there")).await), ErrorKind::Conflict);
    h.clock.advance(2 * SECOND);
    try_report(&h, report("disk", "there")).await.expect("the other one is gone");
}

/// Machines that all declare a storage shared serve it at once. One that does not has to wait for all of them to end.
pub async fn a_shared_storage_is_served_from_many(h: StoreHarness) {
    let shared = |machine: &str| StorageReport { is_shared: true, ..report("disk", machine) };
    for machine in ["here", "there", "here"] {
        try_report(&h, shared(machine)).await.expect("it is shared");
        let found = only(&h).await;
        assert_eq!((found.machine.as_str(), found.is_shared), (machine, true));
    }
    assert_eq!(refusal(try_report(&h, report("disk", "here")).await), ErrorKind::Conflict);
    h.clock.advance(TURN + SECOND);
    try_report(&h, report("disk", "here")).await.expect("nobody else is left");
    assert!(!only(&h).await.is_shared);
    assert_eq!(refusal(try_report(&h, shared("there")).await), ErrorKind::Conflict);
    try_report(&h, shared("here")).await.expect("it is shared from now on");
    try_report(&h, shared("there")).await.expect("it is shared");
}

/// Of machines that report a storage at the same moment, one serves it, whether it is new or was given up.
pub async fn of_machines_at_once_one_gets_a_storage(h: StoreHarness) {
    let h = Arc::new(h);
    for round in 0..3 {
        let reporter = |number| {
            let h = Arc::clone(&h);
            tokio::spawn(async move {
                let machine = format!("machine-{round}-{number}");
                try_report(&h, report("disk", &machine)).await.map(|()| machine)
            })
        };
        let reporters: Vec<_> = (0..8).map(reporter).collect();
        let mut accepted = Vec::new();
        for reporter in reporters {
            match reporter.await.expect("a report does not panic") {
                Ok(machine) => accepted.push(machine),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
            }
        }
        assert_eq!(accepted, [only(&h).await.machine]);
        h.clock.advance(TURN + SECOND);
    }
}

/// The list is bounded, and what was reported last is on it.
pub async fn the_ones_seen_last_come_first(h: StoreHarness) {
    for number in 0..=MAX_STORAGES {
        try_report(&h, report(&format!("disk{number}"), "here")).await.expect("a storage can be reported");
        if number % 10 == 0 {
            h.clock.advance(SECOND);
        }
    }
    let found = storages(&h).await;
    assert_eq!(found.len(), MAX_STORAGES);
    assert!(found.is_sorted_by(|a, b| a.seen_at >= b.seen_at));
    assert!(found.iter().all(|storage| storage.name.as_str() != "disk0"));
}

/// Nobody has a name that is empty, very long or not to be shown.
pub async fn an_odd_machine_is_refused(h: StoreHarness) {
    for machine in ["", "a\0b", "a\nb", &"m".repeat(MAX_MACHINE_BYTES + 1)] {
        assert_eq!(refusal(try_report(&h, report("disk", machine)).await), ErrorKind::InvalidInput);
    }
    assert_eq!(storages(&h).await, []);
    let longest = "\u{e9}".repeat(MAX_MACHINE_BYTES / 2);
    try_report(&h, report("disk", &longest)).await.expect("its name is short enough");
    assert_eq!(only(&h).await.machine, longest);
}

fn report(storage: &str, machine: &str) -> StorageReport {
    let (name, machine) = (storage.parse().expect("a storage name"), machine.to_owned());
    let disk = "0198c0de-0000-7000-8000-000000000001".parse().expect("the id of a disk");
    StorageReport { name, disk, machine, is_shared: false, free_bytes: 1 << 40, serves_for: TURN }
}

async fn try_report(h: &StoreHarness, report: StorageReport) -> Result<()> {
    h.store.report_storage(&report).await
}

async fn storages(h: &StoreHarness) -> Vec<StorageRecord> {
    let known = h.store.storages().await.expect("storages can be listed");
    h.assert_now(Some(known.at));
    known.storages
}

async fn only(h: &StoreHarness) -> StorageRecord {
    let mut found = storages(h).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
