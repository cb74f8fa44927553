//! Pushing to targets. An engine that cannot push says so.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Alone, Mirror, Subject, Via};
use crate::backend::{PushPermit, PushRequest, Pushed};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{ObjectFormat, RESERVED_NAMESPACE};
use crate::plan::{MirrorKind, RefMapping};
use crate::source::SourceUrl;
use crate::testing::http_server::{Behaviour, Endpoint};
use crate::testing::{SmartHttpServer, Upstream};

/// A mirror with a target that takes pushes.
struct Pair {
    mirror: Mirror,
    target: Upstream,
    server: SmartHttpServer,
    via: Via,
    mapping: RefMapping,
}

impl Pair {
    /// Makes an empty mirror and an empty target; `None` for an engine that cannot push, after it has said so.
    async fn new(subject: &Subject, via: Via) -> Option<Self> {
        Pair::with_format(subject, via, ObjectFormat::Sha1).await
    }

    async fn with_format(subject: &Subject, via: Via, format: ObjectFormat) -> Option<Self> {
        let mirror = Mirror::of(subject.clone(), Upstream::with_format(format), Via::Http).await;
        let target = Upstream::with_format(format);
        target.git().run(&["config", "http.receivepack", "true"]);
        let server = SmartHttpServer::start(target.root());
        let mapping = RefMapping { kind: MirrorKind::Mirror, exclude: Vec::new() };
        let pair = Pair { mirror, target, server, via, mapping };
        if subject.backend.capabilities().push {
            return Some(pair);
        }
        assert_eq!(pair.push().await.expect_err("it cannot").kind(), ErrorKind::Unsupported);
        None
    }

    fn address(&self) -> SourceUrl {
        match self.via {
            Via::Http => self.server.source("upstream.git"),
            Via::File => self.target.file_source(),
        }
    }

    async fn request(&self) -> PushRequest {
        let subject = &self.mirror.subject;
        let refs = subject.backend.read_refs(self.mirror.dir()).await.expect("the references can be read").refs;
        PushRequest { target: self.address(), refs, mapping: self.mapping.clone(), max_pack_bytes: 1 << 30 }
    }

    async fn push(&self) -> Result<Pushed> {
        self.push_within(Duration::from_secs(60)).await
    }

    async fn push_within(&self, time: Duration) -> Result<Pushed> {
        let (subject, request) = (&self.mirror.subject, self.request().await);
        subject.backend.push_mirror(self.mirror.dir(), &request, Box::new(Alone), &subject.context_within(time)).await
    }

    async fn failure(&self) -> Error {
        self.push().await.expect_err("nothing can be pushed")
    }

    /// Syncs the mirror and pushes, and compares the target with the mirror.
    async fn sync_and_push(&mut self) -> Pushed {
        self.mirror.sync_and_compare().await;
        let pushed = self.push().await.expect("the target takes everything");
        assert_eq!(pushed.refused, []);
        self.compare();
        pushed
    }

    fn compare(&self) {
        let mut ours = self.mirror.git().refs();
        ours.retain(|(name, _)| !name.starts_with(RESERVED_NAMESPACE));
        assert_eq!(self.target.git().refs(), ours, "the references of the target");
        self.target.git().assert_sound();
    }

    fn hook(&self, name: &str, script: &str) {
        let path = self.target.dir().join("hooks").join(name);
        fs::create_dir_all(self.target.dir().join("hooks")).expect("there is a place for hooks");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a hook can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a hook can be run");
    }
}

/// Branches, tags of all kinds and other references come, move by force, change between file and directory, and go.
pub async fn a_target_has_what_the_mirror_has(subject: Subject) {
    for via in Via::ALL {
        let Some(mut pair) = Pair::new(&subject, via).await else { return };
        assert_eq!(pair.sync_and_push().await, Pushed::default(), "nothing is there yet");

        let upstream = &pair.mirror.upstream;
        upstream.history("main", 20);
        upstream.history("topic", 5);
        let merged = upstream.merge("main", "topic");
        upstream.tag("light", merged);
        let tag = upstream.annotated_tag("annotated", merged);
        upstream.annotated_tag("nested", tag);
        let tree = upstream.git().id("main^{tree}");
        upstream.tag("tree", tree);
        upstream.annotated_tag("blob", upstream.git().id("main:file"));
        upstream.reference("refs/notes/review", upstream.commit_on(&[]));
        upstream.branch("dir", merged);
        let pushed = pair.sync_and_push().await;
        assert_eq!((pushed.updated, pushed.deleted), (9, 0));
        assert!(pushed.objects > 0 && pushed.bytes > 0);
        assert_eq!(pair.push().await.expect("pushed"), Pushed::default(), "everything is there");

        let upstream = &pair.mirror.upstream;
        let other = upstream.commit_on(&[]);
        upstream.branch("main", other);
        upstream.delete("refs/heads/topic");
        upstream.delete("refs/notes/review");
        upstream.delete("refs/heads/dir");
        upstream.branch("dir/inside", other);
        upstream.annotated_tag("annotated", other);
        upstream.delete("refs/tags/blob");
        let pushed = pair.sync_and_push().await;
        assert_eq!((pushed.updated, pushed.deleted), (3, 4));

        let upstream = &pair.mirror.upstream;
        upstream.delete("refs/heads/dir/inside");
        upstream.branch("dir", other);
        let pushed = pair.sync_and_push().await;
        assert_eq!((pushed.updated, pushed.deleted, pushed.objects), (1, 1, 0), "the objects are there");
    }
}

/// What somebody else did at the target is undone; of what the mapping leaves out nothing is touched.
pub async fn what_others_pushed_to_a_target_is_overwritten(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::Http).await else { return };
    let base = pair.mirror.upstream.history("main", 3);
    pair.mirror.upstream.branch("base", base);
    pair.sync_and_push().await;
    // Of a commit that we do not know nobody can tell what it reaches.
    pair.target.commit("main");
    pair.target.branch("theirs", pair.target.commit_on(&[]));
    pair.mirror.upstream.commit("main");
    let pushed = pair.sync_and_push().await;
    assert_eq!((pushed.updated, pushed.deleted, pushed.objects), (1, 1, 3));

    pair.mapping.kind = MirrorKind::Bare;
    let note = pair.target.commit_on(&[]);
    pair.target.reference("refs/notes/theirs", note);
    pair.target.reference("refs/gitsync/theirs", note);
    pair.target.branch("theirs", note);
    assert_eq!(pair.push().await.expect("pushed"), Pushed { deleted: 1, ..Pushed::default() });
    let left: Vec<_> = pair.target.git().refs().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, [&b"refs/gitsync/theirs"[..], b"refs/heads/base", b"refs/heads/main", b"refs/notes/theirs"]);
}

/// A push sends what the target lacks, out of packs of every kind.
pub async fn only_what_is_missing_is_sent(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::Http).await else { return };
    pair.mirror.upstream.history("main", 300);
    for at in 0..20 {
        let base = pair.mirror.upstream.git().id(&format!("main~{at}"));
        pair.mirror.upstream.branch(&format!("old/{at}"), base);
    }
    // Deltas whose base is not in the pack that comes, and packs that others made of them.
    pair.mirror.sync_and_compare().await;
    pair.mirror.upstream.history("main", 50);
    pair.mirror.sync_and_compare().await;
    pair.mirror.git().run(&["multi-pack-index", "write"]);
    let pushed = pair.sync_and_push().await;
    assert_eq!(pushed.objects, 3 * 350);
    pair.mirror.git().run(&["gc", "--quiet"]);
    pair.mirror.upstream.commit("main");
    let tip = pair.mirror.upstream.commit("old/7");
    pair.mirror.upstream.branch("new", tip);
    let pushed = pair.sync_and_push().await;
    assert_eq!(pushed.objects, 6, "two commits with a tree and a blob each");
    let known = pair.mirror.upstream.git().id("main~40");
    pair.mirror.upstream.branch("known", known);
    let pushed = pair.sync_and_push().await;
    assert_eq!(pushed.objects, 0, "{pushed:?}");
}

/// Trees that stay, that move and that hold each other.
pub async fn trees_of_several_levels_are_sent_once(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::File).await else { return };
    let import = |stream: &str| pair.mirror.upstream.git().feed(&["fast-import", "--quiet"], stream.as_bytes());
    let person = "committer Ada <ada@example.com> 1700000000 +0000\ndata 1\nx\n";
    import(&format!(
        "commit refs/heads/main\n{person}M 100644 inline a/b/c/one\ndata 3\none\nM 100644 inline top\ndata 3\ntop\n\
         M 100755 inline d/two\ndata 3\ntwo\nM 120000 inline d/link\ndata 5\na/b/c\n\
         M 160000 1111111111111111111111111111111111111111 d/module\n\n"
    ));
    // A tree is copied, under a name of its own and into itself.
    import(&format!("commit refs/heads/copy\n{person}from refs/heads/main^0\nC a e\nC a a/b/again\n\n"));
    import(&format!(
        "commit refs/heads/next\n{person}from refs/heads/main^0\nM 100644 inline a/b/c/one\ndata 1\n1\n\n"
    ));
    let pushed = pair.sync_and_push().await;
    let all = pair.mirror.upstream.git().run(&["rev-list", "--objects", "--all", "--no-object-names"]);
    assert_eq!(pushed.objects, all.lines().count() as u64, "each once");
    pair.mirror.upstream.git().feed(
        &["fast-import", "--quiet"],
        format!("commit refs/heads/next\n{person}from refs/heads/next^0\nM 100644 inline d/two\ndata 1\n2\n\n")
            .as_bytes(),
    );
    assert_eq!(pair.sync_and_push().await.objects, 4, "a commit, two trees and a blob");
}

/// A target refuses references, and takes all others.
pub async fn what_a_target_refuses_is_named(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::Http).await else { return };
    pair.mirror.upstream.history("main", 2);
    let tip = pair.mirror.upstream.tip("main").expect("a tip");
    for branch in ["locked", "open"] {
        pair.mirror.upstream.branch(branch, tip);
    }
    pair.hook("update", "echo no secrets here >&2; test $1 != refs/heads/locked");
    pair.target.git().run(&["config", "receive.denyDeletes", "true"]);
    pair.target.branch("stays", pair.target.commit_on(&[]));
    pair.mirror.sync_and_compare().await;
    let pushed = pair.push().await.expect("the rest is done");
    assert_eq!((pushed.updated, pushed.deleted), (2, 0));
    let refused: Vec<_> =
        pushed.refused.iter().map(|refused| (refused.name.to_string(), refused.reason.as_str())).collect();
    let expected = [("refs/heads/stays", "deletion prohibited"), ("refs/heads/locked", "hook declined")];
    assert_eq!(refused, expected.map(|(name, reason)| (name.to_owned(), reason)));
    // Once it is allowed, what is missing is all that happens.
    pair.hook("update", "exit 0");
    pair.target.git().run(&["config", "receive.denyDeletes", "false"]);
    let pushed = pair.push().await.expect("pushed");
    assert_eq!((pushed.updated, pushed.deleted, pushed.objects), (1, 1, 0));
    pair.compare();
}

/// Many references, of which few move.
pub async fn a_thousand_references_are_pushed(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::Http).await else { return };
    let tip = pair.mirror.upstream.history("main", 10);
    let names: Vec<Vec<u8>> = (0..1000).map(|at| format!("refs/heads/many/{at:04}/\u{e9}").into_bytes()).collect();
    pair.mirror.upstream.references(names.iter().map(|name| (name.as_slice(), tip)));
    assert_eq!(pair.sync_and_push().await.updated, 1001);
    pair.mirror.upstream.delete("refs/heads/many/0500/\u{e9}");
    let pushed = pair.sync_and_push().await;
    assert_eq!(pushed, Pushed { deleted: 1, ..Pushed::default() });
}

/// The other hash function, where the engine knows it.
pub async fn sha256_targets(subject: Subject) {
    if !subject.backend.capabilities().sha256 {
        // That it says so is for other tests.
        return;
    }
    let Some(mut pair) = Pair::with_format(&subject, Via::Http, ObjectFormat::Sha256).await else { return };
    pair.mirror.upstream.history("main", 5);
    pair.mirror.upstream.branch("gone", pair.mirror.upstream.commit_on(&[]));
    pair.sync_and_push().await;
    pair.mirror.upstream.delete("refs/heads/gone");
    pair.mirror.upstream.commit("main");
    assert_eq!(pair.sync_and_push().await.objects, 3);
    pair.target = Upstream::new();
    pair.via = Via::File;
    assert_eq!(pair.failure().await.kind(), ErrorKind::Conflict);
}

/// Targets that are not there, that do not let us in, and that talk nonsense.
pub async fn targets_that_fail_have_their_kinds(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::Http).await else { return };
    pair.mirror.upstream.history("main", 5);
    pair.mirror.sync_and_compare().await;
    let files = pair.mirror.object_files();
    let result = |text: &[u8]| Behaviour::Body("application/x-git-receive-pack-result", text.to_vec());
    let greeting = |text: &[u8]| Behaviour::Body("application/x-git-receive-pack-advertisement", text.to_vec());
    let cases = [
        (Endpoint::Greeting, Behaviour::Status(401, Vec::new()), ErrorKind::Unauthenticated),
        (Endpoint::Greeting, Behaviour::Status(403, Vec::new()), ErrorKind::PermissionDenied),
        (Endpoint::Greeting, Behaviour::Status(404, Vec::new()), ErrorKind::SourceNotFound),
        (Endpoint::Greeting, greeting(b"nonsense"), ErrorKind::Corrupt),
        (Endpoint::Greeting, Behaviour::Body("text/html", b"hello".to_vec()), ErrorKind::Corrupt),
        (Endpoint::Command, Behaviour::Status(403, Vec::new()), ErrorKind::PermissionDenied),
        (Endpoint::Command, Behaviour::Status(503, Vec::new()), ErrorKind::SourceUnreachable),
        (Endpoint::Command, result(b""), ErrorKind::SourceUnreachable),
        (Endpoint::Command, result(b"hello"), ErrorKind::Corrupt),
        (Endpoint::Command, result(b"000e\x02remarks0000"), ErrorKind::SourceUnreachable),
        (Endpoint::Command, result(b"000d\x03too big0000"), ErrorKind::SourceUnreachable),
        (Endpoint::Command, result(b"0017\x01000eunpack ok\n00000000"), ErrorKind::Corrupt),
    ];
    for (endpoint, behaviour, kind) in cases {
        let told = format!("{endpoint:?}: {behaviour:?}");
        pair.server.answer(endpoint, behaviour);
        let error = pair.failure().await;
        assert_eq!(error.kind(), kind, "{told}: {error:?}");
        assert_eq!(pair.mirror.object_files(), files, "{told}");
        pair.server.answer(endpoint, Behaviour::Serve);
    }
    pair.server.answer(Endpoint::Command, Behaviour::CutAfter(3));
    assert!(pair.failure().await.is_retryable());
    pair.server.answer(Endpoint::Command, Behaviour::Serve);
    // It had been done: only the answer was lost.
    assert_eq!(pair.push().await.expect("pushed"), Pushed::default());

    pair.target.git().run(&["config", "http.receivepack", "false"]);
    assert_eq!(pair.failure().await.kind(), ErrorKind::PermissionDenied);
    fs::remove_dir_all(pair.target.dir()).expect("a target can vanish");
    for via in Via::ALL {
        pair.via = via;
        assert_eq!(pair.failure().await.kind(), ErrorKind::SourceNotFound, "{via:?}");
    }
}

/// A target that says nothing, before and after it was told everything.
pub async fn a_push_to_a_stalled_target_ends_by_its_limits(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::Http).await else { return };
    pair.mirror.upstream.history("main", 5);
    pair.mirror.sync_and_compare().await;
    let files = pair.mirror.object_files();
    for endpoint in [Endpoint::Greeting, Endpoint::Command] {
        pair.server.answer(endpoint, Behaviour::Stall);
        let error = pair.push_within(Duration::from_millis(500)).await.expect_err("it is late");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{endpoint:?}: {error:?}");

        pair.server.answer(endpoint, Behaviour::Hold);
        let (context, request) = (subject.context(), pair.request().await);
        let cancellation = context.limits.cancellation.clone();
        let push = subject.backend.push_mirror(pair.mirror.dir(), &request, Box::new(Alone), &context);
        let (pushed, ()) = tokio::join!(push, async {
            while pair.server.held() == 0 {
                tokio::task::yield_now().await;
            }
            cancellation.cancel();
        });
        assert_eq!(pushed.expect_err("it was cancelled").kind(), ErrorKind::Cancelled, "{endpoint:?}");
        pair.server.answer(endpoint, Behaviour::Serve);
    }
    assert_eq!(pair.mirror.object_files(), files);
    pair.push().await.expect("pushed");
    pair.compare();
}

/// A permit that is asked for too late: another worker has the repository.
struct TooLate(Arc<AtomicUsize>);

impl PushPermit for TooLate {
    fn check(&self) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(Error::new(ErrorKind::LeaseLost, "another worker has taken over"))
    }
}

/// Between the greeting of the target and the first byte that is sent the right to push is lost.
pub async fn a_push_that_came_too_late_sends_nothing(subject: Subject) {
    for via in Via::ALL {
        let Some(mut pair) = Pair::new(&subject, via).await else { return };
        pair.mirror.upstream.history("main", 5);
        pair.sync_and_push().await;
        pair.mirror.upstream.commit("main");
        pair.mirror.sync_and_compare().await;
        let (before, files) = (pair.target.git().refs(), pair.mirror.object_files());
        let asked = Arc::new(AtomicUsize::new(0));
        let push = async || {
            let (request, context) = (pair.request().await, subject.context());
            let permit = Box::new(TooLate(Arc::clone(&asked)));
            let pushed = subject.backend.push_mirror(pair.mirror.dir(), &request, permit, &context).await;
            pushed.expect_err("it is too late").kind()
        };
        assert_eq!(push().await, ErrorKind::LeaseLost, "{via:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert_eq!(pair.target.git().refs(), before, "{via:?}");
        assert_eq!(pair.mirror.object_files(), files, "{via:?}");
        if matches!(via, Via::Http) {
            pair.server.answer(Endpoint::Greeting, Behaviour::Status(404, Vec::new()));
            assert_eq!(push().await, ErrorKind::SourceNotFound);
            assert_eq!(asked.load(Ordering::SeqCst), 1, "not before the target has said what it has");
            pair.server.answer(Endpoint::Greeting, Behaviour::Serve);
        }
        assert_eq!(pair.push().await.expect("it is ours").updated, 1);
        pair.compare();
    }
}

/// More than may be sent: the target hears nothing of it.
pub async fn a_push_past_its_bound_changes_nothing(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::File).await else { return };
    pair.mirror.upstream.history("main", 100);
    pair.mirror.sync_and_compare().await;
    let files = pair.mirror.object_files();
    let mut request = pair.request().await;
    request.max_pack_bytes = 1000;
    let pushed = subject.backend.push_mirror(pair.mirror.dir(), &request, Box::new(Alone), &subject.context()).await;
    assert_eq!(pushed.expect_err("it is too much").kind(), ErrorKind::LimitExceeded);
    assert_eq!(pair.target.git().refs(), []);
    assert_eq!(pair.mirror.object_files(), files);
}

/// An object of ours that is gone is told as such, not as the target's fault.
pub async fn a_push_with_a_hole_is_corrupt(subject: Subject) {
    let Some(mut pair) = Pair::new(&subject, Via::File).await else { return };
    pair.mirror.upstream.history("main", 5);
    pair.mirror.sync_and_compare().await;
    let git = pair.mirror.git();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("git prints an id").trim_end().to_owned();
    let blob = text(git.feed(&["hash-object", "-w", "--stdin"], b"to be lost"));
    let tree = text(git.feed(&["mktree"], format!("100644 blob {blob}\tfile\n").as_bytes()));
    let commit = git.run(&["commit-tree", &tree, "-m", "a hole"]);
    git.run(&["update-ref", "refs/heads/hole", &commit]);
    fs::remove_file(pair.mirror.dir().join("objects").join(&blob[..2]).join(&blob[2..])).expect("it is loose");
    assert_eq!(pair.failure().await.kind(), ErrorKind::Corrupt);
    assert_eq!(pair.target.git().refs(), []);
    // One that the target knows and nobody here needs is in nobody's way.
    git.run(&["update-ref", "-d", "refs/heads/hole"]);
    pair.target.commit("theirs");
    let theirs = pair.target.commit("theirs").to_string();
    let commit = pair.target.git().feed(&["cat-file", "commit", &theirs], b"");
    git.feed(&["hash-object", "-t", "commit", "-w", "--stdin"], &commit);
    let pushed = pair.push().await.expect("pushed");
    assert_eq!((pushed.updated, pushed.deleted), (1, 1));
    pair.compare();
}
