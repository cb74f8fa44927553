//! Rows for the tests of the rules.

use super::request::{Request, new_task};
use crate::clock::Timestamp;
use crate::model::{
    Layout, OrganisationId, Repository, RepositoryId, SourceType, SyncTask, TaskId, TaskKind, TaskParameters,
};
use crate::state::RepositoryStatus;

pub(super) const NOW: Timestamp = Timestamp::from_secs(1_000);

/// An active repository with a source and something recorded.
pub(super) fn repository() -> Repository {
    Repository {
        id: RepositoryId(1),
        organisation: OrganisationId(1),
        name: "r".parse().unwrap(),
        description: String::new(),
        owner: String::new(),
        is_public: false,
        layout: Layout::Bare,
        source: Some("https://host/a".parse().unwrap()),
        source_type: SourceType::Custom,
        storage: "default".parse().unwrap(),
        exclude_refs: Vec::new(),
        depth: None,
        sync_interval: None,
        status: RepositoryStatus::Active,
        error: None,
        before_archive: None,
        default_branch: None,
        last_commit: None,
        total_commits: 0,
        recorded_refs: 1,
        size_bytes: 0,
        last_synced_at: None,
        last_changed_at: None,
        next_sync_at: None,
        shrank_at: None,
        refused_credentials: None,
        failures: 0,
        push_targets: 0,
        fence: 0,
        recording: None,
        version: 0,
        created_at: NOW,
        updated_at: NOW,
        deleted_at: None,
    }
}

/// A waiting task of that repository.
pub(super) fn task(kind: TaskKind) -> SyncTask {
    let parameters = TaskParameters::default();
    new_task(&repository(), &Request { kind, parameters, id: TaskId::generate() }, false, NOW)
}
