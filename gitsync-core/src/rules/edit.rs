//! What an edit by the user changes.

use super::archive::check_not_deleted;
use super::bounds::check_patch;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Repository;
use crate::store::RepositoryPatch;

/// Decides what an edit of a repository changes. The edit was made looking at `version`.
///
/// A shorter interval counts from now on, not only from the end of the next sync.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the repository is being deleted; [`ErrorKind::Conflict`] if it is not at `version` any more;
/// [`ErrorKind::InvalidInput`] for a text that is too long, too many patterns, or an interval out of bounds.
pub fn edit(repository: &Repository, version: i64, patch: &RepositoryPatch, now: Timestamp) -> Result<Repository> {
    check_not_deleted(repository)?;
    check_patch(patch)?;
    if repository.version != version {
        return Err(Error::new(ErrorKind::Conflict, "somebody else changed the repository meanwhile")
            .with("repository", repository.id)
            .hint("load it again and repeat the change"));
    }
    let mut repository = repository.clone();
    let patch = patch.clone();
    repository.description = patch.description.unwrap_or(repository.description);
    repository.owner = patch.owner.unwrap_or(repository.owner);
    repository.is_public = patch.is_public.unwrap_or(repository.is_public);
    repository.exclude_refs = patch.exclude_refs.unwrap_or(repository.exclude_refs);
    if let Some(interval) = patch.sync_interval {
        repository.sync_interval = interval;
        let soonest = interval.map(|interval| now.after(interval));
        repository.next_sync_at = repository.next_sync_at.map(|at| soonest.map_or(at, |soonest| soonest.min(at)));
    }
    repository.version += 1;
    repository.updated_at = now;
    Ok(repository)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::fixtures::{NOW, repository};

    const LATER: Timestamp = Timestamp::from_secs(100_000);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_not_named_stays() {
        let patch = RepositoryPatch { description: Some("new".into()), ..RepositoryPatch::default() };
        let edited = edit(&repository(), 0, &patch, LATER).unwrap();
        let expected = Repository { description: "new".into(), version: 1, updated_at: LATER, ..repository() };
        assert_eq!(edited, expected);
    }

    #[test]
    fn an_edit_of_another_version_is_a_conflict() {
        let error = edit(&repository(), 1, &RepositoryPatch::default(), NOW).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }

    #[test]
    fn a_shorter_interval_pulls_the_next_sync_forward_and_a_longer_one_does_not_push_it() {
        let scheduled = Repository { next_sync_at: Some(LATER), ..repository() };
        let set = |interval| RepositoryPatch { sync_interval: Some(interval), ..RepositoryPatch::default() };
        let next = |interval| edit(&scheduled, 0, &set(interval), NOW).unwrap().next_sync_at;
        assert_eq!(next(Some(MINUTE)), Some(NOW.after(MINUTE)));
        assert_eq!(next(Some(Duration::from_secs(1_000_000))), Some(LATER));
        assert_eq!(next(None), Some(LATER));
        let unscheduled = edit(&repository(), 0, &set(Some(MINUTE)), NOW).unwrap();
        assert_eq!(unscheduled.next_sync_at, None, "an interval does not schedule what is not scheduled");
    }
}
