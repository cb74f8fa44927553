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
        depth: repository.depth.and_then(|depth| i32::try_from(depth.get().get()).ok()),
    }
}

/// Converts a repository for those who see it only because it is public: what it is, what is in it and how fresh that is. Where
/// it comes from and is kept, who runs it and how, and what went wrong with it is not theirs to know; so what is shown is listed
/// here, and what is added to the message stays hidden.
pub(crate) fn public_repository(repository: &Repository, organisation: &Slug) -> proto::Repository {
    let all = self::repository(repository, organisation);
    proto::Repository {
        id: all.id,
        name: all.name,
        description: all.description,
        organisation_id: all.organisation_id,
        organisation_slug: all.organisation_slug,
        status: all.status,
        is_public: all.is_public,
        is_bare: all.is_bare,
        is_mirror: all.is_mirror,
        default_branch: all.default_branch,
        last_commit_hash: all.last_commit_hash,
        total_commits: all.total_commits,
        size_bytes: all.size_bytes,
        last_synced_at: all.last_synced_at,
        created_at: all.created_at,
        last_changed_at: all.last_changed_at,
        recorded_refs: all.recorded_refs,
        ..proto::Repository::default()
    }
}
