//! What the tests of this crate share.

#![allow(dead_code, reason = "each test uses its part")]

use std::sync::Arc;

use gitsync_core::model::{Layout, Slug, SourceType, TaskId};
use gitsync_core::queue::{Lane, NewJob, QueueLimits};
use gitsync_core::store::NewRepository;
use gitsync_core::testing::ManualClock;
use gitsync_core::{Store, Timestamp};
use gitsync_store_postgres::PostgresStore;
use gitsync_test_postgres::Database;

pub(crate) async fn open(database: &Database, clock: &ManualClock, limits: QueueLimits) -> Arc<PostgresStore> {
    let options = database.options().clock(Arc::new(clock.clone()));
    Arc::new(PostgresStore::open(options, limits).await.expect("the database can be opened"))
}

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().expect("a slug")
}

/// A job that is due.
pub(crate) fn job(host: &str) -> NewJob {
    let lane = Lane { storage: "default".parse().expect("a name"), host: host.parse().expect("a host") };
    NewJob { id: TaskId::generate(), lane, priority: 0, run_at: Timestamp::from_secs(0), attempt: 0, epoch: 0 }
}

/// Describes a mirror in an organisation of its own.
pub(crate) async fn mirror(store: &PostgresStore) -> NewRepository {
    NewRepository {
        organisation: store.create_organisation(&slug("org"), "Org").await.expect("an organisation").id,
        name: "mirror".parse().expect("a name"),
        description: String::new(),
        owner: "somebody".into(),
        is_public: true,
        layout: Layout::Mirror,
        source: Some("https://host.example/mirror".parse().expect("a source")),
        source_type: SourceType::Custom,
        storage: "default".parse().expect("a name"),
        task: TaskId::generate(),
    }
}
