//! Cloning: a sync into an empty directory that is published when it is whole.

use std::collections::BTreeMap;
use std::path::Path;

use super::local::Temporary;
use super::record::Books;
use super::sync::{as_plan_baseline, unique};
use super::worktree::is_beside;
use super::{Attempt, Done};
use crate::backend::{Durability, Head, InitOptions, LocalRefs, RefEdit, RefTransaction};
use crate::engine::disk::{
    Manifest, Occupant, OldFiles, publish_new, replace_published, track_branch, write_git_config,
};
use crate::engine::parts::blocking;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Layout, ObjectId, RefName};
use crate::plan::{MirrorKind, ObjectFacts, RefMapping, SyncPlan, Target, kept_name, plan, policy_digest, target};
use crate::source::SourceUrl;

impl Attempt {
    /// Clones, or goes on where an earlier attempt at this task had published. What is there and was cloned from the same
    /// source is synced instead; what was cloned from another, or by nobody knows whom, is left alone without force.
    pub(super) async fn migrate(&self) -> Result<Done> {
        let (parameters, repository) = (&self.started.task.parameters, &self.started.repository);
        let source = parameters.source.as_ref().or(repository.source.as_ref());
        let source = source.ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "the repository has no source to migrate from")
                .hint("give a source_url")
        })?;
        match self.occupant().await? {
            Occupant::Own(manifest) if !parameters.force || self.has_cloned(&manifest, source) => {
                self.follow(&manifest, source).await
            }
            // Whether it may be replaced is decided there.
            _ => self.clone_from(source).await,
        }
    }

    /// Tells whether an earlier attempt at this task cloned the source: a waiting task may have been given another one.
    fn has_cloned(&self, manifest: &Manifest, source: &SourceUrl) -> bool {
        manifest.task == self.started.task.id && manifest.is_of(source)
    }

    /// Clones a source and publishes the result, in place of what is there. A failed clone changes nothing; a successful
    /// one carries over every old tip that the new clone does not have, or sets the old files aside where that cannot be done.
    pub(super) async fn clone_from(&self, source: &SourceUrl) -> Result<Done> {
        self.check_can_follow()?;
        let (mapping, depth) = (self.mapping(), self.depth()?);
        let is_regular = self.started.repository.layout == Layout::Regular;
        let occupant = self.occupant().await?;
        self.check_replaceable(&occupant)?;
        let upstream = self.list(source).await?;
        let (advertised, renamed) = (upstream.advertised, upstream.renamed);
        let baseline = self.baseline().await?;
        // Whoever names another source wants what that has. A working tree keeps what it has of its own, so nothing tells.
        let names = [Some(source), renamed.as_ref()];
        if names.contains(&self.started.repository.source.as_ref()) && !is_regular {
            self.check_shrinking(&mapping, &baseline, &advertised)?;
        }

        let initial = match &advertised.head {
            Some(Head::Branch(name)) if !name.is_reserved() => name.clone(),
            _ => RefName::branch("main")?,
        };
        let temporary = self.temporary().await?;
        let options = InitOptions {
            bare: !is_regular,
            format: advertised.format,
            head: initial.clone(),
            durability: Durability::Caller,
        };
        self.parts.backend.init(temporary.path(), &options).await?;
        self.step("initialized").await?;

        let recorded = as_plan_baseline(&baseline);
        let empty =
            LocalRefs { refs: Vec::new(), head: Head::Branch(initial), format: advertised.format, shallow: Vec::new() };
        let Target { advertised, checkout } = target(&mapping, &empty, &advertised)?;
        let fresh = plan(&mapping, &recorded, &empty, &advertised)?;
        let brought = self.fetch(temporary.path(), &upstream.source, &fresh.wants, depth, Durability::Caller).await?;
        self.step("fetched").await?;
        let mut shallow = brought.shallow.unwrap_or_default();
        if !shallow.is_empty() {
            self.write_boundary(&temporary, &shallow).await?;
        }

        // What happens to the old references is decided as for a sync, so a clone in place of another loses no more.
        let before = match &occupant {
            Occupant::Nobody => None,
            _ => self.refs_before().await?,
        };
        // Objects named by another hash function cannot be carried over.
        let before = before.filter(|before| before.format == advertised.format);
        let old = match (&occupant, &before) {
            (Occupant::Nobody, _) => None,
            (Occupant::Own(_) | Occupant::Damaged, Some(_)) if !is_regular => Some(OldFiles::Discard),
            // Nobody knows what else is in a working tree, or in a directory that gitsync perhaps did not make.
            _ => Some(OldFiles::SetAside),
        };
        let before = before.unwrap_or_else(|| empty.clone());
        let plan = plan(&mapping, &recorded, &before, &advertised)?;
        // Before the objects come: what they lead to ends there.
        shallow.extend(self.boundary_carried_over(temporary.path(), &fresh.tips, &before.shallow).await?);
        shallow.sort_unstable();
        shallow.dedup();
        if !shallow.is_empty() {
            self.write_boundary(&temporary, &shallow).await?;
        }
        let fetched = unique(fresh.edits.iter().filter_map(|edit| edit.new));
        let old = match self.carry_objects_over(&temporary, &mapping, &plan, &before, &fetched).await? {
            true => old,
            // Somebody may make sense of what is left.
            false => old.map(|_| OldFiles::SetAside),
        };
        let gone = self.missing(temporary.path(), &shallow).await?;
        if !gone.is_empty() {
            // What ends there was left behind long ago, or could not be carried over.
            shallow.retain(|id| gone.binary_search(id).is_err());
            self.write_boundary(&temporary, &shallow).await?;
        }
        let facts = self.object_facts(temporary.path(), &plan).await?;
        let keep = self.kept_after(temporary.path(), &mapping, &plan, &facts, &before).await?;
        let head = fresh.head.clone().unwrap_or(empty.head);
        let edits = fresh.edits.into_iter().chain(keep).collect();
        let change = RefTransaction { edits, head: fresh.head, shallow: None };
        self.move_refs(temporary.path(), change, checkout.as_ref(), Box::new(temporary.clone())).await?;
        self.step("references written").await?;

        let manifest = Manifest::new(self.started.repository.id, self.started.task.id, Some(source.clone()));
        let manifest = manifest.renamed(renamed.as_ref().unwrap_or(source), source);
        let source = renamed.unwrap_or_else(|| source.clone());
        self.publish(temporary, manifest, &source, (&head, checkout.is_none()), old).await?;
        self.step("published").await?;
        let policy = policy_digest(Some(&source), &mapping, depth, &shallow);
        let books = Books::new(&mapping, plan, facts, baseline, &advertised, &head);
        self.record(Books { full: true, policy, source: Some(source), ..books }).await
    }

    /// Refuses to clone where something is that is not to be replaced.
    ///
    /// With force, a directory without a manifest, or with one that cannot be understood, is the repository's by its place:
    /// it is replaced, and set aside if there may be more in it than was carried over. Another repository's never is.
    fn check_replaceable(&self, occupant: &Occupant) -> Result<()> {
        match occupant {
            Occupant::Nobody | Occupant::Own(_) => Ok(()),
            Occupant::Unmarked | Occupant::Damaged if self.started.task.parameters.force => Ok(()),
            Occupant::Other(_) | Occupant::Unmarked | Occupant::Damaged => Err(occupant.in_the_way(&self.published)),
        }
    }

    /// Makes the clone's directory the repository.
    async fn publish(
        &self,
        temporary: Temporary,
        manifest: Manifest,
        source: &SourceUrl,
        (head, is_unborn): (&Head, bool),
        old: Option<OldFiles>,
    ) -> Result<()> {
        let repository = self.started.repository.id;
        let (storage, published) = (self.storage.clone(), self.published.clone());
        let (source, mapping, head) = (source.clone(), self.mapping(), head.clone());
        let permit = self.permit().await?;
        let aside = blocking(move || {
            let finished = temporary.path();
            write_git_config(finished, Some((&source, &mapping)), Durability::Caller)?;
            if let (MirrorKind::Regular, Head::Branch(branch)) = (mapping.kind, &head) {
                track_branch(finished, branch, is_unborn)?;
            }
            manifest.write(finished)?;
            match old {
                Some(old) => replace_published(&permit, &storage, repository, finished, &published, old),
                None => publish_new(&permit, finished, &published).map(|()| None),
            }
        })
        .await?;
        match aside {
            Some(aside) => self.tell_of(&aside).await,
            None => Ok(()),
        }
    }

    /// Tells where the files are that were replaced, but not carried over.
    async fn tell_of(&self, aside: &Path) -> Result<()> {
        let repository = self.started.repository.id;
        tracing::warn!(path = %aside.display(), %repository, "the old files were set aside, not carried over");
        let below_root = aside.strip_prefix(self.storage.root()).unwrap_or(aside);
        let remark = format!("the old files were set aside in {}", below_root.display());
        self.progress.remark(&self.parts, self.started.work, remark).await
    }

    /// Reads the references that are to be replaced; `None` if there are none that could ever be read. An error that may
    /// pass is returned: what cannot be read now is not lost.
    async fn refs_before(&self) -> Result<Option<LocalRefs>> {
        match self.parts.backend.read_refs(&self.published).await {
            Ok(refs) => Ok(Some(refs)),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                tracing::warn!(%error, "the old references cannot be read");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns what the clone has beside upstream's references: those that upstream does not decide about, kept ones among
    /// them, and kept ones for tips that are lost by it. What could not be carried over is passed over.
    async fn kept_after(
        &self,
        clone: &Path,
        mapping: &RefMapping,
        plan: &SyncPlan,
        facts: &ObjectFacts,
        before: &LocalRefs,
    ) -> Result<Vec<RefEdit>> {
        let unmanaged = before.refs.iter().filter(|(name, _)| is_beside(mapping, name));
        let mut keep: BTreeMap<RefName, ObjectId> = unmanaged.cloned().collect();
        let day = self.parts.clock.now().utc_day();
        for tip in plan.lost_tips(facts) {
            // A kept reference names the id it holds; one that was moved by hand is put right.
            keep.insert(kept_name(&day, tip)?, tip);
        }
        let ids: Vec<ObjectId> = keep.values().copied().collect();
        let missing = self.missing(clone, &ids).await?;
        let keep = keep.into_iter().filter(|(_, id)| !missing.contains(id));
        Ok(keep.map(|(name, id)| RefEdit { name, old: None, new: Some(id) }).collect())
    }
}
