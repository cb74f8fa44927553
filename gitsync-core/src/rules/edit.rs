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
/// [`ErrorKind::NotFound`] if the repository is being deleted; [`ErrorKind::Conflict`] if it is not at `version` any more, or
/// for a depth where the whole history was cloned or that has push targets; [`ErrorKind::InvalidInput`] for a text that is too long, too many patterns,
/// an interval out of bounds, or a depth without a source.
pub fn edit(repository: &Repository, version: i64, patch: &RepositoryPatch, now: Timestamp) -> Result<Repository> {
    check_not_deleted(repository)?;
    check_patch(patch)?;
    if repository.version != version {
        return Err(Error::new(ErrorKind::Conflict, "somebody else changed the repository meanwhile")
            .with("repository", repository.id)
            .hint("load it again and repeat the change"));
    }
    check_depth(repository, patch)?;
    let mut repository = repository.clone();
    let patch = patch.clone();
    repository.description = patch.description.unwrap_or(repository.description);
    repository.owner = patch.owner.unwrap_or(repository.owner);
    repository.is_public = patch.is_public.unwrap_or(repository.is_public);
    repository.exclude_refs = patch.exclude_refs.unwrap_or(repository.exclude_refs);
    repository.depth = patch.depth.unwrap_or(repository.depth);
    if let Some(interval) = patch.sync_interval {
        repository.sync_interval = interval;
        let soonest = interval.map(|interval| now.after(interval));
        repository.next_sync_at = repository.next_sync_at.map(|at| soonest.map_or(at, |soonest| soonest.min(at)));
    }
    repository.version += 1;
    repository.updated_at = now;
    Ok(repository)
}

/// A repository that has the whole history keeps it, and what breaks off is not pushed. Any other depth than that may follow
/// another.
fn check_depth(repository: &Repository, patch: &RepositoryPatch) -> Result<()> {
    let Some(Some(depth)) = patch.depth else { return Ok(()) };
    if repository.source.is_none() {
        let error = Error::new(ErrorKind::InvalidInput, "a repository without a source has no depth");
        return Err(error.in_field("depth").with("depth", depth));
    }
    if repository.push_targets > 0 {
        return Err(Error::new(ErrorKind::Conflict, "a repository with a limited depth has no push targets")
            .in_field("depth")
            .with("depth", depth)
            .hint("remove the push targets first"));
    }
    if repository.depth.is_none() && repository.recorded_refs > 0 {
        return Err(Error::new(ErrorKind::Conflict, "the repository has the whole history, and would lose commits")
            .in_field("depth")
            .with("depth", depth)
            .hint("create another repository with this depth, or leave this one as it is"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Depth;
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
    fn a_depth_may_change_but_not_take_away_a_whole_history() {
        let depth = |generations| Some(Depth::new(generations).unwrap());
        let set = |before: &Repository, after| {
            let patch = RepositoryPatch { depth: Some(after), ..RepositoryPatch::default() };
            edit(before, 0, &patch, NOW).map(|edited| edited.depth).map_err(|error| error.kind())
        };
        let source = Some("https://host/a".parse().unwrap());
        let fresh = Repository { source, recorded_refs: 0, depth: None, ..repository() };
        assert_eq!(set(&fresh, depth(3)), Ok(depth(3)), "nothing was cloned yet");
        let shallow = Repository { recorded_refs: 1, depth: depth(3), ..fresh.clone() };
        for after in [depth(2), depth(9), None] {
            assert_eq!(set(&shallow, after), Ok(after));
        }
        let whole = Repository { recorded_refs: 1, ..fresh.clone() };
        assert_eq!(set(&whole, depth(3)), Err(ErrorKind::Conflict));
        assert_eq!(set(&whole, None), Ok(None));
        let pushed = Repository { push_targets: 1, ..fresh.clone() };
        assert_eq!(set(&pushed, depth(3)), Err(ErrorKind::Conflict));
        assert_eq!(set(&pushed, None), Ok(None));
        let own = Repository { source: None, ..fresh };
        assert_eq!(set(&own, depth(3)), Err(ErrorKind::InvalidInput));
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
