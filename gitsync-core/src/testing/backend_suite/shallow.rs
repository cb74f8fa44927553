//! Mirrors of a limited depth, each compared with a fresh clone of that depth by git: the same references, the same commits,
//! and sound.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Mirror, Subject, Via};
use crate::backend::{Capabilities, CommitWalk, FetchRequest};
use crate::error::ErrorKind;
use crate::model::{Depth, ObjectFormat, ObjectId, RESERVED_NAMESPACE};
use crate::testing::http_server::{Behaviour, Endpoint};
use crate::testing::{Git, Upstream, check_depth, size};

/// The depths that upstreams are mirrored with, the most telling first.
const DEPTHS: [i64; 4] = [5, 1, 60, 2];

/// A mirror, and the depth that it has.
struct Limited {
    mirror: Mirror,
    depth: Option<Depth>,
}

impl Limited {
    async fn new(subject: &Subject, upstream: Upstream, via: Via, depth: i64) -> Self {
        let mirror = Mirror::of(subject.clone(), upstream, via).await;
        let mut limited = Limited { mirror, depth: None };
        limited.deepen(Some(depth));
        limited
    }

    /// Changes the depth, `None` for all.
    fn deepen(&mut self, depth: Option<i64>) {
        self.depth = depth.map(|depth| Depth::new(depth).expect("a depth"));
        self.mirror.limit(self.depth);
    }

    /// Brings the mirror in step with the upstream and compares it.
    async fn compare(&mut self, context: &str) {
        let context = format!("{context}, depth {:?}", self.depth);
        self.mirror.sync().await.unwrap_or_else(|error| panic!("{context}: {error:?}"));
        let ours = self.mirror.git();
        let mut refs = ours.refs();
        refs.retain(|(name, _)| !name.starts_with(RESERVED_NAMESPACE));
        assert_eq!(refs, self.mirror.upstream.git().refs(), "{context}: references");
        check_depth(ours.dir(), self.mirror.upstream.dir(), self.depth);
        let tips = self.commits(&ours);
        let walked = self.mirror.walk(CommitWalk { tips, ..CommitWalk::default() }).await.expect("it is walked");
        let walked: BTreeSet<ObjectId> = walked.into_iter().map(|commit| commit.id).collect();
        let listed: BTreeSet<ObjectId> = ours.ids(&["rev-list", "--branches", "--tags"]).into_iter().collect();
        assert_eq!(walked, listed, "{context}: the walk");
        self.check_boundary(&ours, &context);
    }

    /// The commits that branches and tags lead to.
    fn commits(&self, git: &Git) -> Vec<ObjectId> {
        git.ids(&["rev-list", "--no-walk", "--branches", "--tags"])
    }

    /// Nothing stays at the boundary that no reference leads to: it would be told every upstream for ever.
    fn check_boundary(&self, git: &Git, context: &str) {
        let Ok(text) = std::fs::read_to_string(git.dir().join("shallow")) else { return };
        let boundary: Vec<ObjectId> = text.lines().map(|line| line.parse().expect("an id")).collect();
        assert!(!boundary.is_empty(), "{context}: an empty boundary is none");
        assert!(boundary.is_sorted_by(|one, other| one < other), "{context}: each is there once");
        let all: BTreeSet<ObjectId> = git.ids(&["rev-list", "--all"]).into_iter().collect();
        // One that was left by a reference that has just moved goes with the next fetch.
        let unreached = boundary.iter().filter(|id| !all.contains(id)).count();
        assert!(unreached <= self.mirror.moved(), "{context}: {unreached} of {}", boundary.len());
    }
}

/// How an upstream moves on, and what that is.
type Step = (&'static str, fn(&Upstream));

/// Tells whether there is nothing to check: an engine that knows no depth says so.
async fn knows_none(subject: &Subject) -> bool {
    let Capabilities { shallow, .. } = subject.backend.capabilities();
    if shallow {
        return false;
    }
    let mirror = Mirror::new(subject.clone()).await;
    let tip = mirror.upstream.commit("main");
    let request = FetchRequest { depth: Depth::new(1).ok(), ..mirror.request(&[tip]) };
    let error = subject.backend.fetch(mirror.dir(), &request, &subject.context()).await.expect_err("it cannot");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    true
}

/// Lets an upstream move on step by step, for each depth.
async fn follow(subject: Subject, begin: fn(&Upstream), steps: &[Step]) {
    if knows_none(&subject).await {
        return;
    }
    for (number, depth) in DEPTHS.into_iter().take(size(2, DEPTHS.len())).enumerate() {
        let upstream = Upstream::new();
        begin(&upstream);
        let via = Via::ALL[number % 2];
        let mut limited = Limited::new(&subject, upstream, via, depth).await;
        limited.compare("at first").await;
        for (step, (what, change)) in steps.iter().enumerate() {
            change(&limited.mirror.upstream);
            limited.mirror.reach(Via::ALL[(number + step) % 2]);
            limited.compare(what).await;
        }
    }
}

/// A line that grows by less and by more than the depth, and at first is shorter than that.
pub async fn a_line_grows(subject: Subject) {
    follow(
        subject,
        |it| {
            it.history("main", 4);
        },
        &[
            ("nothing new", |_| {}),
            ("one more", |it| {
                it.commit("main");
            }),
            ("many more", |it| {
                it.history("main", 150);
            }),
            ("a few more", |it| {
                it.history("main", 3);
            }),
        ],
    )
    .await;
}

/// Branches that are merged into each other, so that what is near one tip is far from another.
pub async fn branches_merge(subject: Subject) {
    follow(
        subject,
        |it| {
            let base = it.history("main", 10);
            for name in ["a", "b", "c"] {
                it.branch(name, base);
                it.history(name, 3);
            }
        },
        &[
            ("one is merged", |it| {
                it.merge("main", "a");
            }),
            ("a merged one is gone", |it| it.delete("refs/heads/a")),
            ("crosswise", |it| {
                for _ in 0..4 {
                    let (one, other) = (it.tip("b").expect("a tip"), it.tip("c").expect("a tip"));
                    it.branch("b", it.commit_on(&[one, other]));
                    it.branch("c", it.commit_on(&[other, one]));
                }
            }),
            ("all at once", |it| {
                let parents: Vec<_> = ["main", "b", "c"].iter().filter_map(|name| it.tip(name)).collect();
                it.branch("main", it.commit_on(&parents));
            }),
        ],
    )
    .await;
}

/// Tags on old commits, of tags, of trees and of blobs; new ones on what was cut off.
pub async fn tags_on_old_commits(subject: Subject) {
    follow(
        subject,
        |it| {
            it.history("main", 100);
            it.tag("light", it.git().id("main~90"));
            let tag = it.annotated_tag("annotated", it.git().id("main~50"));
            it.annotated_tag("nested", tag);
            it.annotated_tag("tree", it.git().id("main~70^{tree}"));
            it.tag("blob", it.git().id("main~71:file"));
        },
        &[
            ("older ones", |it| {
                it.annotated_tag("older", it.git().id("main~95"));
                it.tag("root", it.git().id("main~99"));
            }),
            ("next to the boundary", |it| {
                for at in [1, 2, 4, 5, 6, 59, 60, 61] {
                    it.tag(&format!("at-{at}"), it.git().id(&format!("main~{at}")));
                }
            }),
            ("moved and gone", |it| {
                it.tag("light", it.git().id("main~10"));
                it.delete("refs/tags/nested");
                it.commit("main");
            }),
        ],
    )
    .await;
}

/// Branches that are forced back, sideways and to histories that have nothing to do with them.
pub async fn branches_are_forced(subject: Subject) {
    follow(
        subject,
        |it| {
            it.history("main", 80);
            it.branch("other", it.git().id("main~40"));
        },
        &[
            ("back", |it| it.branch("main", it.git().id("main~3"))),
            ("far back", |it| it.branch("main", it.git().id("main~60"))),
            ("forward", |it| {
                it.branch("main", it.git().id("other"));
                it.history("main", 4);
            }),
            ("sideways", |it| {
                let base = it.git().id("main~7");
                it.branch("main", it.commit_on(&[base]));
            }),
            ("elsewhere", |it| {
                it.delete("refs/heads/main");
                it.history("main", 70);
            }),
            ("gone and back", |it| {
                it.delete("refs/heads/other");
                it.commit("main");
            }),
        ],
    )
    .await;
}

/// The depth itself changes: more, less, and all; after that everything comes, and the boundary is gone.
pub async fn depths_change(subject: Subject) {
    if knows_none(&subject).await {
        return;
    }
    let other_format = subject.backend.capabilities().sha256;
    for via in Via::ALL {
        let is_sha256 = via == Via::File && other_format;
        let upstream = Upstream::with_format(if is_sha256 { ObjectFormat::Sha256 } else { ObjectFormat::Sha1 });
        upstream.history("main", 40);
        upstream.branch("topic", upstream.git().id("main~20"));
        upstream.history("topic", 30);
        upstream.merge("main", "topic");
        upstream.tag("old", upstream.git().id("main~35"));
        let mut limited = Limited::new(&subject, upstream, via, 2).await;
        limited.compare("at first").await;
        for depth in [3, 10, 4, 25] {
            limited.deepen(Some(depth));
            limited.compare("another depth").await;
        }
        limited.mirror.upstream.history("main", 12);
        limited.deepen(None);
        limited.compare("all").await;
        assert!(!limited.mirror.dir().join("shallow").exists(), "{via:?}");
        assert_eq!(limited.mirror.git().refs(), limited.mirror.upstream.git().refs());
        limited.mirror.upstream.commit("main");
        limited.compare("one more").await;
    }
}

/// Upstream is not told of commits at the boundary that are not there: it would not send them when they are asked for.
pub async fn a_boundary_that_is_gone_is_not_told(subject: Subject) {
    if knows_none(&subject).await {
        return;
    }
    for via in Via::ALL {
        let upstream = Upstream::new();
        upstream.history("main", 10);
        let mut limited = Limited::new(&subject, upstream, via, 1).await;
        limited.compare("at first").await;
        let gone = limited.mirror.upstream.git().id("main~2");
        let shallow = limited.mirror.dir().join("shallow");
        let boundary = std::fs::read_to_string(&shallow).expect("it is shallow");
        std::fs::write(&shallow, format!("{boundary}{gone}\n")).expect("it is written");
        limited.deepen(Some(5));
        limited.compare("deeper").await;
    }
}

/// A walk leaves out what tips of earlier days reach, though these have left the boundary and their parents never came.
pub async fn walks_hide_tips_that_left_the_boundary(subject: Subject) {
    if knows_none(&subject).await {
        return;
    }
    let upstream = Upstream::new();
    let early = upstream.history("main", 10);
    let mut limited = Limited::new(&subject, upstream, Via::Http, 1).await;
    limited.compare("at first").await;
    for _ in 0..2 {
        limited.mirror.upstream.commit("main");
        limited.compare("one more").await;
    }
    let ours = limited.mirror.git();
    let boundary = std::fs::read_to_string(ours.dir().join("shallow")).expect("it is shallow");
    assert!(!boundary.contains(&early.to_string()), "nothing leads there any more");
    let tips = limited.commits(&ours);
    let walk = CommitWalk { tips: tips.clone(), hidden: vec![early], ..CommitWalk::default() };
    let walked: Vec<ObjectId> =
        limited.mirror.walk(walk).await.expect("it is walked").into_iter().map(|commit| commit.id).collect();
    assert_eq!(walked, tips);
}

/// What was forced away keeps the boundary that it has, also when the rest becomes whole.
pub async fn kept_tips_keep_their_boundary(subject: Subject) {
    if knows_none(&subject).await {
        return;
    }
    let upstream = Upstream::new();
    let gone = upstream.history("main", 20);
    let mut limited = Limited::new(&subject, upstream, Via::Http, 3).await;
    limited.compare("at first").await;
    let other = limited.mirror.upstream.commit_on(&[]);
    limited.mirror.upstream.branch("main", other);
    limited.mirror.upstream.git().run(&["gc", "--quiet", "--prune=now"]);
    limited.compare("forced").await;
    limited.deepen(None);
    limited.mirror.upstream.history("main", 5);
    limited.compare("all").await;
    assert_eq!(limited.mirror.git().run(&["rev-list", "--count", &gone.to_string()]), "3");
    limited.mirror.upstream.history("main", 5);
    limited.compare("more").await;
    assert!(limited.mirror.dir().join("shallow").exists(), "what is cut off there is nowhere any more");
}

/// What both have is not sent again, in whatever depth.
pub async fn shallow_fetches_are_small(subject: Subject) {
    if knows_none(&subject).await {
        return;
    }
    for via in Via::ALL {
        let upstream = Upstream::new();
        upstream.history("main", 200);
        let mut mirror = Mirror::of(subject.clone(), upstream, via).await;
        mirror.limit(Depth::new(100).ok());
        let objects = async |mirror: &mut Mirror| mirror.sync().await.expect("in step").fetched.map(|it| it.objects);
        assert_eq!(objects(&mut mirror).await, Some(300), "{via:?}: a commit, a tree and a blob each");
        mirror.upstream.history("main", 2);
        assert_eq!(objects(&mut mirror).await, Some(6), "{via:?}");
        mirror.upstream.tag("v1", mirror.upstream.git().id("main~3"));
        assert_eq!(objects(&mut mirror).await, Some(9), "{via:?}: three more generations");
        let before = mirror.object_files();
        mirror.upstream.branch("same", mirror.upstream.git().id("main"));
        assert_eq!(objects(&mut mirror).await, Some(0), "{via:?}: it is there");
        assert_eq!(mirror.object_files(), before, "{via:?}");
    }
}

/// A failed fetch leaves the boundary as it was.
pub async fn a_failed_fetch_leaves_the_boundary(subject: Subject) {
    if knows_none(&subject).await {
        return;
    }
    let upstream = Upstream::new();
    upstream.history("main", 20);
    let mut mirror = Mirror::of(subject.clone(), upstream, Via::Http).await;
    mirror.limit(Depth::new(2).ok());
    mirror.sync().await.expect("in step");
    let tip = mirror.upstream.history("main", 20);
    let boundary = |dir: &Path| std::fs::read_to_string(dir.join("shallow")).expect("it is shallow");
    let (before, files) = (boundary(mirror.dir()), mirror.object_files());
    let request = FetchRequest { max_pack_objects: 1, ..mirror.request(&[tip]) };
    subject.backend.fetch(mirror.dir(), &request, &subject.context()).await.expect_err("it is too much");
    assert_eq!((boundary(mirror.dir()), mirror.object_files()), (before.clone(), files));
    // Also a good one leaves it to be published with the references.
    let fetched =
        subject.backend.fetch(mirror.dir(), &mirror.request(&[tip]), &subject.context()).await.expect("fetched");
    assert_eq!(boundary(mirror.dir()), before);
    assert!(fetched.shallow.is_some());
    mirror.sync().await.expect("in step");
    mirror.git().assert_sound();
    assert_eq!(mirror.git().run(&["rev-list", "--count", "--branches"]), "2");
}

/// An upstream that says that a commit is whole now, and does not send what it leads to.
pub async fn a_lie_about_the_boundary_is_found_out(subject: Subject) {
    if knows_none(&subject).await {
        return;
    }
    let upstream = Upstream::new();
    let tip = upstream.history("main", 20);
    let cut = upstream.git().id("main~1");
    let mut mirror = Mirror::of(subject.clone(), upstream, Via::Http).await;
    mirror.limit(Depth::new(2).ok());
    mirror.sync().await.expect("in step");
    let (boundary, files) =
        (std::fs::read(mirror.dir().join("shallow")).expect("it is shallow"), mirror.object_files());
    let empty_pack = b"0025\x01PACK\0\0\0\x02\0\0\0\0\
                       \x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e0000";
    let lie = [format!("0037unshallow {cut}\n00000008NAK\n").as_bytes(), empty_pack].concat();
    mirror.server.answer(Endpoint::Command, Behaviour::Body("application/x-git-upload-pack-result", lie));
    mirror.limit(Depth::new(5).ok());
    let fetched = subject.backend.fetch(mirror.dir(), &mirror.request(&[tip]), &subject.context()).await;
    assert_eq!(fetched.expect_err("the parents are missing").kind(), ErrorKind::Corrupt);
    assert_eq!(std::fs::read(mirror.dir().join("shallow")).expect("it is shallow"), boundary);
    assert_eq!(mirror.object_files(), files);
    mirror.server.answer(Endpoint::Command, Behaviour::Serve);
    mirror.sync().await.expect("in step");
    check_depth(mirror.dir(), mirror.upstream.dir(), Depth::new(5).ok());
}

/// An ancestor stays one beyond the boundary, as far as it is there.
pub async fn ancestry_goes_beyond_the_boundary(subject: Subject) {
    if knows_none(&subject).await {
        return;
    }
    let upstream = Upstream::new();
    let first = upstream.history("main", 20);
    let mut mirror = Mirror::of(subject.clone(), upstream, Via::Http).await;
    mirror.limit(Depth::new(1).ok());
    mirror.sync().await.expect("in step");
    let second = mirror.upstream.commit("main");
    mirror.sync().await.expect("in step");
    assert_eq!(mirror.git().run(&["rev-list", "--count", "main"]), "1");
    let third = mirror.upstream.history("main", 3);
    mirror.sync().await.expect("in step");
    let pairs = [(first, second), (second, first), (second, third)];
    let answers = subject.backend.is_ancestor(mirror.dir(), &pairs, &subject.context()).await.expect("it is told");
    assert_eq!(answers, [true, false, false], "what lies between the last two was never there");
}
