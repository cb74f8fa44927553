//! What a new repository begins with.

use super::bounds::check_new;
use super::request::{Request, new_task};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Layout, Repository, RepositoryId, SyncTask, TaskKind, TaskParameters};
use crate::state::RepositoryStatus;
use crate::store::NewRepository;

/// Decides the rows of a new repository: itself and its first task.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] for a mirror or a depth without a source, a text that is too long, or too many patterns.
pub fn create(new: &NewRepository, id: RepositoryId, now: Timestamp) -> Result<(Repository, SyncTask)> {
    check_new(new)?;
    if new.layout == Layout::Mirror && new.source.is_none() {
        let error = Error::new(ErrorKind::InvalidInput, "a mirror needs a source").in_field("is_mirror");
        return Err(error.hint("give a source_url"));
    }
    if new.depth.is_some() && new.source.is_none() {
        let error = Error::new(ErrorKind::InvalidInput, "a depth needs a source").in_field("depth");
        return Err(error.hint("give a source_url"));
    }
    let kind = if new.source.is_some() { TaskKind::Migrate } else { TaskKind::Initialize };
    let request = Request { kind, parameters: TaskParameters::default(), id: new.task };
    let repository = repository(new, id, now);
    let task = new_task(&repository, &request, false, now);
    Ok((repository, task))
}

fn repository(new: &NewRepository, id: RepositoryId, now: Timestamp) -> Repository {
    Repository {
        id,
        organisation: new.organisation,
        name: new.name.clone(),
        description: new.description.clone(),
        owner: new.owner.clone(),
        is_public: new.is_public,
        layout: new.layout,
        source: new.source.clone(),
        source_type: new.source_type,
        storage: new.storage.clone(),
        exclude_refs: new.exclude_refs.clone(),
        depth: new.depth,
        sync_interval: None,
        status: RepositoryStatus::Pending,
        error: None,
        before_archive: None,
        default_branch: None,
        last_commit: None,
        total_commits: 0,
        recorded_refs: 0,
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
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Depth, OrganisationId, SourceType, TaskId};
    use crate::rules::fixtures::NOW;

    fn new(layout: Layout, source: Option<&str>) -> NewRepository {
        NewRepository {
            organisation: OrganisationId(1),
            name: "r".parse().unwrap(),
            description: "d".into(),
            owner: "o".into(),
            is_public: true,
            layout,
            source: source.map(|source| source.parse().unwrap()),
            source_type: SourceType::Custom,
            storage: "default".parse().unwrap(),
            exclude_refs: Vec::new(),
            depth: None,
            task: TaskId::generate(),
        }
    }

    #[test]
    fn the_first_task_is_a_migrate_where_there_is_a_source() {
        let mirror = new(Layout::Mirror, Some("https://host/a"));
        let (repository, task) = create(&mirror, RepositoryId(7), NOW).unwrap();
        assert_eq!((task.id, task.repository, task.kind), (mirror.task, RepositoryId(7), TaskKind::Migrate));
        assert_eq!(task.organisation, mirror.organisation);
        assert_eq!((repository.status, repository.source), (RepositoryStatus::Pending, mirror.source));

        let (_, task) = create(&new(Layout::Bare, None), RepositoryId(7), NOW).unwrap();
        assert_eq!(task.kind, TaskKind::Initialize);
    }

    #[test]
    fn a_mirror_and_a_depth_need_a_source() {
        let shallow = NewRepository { depth: Some(Depth::new(1).unwrap()), ..new(Layout::Bare, None) };
        for sourceless in [new(Layout::Mirror, None), shallow] {
            let error = create(&sourceless, RepositoryId(1), NOW).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    }
}
