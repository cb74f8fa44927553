//! Bringing a published repository in step with its upstream.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::record::Books;
use super::upstream::{Upstream, of_host};
use super::{Attempt, Done};
use crate::backend::{
    AdvertisedRef, Advertisement, Durability, FetchRequest, Fetched, Head, LocalRefs, RefTransaction, Resolved,
};
use crate::engine::disk::{Manifest, is_configured, write_git_config};
use crate::engine::metrics;
use crate::engine::parts::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Depth, ObjectId, RecordedRef};
use crate::plan::{
    Baseline, Digest, MirrorKind, ObjectFacts, RefMapping, ShrinkVerdict, SyncPlan, Target, head_after,
    judge_shrinking, plan, policy_digest, refs_digest, target,
};
use crate::rules::Completion;
use crate::source::SourceUrl;
use crate::store::Recording;

/// How often references are planned anew because somebody else moves them meanwhile.
const PUBLISH_ATTEMPTS: usize = 5;

/// What a sync compares.
#[derive(Clone, Copy)]
struct Sync<'a> {
    mapping: &'a RefMapping,
    depth: Option<Depth>,
    upstream: &'a SourceUrl,
    advertised: &'a Advertisement,
}

/// What a sync has changed on disk.
struct Published<'a> {
    plan: SyncPlan,
    facts: ObjectFacts,
    packs: Vec<String>,
    /// What is there now.
    advertised: Cow<'a, Advertisement>,
    head_before: Head,
    /// The shallow boundary, if it changed.
    shallow: Option<Vec<ObjectId>>,
}

impl Attempt {
    /// Syncs; a repository of which nothing is published yet is cloned or initialized instead.
    pub(super) async fn sync(&self) -> Result<Done> {
        let source = self.started.repository.source.as_ref();
        match (self.manifest().await?, source) {
            (None, Some(source)) => self.clone_from(source).await,
            (None, None) => self.initialize().await,
            (Some(manifest), Some(source)) => self.follow(&manifest, source).await,
            (Some(_), None) => {
                self.verify_what_was_corrupt().await?;
                self.record_pushed().await
            }
        }
    }

    /// Brings what is published in step with a source it was cloned from. What was cloned from another one, or pushed, is
    /// left alone, unless it is nothing.
    pub(super) async fn follow(&self, manifest: &Manifest, source: &SourceUrl) -> Result<Done> {
        if manifest.is_of(source) {
            self.verify_what_was_corrupt().await?;
            return self.update_from(source).await;
        }
        let local = self.parts.backend.read_refs(&self.published).await?;
        if local.refs.iter().any(|(name, _)| !name.is_reserved()) {
            return Err(Error::new(ErrorKind::Conflict, "what is there was not cloned from this source")
                .with("source", source)
                .hint("migrate with force to replace it"));
        }
        self.clone_from(source).await
    }

    /// Brings what is published in step with a source.
    pub(super) async fn update_from(&self, source: &SourceUrl) -> Result<Done> {
        self.check_can_follow()?;
        self.recover_checkout().await?;
        let mapping = self.mapping();
        let upstream = self.list(source).await?;
        let local = self.parts.backend.read_refs(&self.published).await?;
        self.update(source, mapping, upstream, local).await
    }

    /// Records what was pushed into a repository that has no upstream: it is its own.
    async fn record_pushed(&self) -> Result<Done> {
        let mapping = self.mapping();
        self.configure(None, &mapping).await?;
        let local = self.parts.backend.read_refs(&self.published).await?;
        let refs = local.refs.iter().map(|(name, id)| AdvertisedRef { name: name.clone(), id: *id, peeled: None });
        let advertised = Advertisement {
            refs: refs.filter(|r| mapping.takes(&r.name)).collect(),
            head: Some(local.head.clone()),
            format: local.format,
            refused_names: 0,
        };
        let policy = policy_digest(None, &mapping, None, &local.shallow);
        let is_trusted = self.is_trusted(policy);
        if is_trusted && let Some(done) = self.unchanged(&mapping, &advertised, &local, policy, &None).await? {
            return Ok(done);
        }
        let baseline = self.baseline().await?;
        let plan = plan(&mapping, &as_plan_baseline(&baseline), &local, &advertised)?;
        let facts = self.object_facts(&self.published, &plan).await?;
        let full = !is_trusted || self.a_recorded_tip_is_missing(&baseline).await?;
        let is_shallow = !local.shallow.is_empty();
        let books = Books::new(&mapping, plan, facts, baseline, &advertised, &local.head);
        self.record(Books { full, policy, is_shallow, ..books }).await
    }

    async fn update(
        &self,
        source: &SourceUrl,
        mapping: RefMapping,
        upstream: Upstream,
        local: LocalRefs,
    ) -> Result<Done> {
        let (advertised, depth) = (upstream.advertised, self.depth()?);
        let policy_of = |source, shallow: &[_]| policy_digest(Some(source), &mapping, depth, shallow);
        // The records go by the name that the source had when they were made.
        let is_trusted = self.is_trusted(policy_of(source, &local.shallow));
        if let Some(renamed) = &upstream.renamed {
            self.rename(renamed, source).await?;
        }
        let source = upstream.renamed.as_ref().unwrap_or(source);
        self.configure(Some(source), &mapping).await?;
        let policy = policy_of(source, &local.shallow);
        let wanted = target(&mapping, &local, &advertised)?.advertised;
        if is_trusted && let Some(done) = self.unchanged(&mapping, &wanted, &local, policy, &upstream.renamed).await? {
            return Ok(done);
        }
        let baseline = self.baseline().await?;
        // What an earlier attempt at this task has published is only to be recorded: the records are of the old clone.
        if !self.is_published_by_this_task().await? {
            self.check_shrinking(&mapping, &baseline, &wanted)?;
        }

        let full = !is_trusted || self.a_recorded_tip_is_missing(&baseline).await?;
        let is_shallow = !local.shallow.is_empty();
        let sync = Sync { mapping: &mapping, depth, upstream: &upstream.source, advertised: &advertised };
        let Published { plan, facts, packs, advertised, head_before, shallow } =
            self.fetch_and_publish(sync, &as_plan_baseline(&baseline), local).await?;
        self.step("references published").await?;
        // What the records were built upon ends elsewhere now.
        let boundary_moved = shallow.is_some();
        let full = full || boundary_moved;
        let policy = shallow.map_or(policy, |shallow| policy_of(source, &shallow));
        let fresh_packs = if full { Vec::new() } else { packs };
        let books = Books::new(&mapping, plan, facts, baseline, &advertised, &head_before);
        let source = Some(source.clone());
        self.record(Books { full, policy, source, fresh_packs, is_shallow, boundary_moved, ..books }).await
    }

    /// Fetches what is new and changes references accordingly. Somebody may push meanwhile: then what is to be changed is
    /// decided anew, by what is there now.
    async fn fetch_and_publish<'a>(
        &self,
        sync: Sync<'a>,
        recorded: &Baseline,
        mut local: LocalRefs,
    ) -> Result<Published<'a>> {
        let (mut packs, mut shallow) = (Vec::new(), None);
        let mut fetched: HashSet<ObjectId> = HashSet::new();
        for attempts_left in (0..PUBLISH_ATTEMPTS).rev() {
            let mut wanted = target(sync.mapping, &local, sync.advertised)?;
            let mut planned = plan(sync.mapping, recorded, &local, &wanted.advertised)?;
            let is_limited = sync.depth.is_some() || !local.shallow.is_empty();
            // Not all that a repository with a working tree has is upstream's.
            let asks_for_all = is_limited && sync.mapping.kind != MirrorKind::Regular;
            let wants = if asks_for_all { &planned.tips } else { &planned.wants };
            let wants: Vec<_> = wants.iter().copied().filter(|id| !fetched.contains(id)).collect();
            let brought = self.fetch(&self.published, sync.upstream, &wants, sync.depth, Durability::Engine).await?;
            packs.extend(brought.packs);
            fetched.extend(wants);
            self.step("fetched").await?;
            if let Some(boundary) = brought.shallow {
                self.publish_boundary(&boundary).await?;
                shallow = Some(boundary);
            }
            if self.is_ahead(&wanted).await? {
                wanted = wanted.staying();
                planned = plan(sync.mapping, recorded, &local, &wanted.advertised)?;
            }
            let Target { advertised, checkout } = wanted;
            let facts = self.object_facts(&self.published, &planned).await?;
            let change = planned.publish(&facts, &self.parts.clock.now().utc_day())?;
            let head_before = local.head.clone();
            let published = Published { plan: planned, facts, packs, advertised, head_before, shallow };
            if change.edits.is_empty() && change.head.is_none() {
                return Ok(published);
            }
            let permit = Box::new(self.permit().await?);
            match self.move_refs(&self.published, change, checkout.as_ref(), permit).await {
                Err(error) if error.kind() == ErrorKind::Conflict && attempts_left > 0 => {
                    let before = std::mem::replace(&mut local, self.parts.backend.read_refs(&self.published).await?);
                    if before == local {
                        // Something else is in the way, and will be.
                        return Err(error);
                    }
                    tracing::debug!(%error, "references moved while upstream was fetched");
                    (packs, shallow) = (published.packs, published.shallow);
                }
                result => return result.map(|()| published),
            }
        }
        Err(Error::new(ErrorKind::Internal, "the last attempt returns"))
    }

    /// Changes the shallow boundary. As with git that comes before the references, which may lead to what is cut off there;
    /// the old ones only seem to have less history for a moment.
    async fn publish_boundary(&self, boundary: &[ObjectId]) -> Result<()> {
        let change = RefTransaction { shallow: Some(boundary.to_vec()), ..RefTransaction::default() };
        let permit = self.permit().await?;
        self.parts.backend.update_refs(&self.published, change, Box::new(permit)).await?;
        self.step("boundary published").await
    }

    /// Gives the published files the new name of the source, before the records have it: so they are always known by it.
    async fn rename(&self, renamed: &SourceUrl, known_as: &SourceUrl) -> Result<()> {
        let (fence, number) = (self.fence.clone(), self.started.work.fence);
        let Some(manifest) = self.manifest().await? else { return Ok(()) };
        let (published, new) = (self.published.clone(), manifest.clone().renamed(renamed, known_as));
        if new == manifest {
            return Ok(());
        }
        blocking(move || {
            let _permit = fence.hold(number)?;
            new.replace(&published)
        })
        .await
    }

    /// Tells the repository's own configuration what is mirrored from where, if it says anything else, also that of a
    /// repository that was made when less was told.
    async fn configure(&self, source: Option<&SourceUrl>, mapping: &RefMapping) -> Result<()> {
        let (fence, number) = (self.fence.clone(), self.started.work.fence);
        let (published, source, mapping) = (self.published.clone(), source.cloned(), mapping.clone());
        blocking(move || {
            let upstream = source.as_ref().map(|source| (source, &mapping));
            if is_configured(&published, upstream) {
                return Ok(());
            }
            let _permit = fence.hold(number)?;
            write_git_config(&published, upstream, Durability::Engine).map(drop)
        })
        .await
    }

    /// Finishes at once if upstream, disk and records, which can be trusted, agree by their digests, and the recorded tips are
    /// really there.
    async fn unchanged(
        &self,
        mapping: &RefMapping,
        advertised: &Advertisement,
        local: &LocalRefs,
        policy: Digest,
        renamed: &Option<SourceUrl>,
    ) -> Result<Option<Done>> {
        let head = head_after(advertised, &local.head);
        let upstream = refs_digest(mapping, advertised.refs.iter().map(|r| (&r.name, &r.id)), &head);
        let on_disk = refs_digest(mapping, local.refs.iter().map(|(name, id)| (name, id)), &local.head);
        if self.started.baseline_digest != Some(upstream) || on_disk != upstream {
            return Ok(None);
        }
        let tips = unique(local.refs.iter().filter(|(name, _)| !name.is_reserved()).map(|(_, id)| *id));
        if self.parts.backend.resolve(&self.published, &tips).await?.contains(&Resolved::Missing) {
            return Ok(None);
        }
        let repository = &self.started.repository;
        let books = Completion {
            source: renamed.clone(),
            default_branch: repository.default_branch.clone(),
            last_commit: repository.last_commit,
            total_commits: repository.total_commits,
            recorded_refs: repository.recorded_refs,
            size_bytes: repository.size_bytes,
            commits_synced: 0,
            changed: false,
            synced: true,
        };
        let digests =
            Recording { baseline_digest: Some(upstream), policy_digest: Some(policy), ..Recording::default() };
        Ok(Some(Done::Books(Box::new(books), digests)))
    }

    /// Returns what was recorded; a repository that never completed a task has nothing to ask for.
    pub(super) async fn baseline(&self) -> Result<Vec<RecordedRef>> {
        if self.started.baseline_digest.is_none() {
            return Ok(Vec::new());
        }
        self.parts.store.baseline(self.started.repository.id).await
    }

    /// Tells whether the records can be built upon: no task broke off while recording, and the policy is still the same.
    pub(super) fn is_trusted(&self, policy: Digest) -> bool {
        !self.started.was_recording && self.started.policy_digest == Some(policy)
    }

    /// Looks twice at an upstream that lost most of what is recorded of it, whether it is fetched from or cloned anew.
    pub(super) fn check_shrinking(
        &self,
        mapping: &RefMapping,
        baseline: &[RecordedRef],
        advertised: &Advertisement,
    ) -> Result<()> {
        let recorded = baseline.iter().filter(|recorded| mapping.takes(&recorded.name)).count();
        let is_history = |r: &&AdvertisedRef| (r.name.is_branch() || r.name.is_tag()) && mapping.takes(&r.name);
        let advertised = advertised.refs.iter().filter(is_history).count();
        let (first_seen, accept) = (self.started.repository.shrank_at, self.started.task.parameters.accept_shrink);
        match judge_shrinking(recorded, advertised, first_seen, accept, self.time.now()) {
            ShrinkVerdict::Normal | ShrinkVerdict::Accepted => Ok(()),
            ShrinkVerdict::Suspicious { since } => {
                Err(Error::new(ErrorKind::UpstreamShrank, "the upstream lost most of its branches and tags")
                    .with("recorded", recorded)
                    .with("advertised", advertised)
                    .with("since", since)
                    .hint("nothing was pruned; if it stays so for an hour it is believed, or sync with accept_shrink"))
            }
        }
    }

    /// Fetches objects, if any are wanted.
    pub(super) async fn fetch(
        &self,
        directory: &Path,
        source: &SourceUrl,
        wants: &[ObjectId],
        depth: Option<Depth>,
        durability: Durability,
    ) -> Result<Fetched> {
        if wants.is_empty() {
            return Ok(Fetched::default());
        }
        self.progress.phase("fetching");
        let request = FetchRequest {
            source: source.clone(),
            wants: wants.to_vec(),
            max_pack_bytes: self.parts.options.max_pack_bytes,
            max_pack_objects: self.parts.options.max_pack_objects,
            min_free_bytes: self.parts.options.min_free_bytes,
            depth,
            durability,
        };
        let fetched = self.parts.backend.fetch(directory, &request, &self.context).await;
        fetched.inspect(metrics::fetched).map_err(|error| of_host(error, source))
    }

    /// Finds out which moves are fast-forwards and which old tips are still there.
    pub(super) async fn object_facts(&self, directory: &Path, plan: &SyncPlan) -> Result<ObjectFacts> {
        let questions = plan.ancestry_questions();
        let at_risk = plan.at_risk.iter().map(|risk| risk.old);
        let ids: BTreeSet<ObjectId> = at_risk.chain(questions.iter().flat_map(|(old, new)| [*old, *new])).collect();
        let ids: Vec<_> = ids.into_iter().collect();
        let resolved = self.parts.backend.resolve(directory, &ids).await?;
        let resolved: BTreeMap<_, _> = ids.into_iter().zip(resolved).collect();

        let is_commit = |id: &ObjectId| resolved.get(id) == Some(&Resolved::Commit(*id));
        let pairs: Vec<_> = questions.into_iter().filter(|(old, new)| is_commit(old) && is_commit(new)).collect();
        let answers = self.parts.backend.is_ancestor(directory, &pairs, &self.context).await?;
        let forwards = pairs.into_iter().zip(answers).filter(|(_, is_ancestor)| *is_ancestor);
        Ok(ObjectFacts {
            fast_forwards: forwards.map(|(pair, _)| pair).collect(),
            missing: resolved.into_iter().filter(|(_, found)| *found == Resolved::Missing).map(|(id, _)| id).collect(),
        })
    }
}

/// Returns the recorded references as a plan compares them.
pub(super) fn as_plan_baseline(recorded: &[RecordedRef]) -> Baseline {
    recorded.iter().map(|recorded| (recorded.name.clone(), recorded.id)).collect()
}

/// Returns the ids that occur, each once.
pub(super) fn unique(ids: impl IntoIterator<Item = ObjectId>) -> Vec<ObjectId> {
    let ids: HashSet<ObjectId> = ids.into_iter().collect();
    ids.into_iter().collect()
}
