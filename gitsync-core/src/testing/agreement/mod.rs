//! Do engines agree with git? Situations that upstreams get into, each mirrored, moved on and mirrored again, and compared with a
//! fresh `git clone --mirror`, `git rev-list` and the commits as `git cat-file` has them.
//!
//! A crate with an engine calls [`report`] in a test, which makes a table of the results for its documentation.

mod commits;
mod heads;
mod history;
mod moves;
mod names;
mod objects;
mod tags;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::backend_suite::{Mirror, Subject, Via};
use super::upstream::Upstream;
use crate::backend::Capabilities;
use crate::error::ErrorKind;
use crate::model::{CommitObject, ObjectFormat, ObjectId, RESERVED_NAMESPACE};

/// What an engine has to be able to do for a situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing beyond what all do.
    Nothing,
    /// To learn where an unborn `HEAD` points.
    UnbornHead,
    /// To read and write SHA-256 repositories.
    Sha256,
}

impl Need {
    fn is_met(self, capabilities: &Capabilities) -> bool {
        match self {
            Need::Nothing => true,
            Need::UnbornHead => capabilities.unborn_head,
            Need::Sha256 => capabilities.sha256,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Need::Nothing => "",
            Need::UnbornHead => "unborn_head",
            Need::Sha256 => "sha256",
        }
    }
}

/// A situation: how it comes about, and how the upstream moves on.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// What it is, in a few words.
    pub name: &'static str,
    /// What an engine needs for it.
    pub need: Need,
    /// Whether mirroring it is refused, and how, as git refuses it.
    pub refused: Option<ErrorKind>,
    begin: fn(&Upstream),
    then: fn(&Upstream),
}

impl Situation {
    const fn new(name: &'static str, begin: fn(&Upstream), then: fn(&Upstream)) -> Self {
        Situation { name, need: Need::Nothing, refused: None, begin, then }
    }

    const fn needs(self, need: Need) -> Self {
        Situation { need, ..self }
    }

    const fn is_refused(self, kind: ErrorKind) -> Self {
        Situation { refused: Some(kind), ..self }
    }

    /// Brings an upstream into the situation.
    pub fn arise(&self, upstream: &Upstream) {
        (self.begin)(upstream);
    }

    /// Mirrors it over HTTP, lets it move on, and mirrors it by its path.
    ///
    /// # Panics
    /// At the first difference to git.
    pub async fn check(&self, subject: &Subject) {
        let format = if self.need == Need::Sha256 { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 };
        let upstream = Upstream::with_format(format);
        self.arise(&upstream);
        let mut mirror = Mirror::of(subject.clone(), upstream, Via::Http).await;
        if let Some(kind) = self.refused {
            for via in Via::ALL {
                mirror.reach(via);
                let error = mirror.sync().await.expect_err("it is refused");
                assert_eq!(error.kind(), kind, "{} by {via:?}: {error}", self.name);
            }
            return;
        }
        compare(&mut mirror, &format!("{}, at first", self.name)).await;
        (self.then)(&mirror.upstream);
        mirror.reach(Via::File);
        compare(&mut mirror, &format!("{}, moved on", self.name)).await;
    }
}

/// All situations, by theme.
pub fn situations() -> Vec<(&'static str, &'static [Situation])> {
    vec![
        ("HEAD", heads::SITUATIONS),
        ("names of references", names::SITUATIONS),
        ("tags", tags::SITUATIONS),
        ("objects and how they are kept", objects::SITUATIONS),
        ("shapes of history", history::SITUATIONS),
        ("commits", commits::SITUATIONS),
        ("moves", moves::SITUATIONS),
    ]
}

/// Checks an engine in all situations it can get into, and returns a table of the results in Markdown.
///
/// # Panics
/// At the first difference to git.
pub async fn report(subject: &Subject) -> String {
    let capabilities = subject.backend.capabilities();
    let mut table = "| upstream | like git |\n|---|---|\n".to_owned();
    for (theme, situations) in situations() {
        writeln!(table, "| **{theme}** | |").expect("a string takes everything");
        for situation in situations {
            let result = if !situation.need.is_met(&capabilities) {
                format!("no: lacks `{}`", situation.need.name())
            } else {
                situation.check(subject).await;
                situation.refused.map_or("yes".to_owned(), |kind| format!("refused: `{}`", kind.as_str()))
            };
            writeln!(table, "| {} | {result} |", situation.name).expect("a string takes everything");
        }
    }
    table
}

/// Brings the mirror in step, and compares it with a clone by git.
async fn compare(mirror: &mut Mirror, context: &str) {
    let before: Vec<ObjectId> = mirror.baseline();
    let synced = mirror.sync().await.unwrap_or_else(|error| panic!("{context}: {error:?}"));
    let after: Vec<ObjectId> = mirror.baseline();

    let clone = tempfile::tempdir().expect("a directory can be made");
    let url = mirror.upstream.dir().display().to_string();
    let git = super::Git::at(clone.path());
    // Not as a copy of files: an alternate would come along.
    git.run(&["clone", "--quiet", "--mirror", "--no-local", &url, "clone.git"]);
    let git = super::Git::at(clone.path().join("clone.git"));
    let ours = |(name, _): &(Vec<u8>, ObjectId)| !name.starts_with(RESERVED_NAMESPACE);
    let (mut theirs, mut mirrored) = (git.refs(), mirror.git().refs());
    theirs.retain(ours);
    mirrored.retain(ours);
    assert_eq!(mirrored, theirs, "{context}: references");
    // An old git's clone of an empty upstream does not take over where HEAD points.
    assert_eq!(mirror.git().head(), mirror.upstream.git().head(), "{context}: HEAD");
    mirror.git().run(&["fsck", "--connectivity-only", "--no-dangling", "--no-progress"]);

    let walked: BTreeSet<ObjectId> = synced.new_commits.iter().map(|commit| commit.id).collect();
    assert_eq!(walked.len(), synced.new_commits.len(), "{context}: each commit is walked once");
    assert_eq!(walked, mirror.rev_list(&after, &before), "{context}: the new commits");
    let ids: String = synced.new_commits.iter().map(|commit| format!("{}\n", commit.id)).collect();
    let printed = git.feed(&["cat-file", "--batch"], ids.as_bytes());
    let mut rest = printed.as_slice();
    for commit in &synced.new_commits {
        let (raw, next) = next_object(rest);
        assert_eq!(*commit, CommitObject::new(raw).decode(commit.id), "{context}: a commit");
        rest = next;
    }
}

/// Takes an object from what `git cat-file --batch` prints: a line that ends with its size, the object, and a line end.
fn next_object(printed: &[u8]) -> (&[u8], &[u8]) {
    let line = printed.iter().position(|byte| *byte == b'\n').expect("git prints a line");
    let words = std::str::from_utf8(&printed[..line]).expect("git prints text");
    let size: usize = words.rsplit(' ').next().and_then(|size| size.parse().ok()).expect("git prints a size");
    let (object, rest) = printed[line + 1..].split_at(size);
    (object, &rest[1..])
}

/// Makes an object as it is, however wrong.
fn object(upstream: &Upstream, kind: &str, content: &[u8]) -> ObjectId {
    let printed = upstream.git().feed(&["hash-object", "-t", kind, "-w", "--stdin", "--literally"], content);
    ObjectId::from_hex(printed.trim_ascii()).expect("git prints an id")
}

/// Makes a commit of these header lines and this message on a branch.
fn raw_commit(upstream: &Upstream, branch: &str, headers: &[&[u8]], message: &[u8]) -> ObjectId {
    let tree = object(upstream, "tree", b"");
    let mut content = format!("tree {tree}\n").into_bytes();
    if let Some(tip) = upstream.tip(branch) {
        content.extend_from_slice(format!("parent {tip}\n").as_bytes());
    }
    for header in headers {
        content.extend_from_slice(header);
        content.push(b'\n');
    }
    content.push(b'\n');
    content.extend_from_slice(message);
    let id = object(upstream, "commit", &content);
    upstream.branch(branch, id);
    id
}

/// Does nothing: the situation stays.
fn stays(_: &Upstream) {}

/// A commit more.
fn commits(upstream: &Upstream) {
    upstream.commit("main");
}
