//! The example `custom_backend`: whether its parts keep the contracts, and what it does with them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../custom_backend/audit/mod.rs"]
mod audit;
#[path = "../custom_backend/quota.rs"]
mod quota;
mod support;

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::testing::backend_suite::Subject;
use gitsync_core::testing::queue_suite::{LIMITS, QueueHarness};
use gitsync_core::testing::store_suite::StoreHarness;
use gitsync_core::testing::{Git, ManualClock, Upstream};
use gitsync_gix::GixBackend;
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};
use tempfile::TempDir;

use crate::audit::{AuditLog, Audited};
use crate::quota::Quota;
use crate::support::{example, printed};

async fn database(limits: QueueLimits) -> (Arc<Audited<SqliteStore>>, ManualClock, TempDir) {
    let (directory, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
    let path = directory.path().join("gitsync.db");
    let database = SqliteStore::open(path, Arc::new(clock.clone()), limits).await.unwrap();
    let log = AuditLog::open(&directory.path().join("audit.log"), Arc::new(clock.clone())).unwrap();
    (Arc::new(Audited::new(database, log)), clock, directory)
}

mod store {
    use super::*;

    async fn make() -> StoreHarness {
        let (store, clock, directory) = database(QueueLimits::default()).await;
        StoreHarness::new(store, clock).keep(directory)
    }

    gitsync_core::store_suite!(make);
}

mod queue {
    use super::*;

    async fn make() -> QueueHarness {
        let (queue, clock, directory) = database(LIMITS).await;
        QueueHarness::new(queue, clock).keep(directory)
    }

    gitsync_core::queue_suite!(make);
}

mod backend {
    use super::*;

    fn subject() -> Subject {
        let policy = SourcePolicy::builder()
            .schemes([Scheme::Http, Scheme::File])
            .allow_private_networks(true)
            .file_root(std::env::temp_dir())
            .push_host("127.0.0.1")
            .unwrap()
            .push_root(std::env::temp_dir())
            .build()
            .unwrap();
        let engine = Quota::new(GixBackend::default(), 1 << 30);
        Subject::new(engine, NetTransport::new(policy, NetOptions::default()))
    }

    gitsync_core::backend_suite!(subject);
}

fn mirror(data: &Path, upstream: &Upstream, quota: &str) -> Output {
    let mut command = example("custom_backend", data);
    command.args(["--quota", quota, "--file-root"]).args([upstream.root(), upstream.dir()]);
    command.output().unwrap()
}

#[test]
fn a_mirror_is_made_and_every_change_is_in_the_audit_log() {
    let upstream = Upstream::new();
    upstream.history("main", 5);
    let data = tempfile::tempdir().unwrap();
    let text = printed(&mirror(data.path(), &upstream, "1000000000"));
    assert!(text.contains(": 5 commits"), "{text}");
    let log = fs::read_to_string(data.path().join("data/audit.log")).unwrap();
    let lines =
        ["created: audited", "repository 1 created", "claimed", "started", "5 commits recorded", "ended: completed"];
    let places: Vec<_> = lines.iter().map(|line| log.find(line).unwrap_or_else(|| panic!("{line}: {log}"))).collect();
    assert!(places.is_sorted(), "in this order: {log}");
}

#[test]
fn a_repository_that_would_outgrow_its_quota_stays_as_it_is() {
    let upstream = Upstream::new();
    upstream.history("main", 5);
    let data = tempfile::tempdir().unwrap();
    let refused = mirror(data.path(), &upstream, "100");
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("the repository would outgrow its quota"), "{text}");

    printed(&mirror(data.path(), &upstream, "1000000000"));
    let git = Git::at(data.path().join("data/repos/audited").join(upstream.dir().file_stem().unwrap()));
    let before = git.refs();
    upstream.history("main", 5);
    assert!(!mirror(data.path(), &upstream, "100").status.success());
    assert_eq!(git.refs(), before);
    git.assert_sound();
}
