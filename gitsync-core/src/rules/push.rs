//! Push targets, and what becomes of them.

use std::time::Duration;

use super::archive::check_not_deleted;
use super::request::{Request, Unfinished};
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Layout, PushCounts, PushTarget, Repository, StoredError, TaskKind};
use crate::plan::Digest;
use crate::source::SourceUrl;

/// The most push targets of a repository.
pub const MAX_PUSH_TARGETS: u32 = 8;

/// How long a push target is left alone after its first failure; twice as long after each further one.
pub const FIRST_PUSH_PAUSE: Duration = Duration::from_secs(60);

/// The longest time a push target is left alone.
pub const LONGEST_PUSH_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// How a push ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// The target has what it is to have.
    Pushed {
        /// The digest of that.
        digest: Digest,
        /// What was done.
        counts: PushCounts,
    },
    /// The target lacks something.
    Failed {
        /// Why.
        error: StoredError,
        /// How long it asks to be left alone, if it does.
        retry_after: Option<Duration>,
        /// What was done, if the target took part of it.
        counts: Option<PushCounts>,
    },
}

/// Decides what adding a push target changes: the repository, and the new target. `targets` are those there are.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the repository is being deleted; [`ErrorKind::AlreadyExists`] if it has the target;
/// [`ErrorKind::LimitExceeded`] if it has [`MAX_PUSH_TARGETS`]; [`ErrorKind::InvalidInput`] for its own source, which would be
/// pushed what it has, also for one that an unfinished migrate makes it; [`ErrorKind::Unsupported`] if it has a working tree,
/// whose branches are not those of its upstream, or a depth: a server refuses a history that breaks off.
pub fn add_push_target(
    repository: &Repository,
    unfinished: Unfinished<'_>,
    targets: &[PushTarget],
    url: &SourceUrl,
    now: Timestamp,
) -> Result<(Repository, PushTarget)> {
    check_not_deleted(repository)?;
    let refused = |kind, message: &str| Err(Error::new(kind, message).with("url", url));
    if repository.layout == Layout::Regular {
        return refused(ErrorKind::Unsupported, "a repository with a working tree has no push targets");
    }
    if repository.depth.is_some() {
        return refused(ErrorKind::Unsupported, "a repository with a limited depth has no push targets");
    }
    if targets.iter().any(|target| target.url == *url) {
        return refused(ErrorKind::AlreadyExists, "the repository has this push target");
    }
    let mut tasks = unfinished.pending.into_iter().chain(unfinished.running);
    let is_migrated_from =
        tasks.any(|task| task.kind == TaskKind::Migrate && task.parameters.source.as_ref() == Some(url));
    if repository.source.as_ref() == Some(url) || is_migrated_from {
        let message = "the source of a repository is no push target";
        return Err(Error::new(ErrorKind::InvalidInput, message).in_field("url").with("url", url));
    }
    let count = u32::try_from(targets.len()).unwrap_or(u32::MAX);
    if count >= MAX_PUSH_TARGETS {
        let message = format!("a repository has at most {MAX_PUSH_TARGETS} push targets");
        return refused(ErrorKind::LimitExceeded, &message);
    }
    let target = PushTarget {
        repository: repository.id,
        url: url.clone(),
        added_at: now,
        has: None,
        pushed_at: None,
        last: PushCounts::default(),
        error: None,
        failures: 0,
        retry_at: None,
    };
    // One that is synced on schedule is due: that is when it pushes.
    let next_sync_at = repository.next_sync_at.map(|at| at.min(now));
    Ok((Repository { push_targets: count + 1, next_sync_at, ..repository.clone() }, target))
}

/// Refuses a migrate from a place that is pushed to: the repository would be its own upstream.
pub(super) fn check_source(targets: &[PushTarget], request: &Request) -> Result<()> {
    let source = request.parameters.source.as_ref().filter(|_| request.kind == TaskKind::Migrate);
    let Some(target) = source.and_then(|source| targets.iter().find(|target| target.url == *source)) else {
        return Ok(());
    };
    let error = Error::new(ErrorKind::InvalidInput, "a push target of a repository is no source for it");
    Err(error.in_field("source_url").with("source", &target.url).hint("remove the push target first"))
}

/// Decides what removing a push target changes. What was pushed stays there.
///
/// # Errors
/// [`ErrorKind::NotFound`] if the repository is being deleted or has no such target.
pub fn remove_push_target(repository: &Repository, targets: &[PushTarget], url: &SourceUrl) -> Result<Repository> {
    check_not_deleted(repository)?;
    if !targets.iter().any(|target| target.url == *url) {
        return Err(Error::new(ErrorKind::NotFound, "the repository has no such push target").with("url", url));
    }
    let left = u32::try_from(targets.len() - 1).unwrap_or(u32::MAX);
    Ok(Repository { push_targets: left, ..repository.clone() })
}

/// Decides what a push changes of its target.
///
/// What a target has after a failure is not known, so it is asked by the next push, which comes after a pause that doubles.
pub fn record_push(target: &PushTarget, outcome: &PushOutcome, now: Timestamp) -> PushTarget {
    let mut target = target.clone();
    match outcome {
        PushOutcome::Pushed { digest, counts } => {
            (target.has, target.pushed_at, target.last) = (Some(*digest), Some(now), *counts);
            (target.error, target.failures, target.retry_at) = (None, 0, None);
        }
        PushOutcome::Failed { error, retry_after, counts } => {
            let doubled = FIRST_PUSH_PAUSE.saturating_mul(2_u32.saturating_pow(target.failures));
            let pause = doubled.max(retry_after.unwrap_or_default()).min(LONGEST_PUSH_PAUSE);
            target.has = None;
            target.last = counts.unwrap_or(target.last);
            target.error = Some(error.clone());
            target.failures = target.failures.saturating_add(1);
            target.retry_at = Some(now.after(pause));
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Depth, PushStatus, TaskId, TaskParameters};
    use crate::rules::fixtures::{NOW, repository};
    use crate::rules::request as request_task;
    use crate::rules::request::new_task;

    fn url(text: &str) -> SourceUrl {
        text.parse().unwrap()
    }

    fn add_push_target(
        repository: &Repository,
        targets: &[PushTarget],
        url: &SourceUrl,
        now: Timestamp,
    ) -> Result<(Repository, PushTarget)> {
        super::add_push_target(repository, Unfinished::default(), targets, url, now)
    }

    fn target() -> PushTarget {
        add_push_target(&repository(), &[], &url("https://target/a"), NOW).unwrap().1
    }

    fn failure(retry_after: Option<Duration>) -> PushOutcome {
        let error = StoredError { kind: ErrorKind::SourceUnreachable, message: "away".into() };
        PushOutcome::Failed { error, retry_after, counts: None }
    }

    #[test]
    fn targets_are_few_and_each_is_there_once() {
        let (mut repository, mut targets) = (repository(), Vec::new());
        for number in 0..MAX_PUSH_TARGETS {
            let url = url(&format!("https://target/{number}"));
            let (changed, target) = add_push_target(&repository, &targets, &url, NOW).unwrap();
            assert_eq!((changed.push_targets, changed.next_sync_at), (number + 1, None));
            (repository, targets) = (changed, [targets, vec![target]].concat());
        }
        let refused = |text| add_push_target(&repository, &targets, &url(text), NOW).unwrap_err().kind();
        assert_eq!(refused("https://target/9"), ErrorKind::LimitExceeded);
        assert_eq!(refused("https://TARGET:443/3/"), ErrorKind::AlreadyExists);
        assert_eq!(remove_push_target(&repository, &targets, &url("https://target/3")).unwrap().push_targets, 7);
        let absent = remove_push_target(&repository, &targets, &url("https://target/9")).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_synced_on_schedule_is_due_with_a_new_target() {
        let day = Duration::from_secs(24 * 3600);
        for (scheduled, expected) in [(NOW.after(day), NOW), (NOW.before(day), NOW.before(day))] {
            let scheduled = Repository { next_sync_at: Some(scheduled), ..repository() };
            let (changed, _) = add_push_target(&scheduled, &[], &url("https://target/a"), NOW).unwrap();
            assert_eq!(changed.next_sync_at, Some(expected));
        }
    }

    #[test]
    fn what_is_no_target_and_what_has_none_are_refused() {
        let own = url("https://host/a");
        assert_eq!(add_push_target(&repository(), &[], &own, NOW).unwrap_err().kind(), ErrorKind::InvalidInput);
        let regular = Repository { layout: Layout::Regular, ..repository() };
        let tree = add_push_target(&regular, &[], &url("https://target/a"), NOW).unwrap_err();
        assert_eq!(tree.kind(), ErrorKind::Unsupported);
        let shallow = Repository { depth: Some(Depth::new(1).unwrap()), ..repository() };
        let cut_off = add_push_target(&shallow, &[], &url("https://target/a"), NOW).unwrap_err();
        assert_eq!(cut_off.kind(), ErrorKind::Unsupported);
        let deleted = Repository { deleted_at: Some(NOW), ..repository() };
        let other = url("https://target/a");
        assert_eq!(add_push_target(&deleted, &[], &other, NOW).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(remove_push_target(&deleted, &[target()], &other).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_about_to_be_the_source_is_no_target_and_the_other_way_round() {
        let other = url("https://target/a");
        let migrate = |source: Option<&SourceUrl>, kind| {
            let parameters = TaskParameters { source: source.cloned(), force: true, ..TaskParameters::default() };
            Request { kind, parameters, id: TaskId::generate() }
        };
        let task = new_task(&repository(), &migrate(Some(&other), TaskKind::Migrate), false, NOW);
        let waits = Unfinished { pending: Some(&task), running: None };
        let runs = Unfinished { pending: None, running: Some(&task) };
        for unfinished in [waits, runs] {
            let refused = super::add_push_target(&repository(), unfinished, &[], &other, NOW).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            assert!(super::add_push_target(&repository(), unfinished, &[], &url("https://target/b"), NOW).is_ok());
        }

        let ask = |request: &Request| request_task(&repository(), Unfinished::default(), &[target()], request, NOW);
        let refused = ask(&migrate(Some(&other), TaskKind::Migrate)).unwrap_err();
        assert_eq!((refused.kind(), refused.field()), (ErrorKind::InvalidInput, Some("source_url")));
        for fine in [
            migrate(Some(&url("https://target/b")), TaskKind::Migrate),
            migrate(None, TaskKind::Migrate),
            migrate(Some(&other), TaskKind::Sync),
        ] {
            assert!(ask(&fine).is_ok(), "{fine:?}");
        }
    }

    #[test]
    fn a_target_is_due_until_it_has_what_it_is_to_have() {
        let (digest, other) = ([1; 32], [2; 32]);
        let target = target();
        assert_eq!(target.status(), PushStatus::Waiting);
        assert!(target.is_due(digest, NOW));
        let counts = PushCounts { updated: 1, ..PushCounts::default() };
        let pushed = record_push(&target, &PushOutcome::Pushed { digest, counts }, NOW);
        assert_eq!((pushed.status(), pushed.last), (PushStatus::Pushed, counts));
        assert!(!pushed.is_due(digest, NOW));
        assert!(pushed.is_due(other, NOW));
        // What it has after a failure is anybody's guess.
        let failed = record_push(&pushed, &failure(None), NOW);
        assert_eq!((failed.status(), failed.last, failed.pushed_at), (PushStatus::Failed, counts, Some(NOW)));
        assert!(!failed.is_due(digest, NOW));
        assert!(failed.is_due(digest, NOW.after(FIRST_PUSH_PAUSE)));
        let again = record_push(&failed, &PushOutcome::Pushed { digest, counts: PushCounts::default() }, NOW);
        assert_eq!((again.status(), again.failures, again.retry_at), (PushStatus::Pushed, 0, None));
    }

    #[test]
    fn pauses_double_up_to_a_day_and_a_target_may_ask_for_a_longer_one() {
        let mut target = target();
        let mut pauses = Vec::new();
        for _ in 0..40 {
            target = record_push(&target, &failure(None), NOW);
            pauses.push(target.retry_at.unwrap().since(NOW).as_secs());
        }
        assert_eq!(pauses[..3], [60, 120, 240]);
        assert_eq!(pauses[39], 24 * 3600);
        let pause = |asked| record_push(&super::tests::target(), &failure(Some(Duration::from_secs(asked))), NOW);
        assert_eq!(pause(1).retry_at, Some(NOW.after(FIRST_PUSH_PAUSE)));
        assert_eq!(pause(3600).retry_at, Some(NOW.after(Duration::from_secs(3600))));
        assert_eq!(pause(1_000_000).retry_at, Some(NOW.after(LONGEST_PUSH_PAUSE)));
    }
}
