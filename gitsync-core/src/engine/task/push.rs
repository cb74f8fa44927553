//! Pushing what is published to the push targets of a repository.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Attempt;
use super::upstream::{MAX_REDIRECTS, is_same_server, redirected};
use crate::backend::{CallContext, LocalRefs, PushPermit, PushRequest, Pushed, RefusedRef};
use crate::clock::Timestamp;
use crate::engine::disk::DiskFence;
use crate::engine::metrics;
use crate::engine::parts::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{PushCounts, PushTarget, StoredError};
use crate::plan::{Digest, RefMapping, push_digest};
use crate::rules::{PushOutcome, record_push};
use crate::source::{Scheme, SourceUrl};
use crate::transport::CallLimits;

/// What is left of the task's time when pushing ends, for the end of the task itself: a tenth of it, and no more than this.
const MAX_RESERVE: Duration = Duration::from_secs(30);

/// How many refused references an error names.
const MAX_NAMED: usize = 5;

impl Attempt {
    /// Pushes to the targets that are due, once a sync has come to its end and before that is written: a worker that dies
    /// between the two leaves targets that do not have what they are to have, and the next attempt or sync pushes to them,
    /// also if nothing moved.
    ///
    /// What goes wrong at a target is noted with it and is no failure of the task. An upstream that lost most of its
    /// references fails the task before anything is published, so that it is never pushed; and a repository that has no
    /// references empties no target, unless the task accepts that: its files may have been lost, and the target have the last
    /// copy. `upstream` is where the sync found the repository. Returns the moment when targets that lack something may be tried
    /// again.
    ///
    /// # Errors
    /// Those of the store, and of the limits of the task.
    pub(super) async fn push(&self, upstream: Option<&SourceUrl>) -> Result<Option<Timestamp>> {
        if self.started.repository.push_targets == 0 {
            return Ok(None);
        }
        let mut targets = match self.parts.store.push_targets(self.started.repository.id).await {
            // Being deleted by now.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            targets => targets?,
        };
        let mapping = self.mapping();
        let local = self.parts.backend.read_refs(&self.published).await?;
        let digest = push_digest(&mapping, local.refs.iter().map(|(name, id)| (name, id)));
        let now = self.time.now();
        let is_empty = !local.refs.iter().any(|(name, _)| mapping.takes(name));
        if is_empty && !self.started.task.parameters.accept_shrink {
            return Ok(None);
        }
        targets.retain(|target| target.has != Some(digest) && !(is_empty && target.pushed_at.is_none()));
        // One that has not answered lately must not keep the others waiting.
        targets.sort_by_key(|target| target.failures);
        let ends = self.pushing_ends();
        let mut again = Vec::new();
        for target in &targets {
            if !target.is_due(digest, now) || Instant::now() >= ends {
                again.push(target.retry_at.unwrap_or(now));
                continue;
            }
            again.extend(self.push_to(target, upstream, &mapping, &local, (digest, ends)).await?);
        }
        Ok(again.into_iter().min())
    }

    /// Returns when pushing has to end.
    fn pushing_ends(&self) -> Instant {
        let (deadline, options) = (self.context.limits.deadline, &self.parts.options);
        let reserve = MAX_RESERVE.min(options.task_time_limit / 10);
        deadline.checked_sub(reserve).unwrap_or(deadline).min(Instant::now() + options.push_time_limit)
    }

    /// Pushes to a target and notes how that ended. Returns when it may be tried again, if it has to be.
    async fn push_to(
        &self,
        target: &PushTarget,
        upstream: Option<&SourceUrl>,
        mapping: &RefMapping,
        local: &LocalRefs,
        (digest, ends): (Digest, Instant),
    ) -> Result<Option<Timestamp>> {
        self.progress.phase("pushing");
        self.step("pushing").await?;
        let (storage, options) = (self.storage.clone(), &self.parts.options);
        // The pack is put together on the disk of the storage.
        let room = blocking(move || storage.free_bytes()).await?.saturating_sub(options.min_free_bytes);
        let request = PushRequest {
            target: target.url.clone(),
            refs: local.refs.clone(),
            mapping: mapping.clone(),
            max_pack_bytes: options.max_pack_bytes.min(room),
        };
        let limits = CallLimits { deadline: ends, ..self.context.limits.clone() };
        let context = CallContext { limits, ..self.context.clone() };
        let pushed = self.push_wherever(request, upstream, &context).await;
        // What ends the task is no fault of the target.
        self.context.limits.check()?;
        if pushed.is_err() {
            drop(self.permit().await?);
        }
        let outcome = outcome(pushed, digest);
        if let PushOutcome::Failed { error, .. } = &outcome {
            tracing::warn!(target = %target.url, error_kind = %error.kind, error = %error.message, "a push failed");
        }
        metrics::pushed(&outcome);
        self.parts.store.record_push(self.started.work, &target.url, &outcome).await?;
        self.step("pushed").await?;
        Ok(record_push(target, &outcome, self.time.now()).retry_at)
    }

    /// Pushes to a target, also under another name that its host has for it. Nothing else is followed: a push overwrites what is
    /// there, so where it goes is for those to say who added the target.
    async fn push_wherever(
        &self,
        mut request: PushRequest,
        upstream: Option<&SourceUrl>,
        context: &CallContext,
    ) -> Result<Pushed> {
        let upstreams = [self.started.repository.source.as_ref(), upstream];
        for _ in 0..=MAX_REDIRECTS {
            self.parts.policy.check_target(&request.target)?;
            self.check_push_path(&request.target).await?;
            if upstreams.contains(&Some(&request.target)) {
                return Err(Error::new(ErrorKind::SourceRefused, "the push target is the repository's own upstream"));
            }
            let (fence, number) = (self.fence.clone(), self.started.work.fence);
            let permit = Box::new(StillOurs { fence, number, limits: context.limits.clone() });
            match self.parts.backend.push_mirror(&self.published, &request, permit, context).await {
                Err(error) if error.kind() == ErrorKind::SourceRedirected => {
                    request.target = renamed(&request.target, &error)?;
                }
                pushed => return pushed,
            }
        }
        Err(Error::new(ErrorKind::SourceRefused, "the push target redirects too often").with("limit", MAX_REDIRECTS))
    }

    /// Checks where a target really leads that is a file; see [`check_file`](Attempt::check_file).
    async fn check_push_path(&self, target: &SourceUrl) -> Result<()> {
        if target.scheme() != Scheme::File {
            return Ok(());
        }
        let (policy, path) = (self.parts.policy.clone(), PathBuf::from(target.path()));
        blocking(move || policy.check_push_path(&path).map(drop)).await
    }
}

/// Lets a push be sent while the fence is at our number, and nobody told us to stop. Who was outrun has older references than
/// the target by now.
struct StillOurs {
    fence: DiskFence,
    number: i64,
    limits: CallLimits,
}

impl PushPermit for StillOurs {
    fn check(&self) -> Result<()> {
        drop(self.fence.hold(self.number)?);
        // Those of the engine hear of it a moment later.
        self.limits.check()
    }
}

/// Returns where a redirect of a target leads, if that is with the same server.
fn renamed(target: &SourceUrl, error: &Error) -> Result<SourceUrl> {
    let to = redirected(error)?;
    if is_same_server(target, &to) {
        return Ok(to);
    }
    Err(Error::new(ErrorKind::SourceRefused, "the push target redirects to another place")
        .with("to", &to)
        .hint("add that address as a target if it is to be pushed to"))
}

/// Decides how a push ended.
fn outcome(pushed: Result<Pushed>, digest: Digest) -> PushOutcome {
    match pushed {
        Ok(pushed) => {
            let Pushed { updated, deleted, objects, bytes, refused } = pushed;
            let counts = PushCounts { updated, deleted, objects, bytes };
            match refusal(&refused) {
                None => PushOutcome::Pushed { digest, counts },
                Some(error) => PushOutcome::Failed { error, retry_after: None, counts: Some(counts) },
            }
        }
        Err(error) => {
            PushOutcome::Failed { error: StoredError::from(&error), retry_after: error.retry_after(), counts: None }
        }
    }
}

/// Says which references a target refused, if it refused any: the first few by name.
fn refusal(refused: &[RefusedRef]) -> Option<StoredError> {
    let named = refused.iter().take(MAX_NAMED).map(|refused| format!("{} ({})", refused.name, refused.reason));
    let more = refused.len().saturating_sub(MAX_NAMED);
    let more = (more > 0).then(|| format!("{more} more"));
    let list = named.chain(more).collect::<Vec<_>>().join(", ");
    let error = Error::new(ErrorKind::PermissionDenied, format!("the target refused to change {list}"))
        .hint("let the target allow it, or leave the references out with exclude_refs");
    (!refused.is_empty()).then(|| StoredError::from(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cancel::Cancellation;
    use crate::engine::disk::Storage;
    use crate::model::{RefName, RepositoryId};

    #[test]
    fn a_push_is_sent_only_by_who_has_the_repository_and_was_not_told_to_stop() {
        let dir = tempfile::tempdir().unwrap();
        let fence = Storage::open("default".parse().unwrap(), dir.path()).unwrap().fence(RepositoryId(1));
        fence.raise(3).unwrap();
        let (cancellation, deadline) = (Cancellation::new(), Instant::now() + Duration::from_secs(60));
        let limits = CallLimits { cancellation: cancellation.clone(), deadline, max_response_bytes: 0 };
        let permit = StillOurs { fence: fence.clone(), number: 3, limits };
        permit.check().unwrap();
        cancellation.cancel();
        assert_eq!(permit.check().unwrap_err().kind(), ErrorKind::Cancelled);
        fence.raise(4).unwrap();
        assert_eq!(permit.check().unwrap_err().kind(), ErrorKind::LeaseLost);
    }

    fn refused(count: usize) -> Vec<RefusedRef> {
        let refused = |at| RefusedRef { name: RefName::branch(format!("b{at}")).unwrap(), reason: "a hook".into() };
        (0..count).map(refused).collect()
    }

    #[test]
    fn refused_references_are_named_up_to_a_number() {
        assert_eq!(refusal(&[]), None);
        let message = |count| refusal(&refused(count)).unwrap().message;
        assert!(message(1).starts_with("the target refused to change refs/heads/b0 (a hook);"), "{}", message(1));
        assert!(message(5).contains("refs/heads/b4") && !message(5).contains("more"), "{}", message(5));
        assert!(message(1000).contains("refs/heads/b4 (a hook), 995 more;"), "{}", message(1000));
    }

    #[test]
    fn a_push_of_which_anything_was_refused_has_failed() {
        let pushed = Pushed { updated: 2, ..Pushed::default() };
        let counts = PushCounts { updated: 2, ..PushCounts::default() };
        assert_eq!(outcome(Ok(pushed.clone()), [1; 32]), PushOutcome::Pushed { digest: [1; 32], counts });
        let PushOutcome::Failed { error, counts: done, .. } =
            outcome(Ok(Pushed { refused: refused(1), ..pushed }), [1; 32])
        else {
            panic!("it has failed")
        };
        assert_eq!((error.kind, done), (ErrorKind::PermissionDenied, Some(counts)));
        let away = Error::new(ErrorKind::RateLimited, "slowly").retry_in(Duration::from_secs(90));
        let PushOutcome::Failed { error, retry_after, counts } = outcome(Err(away), [1; 32]) else {
            panic!("it has failed")
        };
        assert_eq!((error.kind, retry_after, counts), (ErrorKind::RateLimited, Some(Duration::from_secs(90)), None));
    }
}
