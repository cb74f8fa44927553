//! A mirror that is kept in step the way the engine does it: listed, planned, fetched, published.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Alone, Subject};
use crate::backend::Durability;
use crate::backend::{
    Advertisement, CommitStream, CommitWalk, FetchRequest, Fetched, InitOptions, RefTransaction, Resolved,
};
use crate::error::Result;
use crate::model::{Commit, Depth, ObjectFormat, ObjectId, RefName};
use crate::plan::{Baseline, MirrorKind, ObjectFacts, RefMapping, plan};
use crate::source::SourceUrl;
use crate::testing::{Git, SmartHttpServer, Upstream};

/// How a mirror reaches its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Over HTTP.
    Http,
    /// By a path.
    File,
}

impl Via {
    /// All ways.
    pub const ALL: [Via; 2] = [Via::Http, Via::File];
}

/// What a sync did.
#[derive(Clone, Debug)]
pub struct Synced {
    /// What the upstream said.
    pub advertised: Advertisement,
    /// What was fetched, if anything had to be.
    pub fetched: Option<Fetched>,
    /// The commits that are new since the sync before.
    pub new_commits: Vec<Commit>,
}

/// An upstream, a server for it, and a mirror.
#[derive(Debug)]
pub struct Mirror {
    /// The engine.
    pub subject: Subject,
    /// The upstream.
    pub upstream: Upstream,
    /// The server over HTTP.
    pub server: SmartHttpServer,
    via: Via,
    depth: Option<Depth>,
    moved: usize,
    baseline: Baseline,
    dir: PathBuf,
    _root: TempDir,
}

impl Mirror {
    /// Makes an empty mirror of an empty upstream, over HTTP.
    pub async fn new(subject: Subject) -> Self {
        Mirror::of(subject, Upstream::new(), Via::Http).await
    }

    /// Makes an empty mirror.
    pub async fn of(subject: Subject, upstream: Upstream, via: Via) -> Self {
        let root = tempfile::tempdir().expect("a directory can be made");
        let dir = root.path().join("mirror.git");
        let format = upstream.git().run(&["rev-parse", "--show-object-format"]);
        let format = if format == "sha256" { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 };
        let head = RefName::new("refs/heads/main").expect("a name");
        subject
            .backend
            .init(&dir, &InitOptions { bare: true, format, head, durability: Durability::Engine })
            .await
            .expect("a repository can be made");
        let server = SmartHttpServer::start(upstream.root());
        Mirror { subject, upstream, server, via, depth: None, moved: 0, baseline: Baseline::new(), dir, _root: root }
    }

    /// Reaches the upstream another way from now on.
    pub fn reach(&mut self, via: Via) {
        self.via = via;
    }

    /// Fetches no more than this depth from now on.
    pub fn limit(&mut self, depth: Option<Depth>) {
        self.depth = depth;
    }

    /// Returns how many references the last sync changed.
    pub(super) fn moved(&self) -> usize {
        self.moved
    }

    /// Returns the directory of the mirror.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns git in the mirror.
    pub fn git(&self) -> Git {
        Git::at(&self.dir)
    }

    /// Returns the address of the upstream.
    pub fn source(&self) -> SourceUrl {
        match self.via {
            Via::Http => self.server.source("upstream.git"),
            Via::File => self.upstream.file_source(),
        }
    }

    /// Lists the upstream.
    pub async fn list(&self) -> Result<Advertisement> {
        self.subject.backend.list_remote(&self.source(), &self.subject.context()).await
    }

    /// Returns the ids that the last sync recorded.
    pub fn baseline(&self) -> Vec<ObjectId> {
        self.baseline.values().copied().collect()
    }

    /// Returns a request for ids of the upstream.
    pub fn request(&self, wants: &[ObjectId]) -> FetchRequest {
        FetchRequest {
            source: self.source(),
            wants: wants.to_vec(),
            max_pack_bytes: 1 << 30,
            max_pack_objects: 1 << 20,
            min_free_bytes: 0,
            depth: self.depth,
            durability: Durability::Engine,
        }
    }

    /// Brings the mirror in step.
    pub async fn sync(&mut self) -> Result<Synced> {
        let (backend, context) = (&self.subject.backend, self.subject.context());
        let advertised = self.list().await?;
        let local = backend.read_refs(&self.dir).await?;
        let mapping = RefMapping { kind: MirrorKind::Mirror, exclude: Vec::new() };
        let plan = plan(&mapping, &self.baseline, &local, &advertised)?;
        let mut fetched = None;
        let is_limited = self.depth.is_some() || !local.shallow.is_empty();
        let wants = if is_limited { &plan.tips } else { &plan.wants };
        if !wants.is_empty() {
            fetched = Some(backend.fetch(&self.dir, &self.request(wants), &context).await?);
        }
        if let Some(shallow) = fetched.as_ref().and_then(|fetched| fetched.shallow.clone()) {
            let change = RefTransaction { shallow: Some(shallow), ..RefTransaction::default() };
            backend.update_refs(&self.dir, change, Box::new(Alone)).await?;
        }
        let pairs: Vec<_> = plan.ancestry_questions().into_iter().collect();
        let answers = backend.is_ancestor(&self.dir, &pairs, &context).await?;
        let fast_forwards = pairs.into_iter().zip(answers).filter(|(_, yes)| *yes).map(|(pair, _)| pair).collect();
        let facts = ObjectFacts { fast_forwards, ..ObjectFacts::default() };
        let change = plan.publish(&facts, "20260101")?;
        self.moved = change.edits.len();
        backend.update_refs(&self.dir, change, Box::new(Alone)).await?;

        let baseline: Baseline = advertised.refs.iter().map(|one| (one.name.clone(), one.id)).collect();
        let hidden = self.commits_of(&self.baseline).await?;
        let tips = self.commits_of(&baseline).await?;
        let fresh_packs = fetched.as_ref().map(|fetched| fetched.packs.clone()).unwrap_or_default();
        let new_commits = self.walk(CommitWalk { tips, hidden, fresh_packs }).await?;
        self.baseline = baseline;
        Ok(Synced { advertised, fetched, new_commits })
    }

    /// Brings the mirror in step and compares it with the upstream: references, `HEAD`, soundness, and what was walked.
    pub async fn sync_and_compare(&mut self) -> Synced {
        let before = self.baseline();
        let synced = self.sync().await.expect("the mirror is brought in step");
        let kept = |name: &[u8]| name.starts_with(crate::model::RESERVED_NAMESPACE);
        let mut ours = self.git().refs();
        ours.retain(|(name, _)| !kept(name));
        assert_eq!(ours, self.upstream.git().refs(), "the references");
        assert_eq!(self.git().head(), self.upstream.git().head(), "HEAD");
        self.git().assert_sound();
        let after = self.baseline();
        let walked: BTreeSet<ObjectId> = synced.new_commits.iter().map(|commit| commit.id).collect();
        assert_eq!(walked.len(), synced.new_commits.len(), "each commit is walked once");
        assert_eq!(walked, self.rev_list(&after, &before), "the new commits");
        synced
    }

    /// Returns what git finds reachable from some ids and not from others. Tags of trees and blobs lead to nothing.
    pub fn rev_list(&self, tips: &[ObjectId], hidden: &[ObjectId]) -> BTreeSet<ObjectId> {
        let lines = tips.iter().map(|id| format!("{id}\n")).chain(hidden.iter().map(|id| format!("^{id}\n")));
        let input: String = lines.collect();
        let listed = self.git().feed(&["rev-list", "--stdin"], input.as_bytes());
        let listed = String::from_utf8(listed).expect("git prints ids");
        listed.lines().map(|line| line.parse().expect("git prints ids")).collect()
    }

    /// Walks the mirror to the end.
    pub async fn walk(&self, walk: CommitWalk) -> Result<Vec<Commit>> {
        collect(self.subject.backend.walk_commits(&self.dir, walk, &self.subject.context()).await?).await
    }

    /// Returns the names of all files in the mirror's object directory.
    pub fn object_files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        files_below(&self.dir.join("objects"), &mut found);
        found
    }

    async fn commits_of(&self, refs: &Baseline) -> Result<Vec<ObjectId>> {
        let ids: Vec<ObjectId> = refs.values().copied().collect();
        let resolved = self.subject.backend.resolve(&self.dir, &ids).await?;
        let commit = |resolved| match resolved {
            Resolved::Commit(id) => Some(id),
            Resolved::Missing | Resolved::Other => None,
        };
        Ok(resolved.into_iter().filter_map(commit).collect())
    }
}

/// Reads a walk to its end.
pub(super) async fn collect(mut stream: CommitStream) -> Result<Vec<Commit>> {
    let mut commits = Vec::new();
    while let Some(batch) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        commits.extend(batch?);
    }
    Ok(commits)
}

fn files_below(dir: &Path, found: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("the directory can be read") {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() {
            // Empty directories count as well: a failed fetch leaves none.
            found.insert(path.clone());
            files_below(&path, found);
        } else {
            found.insert(path);
        }
    }
}
