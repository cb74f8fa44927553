//! Repositories.

use gitsync_core::model::{Layout, Repository, Slug};

use super::{duration, hash, shown, text, time};
use crate::proto;

/// Converts a repository for those who have a role in its organisation.
pub(crate) fn repository(repository: &Repository, organisation: &Slug) -> proto::Repository {
    let (error_kind, error_message) = shown(repository.error.as_ref());
    proto::Repository {
        id: repository.id.0,
        name: repository.name.to_string(),
        description: repository.description.clone(),
        organisation_id: repository.organisation.0,
        organisation_slug: organisation.to_string(),
        source_url: repository.source.as_ref().map_or_else(String::new, ToString::to_string),
        source_type: repository.source_type.as_str().to_owned(),
        status: repository.status.as_str().to_owned(),
        is_public: repository.is_public,
        is_bare: repository.layout != Layout::Regular,
        is_mirror: repository.layout == Layout::Mirror,
        default_branch: repository.default_branch.as_ref().map_or_else(String::new, |name| text(name.short())),
        last_commit_hash: hash(repository.last_commit.as_ref()),
        total_commits: repository.total_commits,
        size_bytes: repository.size_bytes,
        last_synced_at: repository.last_synced_at.map(time),
        next_sync_at: repository.next_sync_at.map(time),
        error_kind,
        error_message,
        owner: repository.owner.clone(),
        created_at: Some(time(repository.created_at)),
        updated_at: Some(time(repository.updated_at)),
        storage: repository.storage.to_string(),
        exclude_refs: repository.exclude_refs.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
        sync_interval: repository.sync_interval.map(duration),
        version: repository.version,
        last_changed_at: repository.last_changed_at.map(time),
        shrank_at: repository.shrank_at.map(time),
        recorded_refs: repository.recorded_refs,
    }
}

/// Converts a repository for those who see it only because it is public: without where it comes from and is kept, who
/// created it, and what went wrong with it.
pub(crate) fn public_repository(repository: &Repository, organisation: &Slug) -> proto::Repository {
    proto::Repository {
        source_url: String::new(),
        owner: String::new(),
        storage: String::new(),
        error_message: String::new(),
        ..self::repository(repository, organisation)
    }
}
