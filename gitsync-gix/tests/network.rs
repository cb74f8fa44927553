//! What goes over the wire, and what comes back from servers that are up to something.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use gitsync_core::backend::{CommitWalk, Durability, Head, InitOptions};
use gitsync_core::model::{ObjectFormat, RefName};
use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::testing::Upstream;
use gitsync_core::testing::backend_suite::{Mirror, Subject, Via};
use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::{ErrorKind, GitBackend};
use gitsync_gix::{GixBackend, GixOptions};
use gitsync_transport::{NetOptions, NetTransport};

fn transport() -> NetTransport {
    let policy = SourcePolicy::builder()
        .schemes([Scheme::Http, Scheme::File])
        .allow_private_networks(true)
        .file_root(std::env::temp_dir())
        .build()
        .expect("a policy");
    NetTransport::new(policy, NetOptions::default())
}

fn subject() -> Subject {
    Subject::new(GixBackend::default(), transport())
}

fn greeting(text: &str) -> Behaviour {
    Behaviour::Body("application/x-git-upload-pack-advertisement", text.as_bytes().to_vec())
}

fn lines(lines: &[String]) -> String {
    let line = |line: &String| format!("{:04x}{line}", line.len() + 4);
    format!("001e# service=git-upload-pack\n0000{}0000", lines.iter().map(line).collect::<String>())
}

#[tokio::test]
async fn a_sync_takes_no_more_requests_than_it_must() {
    let mut mirror = Mirror::new(subject()).await;
    mirror.upstream.history("main", 20);
    let endpoints = |mirror: &Mirror| -> Vec<Endpoint> {
        mirror.server.take_requests().into_iter().map(|request| request.endpoint).collect()
    };
    mirror.sync_and_compare().await;
    assert_eq!(endpoints(&mirror), [Endpoint::Greeting, Endpoint::Command], "a clone");
    mirror.sync_and_compare().await;
    assert_eq!(endpoints(&mirror), [Endpoint::Greeting], "nothing is new");
    let tip = mirror.upstream.history("main", 3);
    mirror.upstream.branch("topic", tip);
    mirror.upstream.commit("topic");
    mirror.sync_and_compare().await;
    assert_eq!(endpoints(&mirror), [Endpoint::Greeting, Endpoint::Command], "new commits");
    mirror.upstream.set_head("nowhere");
    mirror.sync_and_compare().await;
    assert_eq!(endpoints(&mirror), [Endpoint::Greeting, Endpoint::Command], "a dangling HEAD");
    // Without a listing before it, a fetch greets by itself.
    let tip = mirror.upstream.commit("main");
    let subject = mirror.subject.clone();
    let engine = GixBackend::default();
    engine.fetch(mirror.dir(), &mirror.request(&[tip]), &subject.context()).await.expect("fetched");
    assert_eq!(endpoints(&mirror), [Endpoint::Greeting, Endpoint::Command]);
}

#[tokio::test]
async fn a_greeting_that_is_remembered_serves_one_fetch() {
    let mirror = Mirror::new(subject()).await;
    let tip = mirror.upstream.commit("main");
    mirror.list().await.expect("listed");
    mirror.server.answer(Endpoint::Command, Behaviour::Status(500, Vec::new()));
    let context = mirror.subject.context();
    let request = mirror.request(&[tip]);
    let failed = mirror.subject.backend.fetch(mirror.dir(), &request, &context).await;
    assert_eq!(failed.expect_err("the server fails").kind(), ErrorKind::SourceUnreachable);
    mirror.server.answer(Endpoint::Command, Behaviour::Serve);
    mirror.server.take_requests();
    mirror.subject.backend.fetch(mirror.dir(), &request, &context).await.expect("fetched");
    assert_eq!(mirror.server.take_requests().len(), 2);
}

#[tokio::test]
async fn many_rounds_lead_to_small_packs_too() {
    for via in Via::ALL {
        let mut mirror = Mirror::of(subject(), Upstream::new(), via).await;
        mirror.upstream.history("main", 2_000);
        mirror.sync_and_compare().await;
        // Local commits that upstream does not know hide what both have.
        let git = mirror.git();
        for number in 0..3 {
            let base = mirror.upstream.git().id(&format!("main~{}", 500 + number));
            let mut stream = String::new();
            for at in 0..400 {
                let from = if at == 0 { format!("from {base}\n") } else { String::new() };
                let date = 1_900_000_000 + at;
                stream +=
                    &format!("commit refs/heads/ours/{number}\ncommitter A <a> {date} +0000\ndata 1\nx\n{from}\n");
            }
            git.feed(&["fast-import", "--quiet", "--force"], stream.as_bytes());
        }
        git.run(&["update-ref", "refs/heads/main", &mirror.upstream.git().id("main~300").to_string()]);
        let tip = mirror.upstream.commit("main");
        let context = mirror.subject.context();
        let request = mirror.request(&[tip]);
        let fetched = mirror.subject.backend.fetch(mirror.dir(), &request, &context).await.expect("fetched");
        assert!(fetched.objects < 1_000, "{via:?}: {}", fetched.objects);
    }
}

#[tokio::test]
async fn hostile_listings_are_bounded_and_never_end_the_program() {
    let mut options = GixOptions::default();
    options.max_listed_refs = 100;
    options.max_listing_bytes = 100_000;
    let mirror = Mirror::new(Subject::new(GixBackend::new(options), transport())).await;
    let id = "1".repeat(40);
    let first =
        format!("{id} HEAD\0multi_ack_detailed side-band-64k symref=HEAD:refs/heads/a symref=X:refs/heads/none\n");
    let many = |count: usize, length: usize| {
        let pad = "x".repeat(length);
        let more = (0..count).map(|at| format!("{id} refs/heads/{at}{pad}\n"));
        lines(&std::iter::once(first.clone()).chain(more).collect::<Vec<_>>())
    };
    mirror.server.answer(Endpoint::Greeting, greeting(&many(50, 0)));
    let listed = mirror.list().await.expect("listed");
    assert_eq!((listed.refs.len(), listed.head), (50, Some(Head::Branch(RefName::branch("a").expect("a name")))));
    for (text, kind) in [
        (many(100, 0), ErrorKind::LimitExceeded),
        (many(50, 3_000), ErrorKind::LimitExceeded),
        (lines(&["ERR access denied or repository not exported: /x\n".to_owned()]), ErrorKind::SourceNotFound),
        (lines(&["ERR something else\n".to_owned()]), ErrorKind::SourceUnreachable),
        (lines(&[format!("{id} HEAD\0\n")]), ErrorKind::Corrupt),
        (lines(&["version 3\n".to_owned()]), ErrorKind::Unsupported),
        (lines(&[first.clone(), "ERR later\n".to_owned()]), ErrorKind::SourceUnreachable),
        ("001e# service=git-upload-pack\n0000fffg".to_owned(), ErrorKind::Corrupt),
        ("001f# service=git-receive-pack\n0000".to_owned(), ErrorKind::Corrupt),
    ] {
        mirror.server.answer(Endpoint::Greeting, greeting(&text));
        let error = mirror.list().await.expect_err(&text);
        assert_eq!(error.kind(), kind, "{}: {error:?}", &text[..text.len().min(200)]);
    }
}

#[tokio::test]
async fn a_server_that_never_sends_a_pack_is_not_asked_for_ever() {
    let mirror = Mirror::new(subject()).await;
    let tip = mirror.upstream.commit("main");
    let nak = Behaviour::Body("application/x-git-upload-pack-result", b"0008NAK\n".to_vec());
    mirror.server.answer(Endpoint::Command, nak);
    let context = mirror.subject.context();
    let error =
        mirror.subject.backend.fetch(mirror.dir(), &mirror.request(&[tip]), &context).await.expect_err("no pack");
    let asked = mirror.server.take_requests().len();
    assert!(asked <= 4, "{asked} requests");
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable, "{error}");
}

/// A commit on `main` with a file: the ids of the commit, its tree and the file.
fn commit_with_file(upstream: &Upstream, content: &str) -> [String; 3] {
    let git = upstream.git();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
    let blob = text(git.feed(&["hash-object", "-w", "--stdin"], content.as_bytes()));
    let tree = text(git.feed(&["mktree"], format!("100644 blob {blob}\tfile\n").as_bytes()));
    let commit = git.run(&["commit-tree", "-m", "x", &tree]);
    git.run(&["update-ref", "refs/heads/main", &commit]);
    [commit, tree, blob]
}

/// The answer to a fetch whose pack holds these objects and no others.
fn pack_of(upstream: &Upstream, ids: &[&str]) -> Behaviour {
    let pack = upstream.git().feed(&["pack-objects", "--stdout", "-q"], ids.join("\n").as_bytes());
    let mut answer = b"0008NAK\n".to_vec();
    answer.extend_from_slice(format!("{:04x}\x01", pack.len() + 5).as_bytes());
    answer.extend_from_slice(&pack);
    answer.extend_from_slice(b"0000");
    Behaviour::Body("application/x-git-upload-pack-result", answer)
}

/// `git fetch` refuses such packs. What is taken is what we say to have from then on, so it never comes.
#[tokio::test]
async fn a_pack_without_a_file_of_its_tree_is_refused() {
    let mut mirror = Mirror::new(subject()).await;
    let [commit, tree, _] = commit_with_file(&mirror.upstream, "content");
    for sent in [&[&*commit, &tree][..], &[&commit]] {
        mirror.server.answer(Endpoint::Command, pack_of(&mirror.upstream, sent));
        let error = mirror.sync().await.map(|_| ()).expect_err("something is missing");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    // The server is sane again.
    mirror.server.answer(Endpoint::Command, Behaviour::Serve);
    mirror.sync_and_compare().await;
    mirror.git().run(&["fsck", "--connectivity-only"]);
}

#[tokio::test]
async fn an_object_past_its_bound_is_refused() {
    let mut options = GixOptions::default();
    options.max_object_bytes = 1 << 20;
    let mut mirror = Mirror::new(Subject::new(GixBackend::new(options), transport())).await;
    commit_with_file(&mirror.upstream, &"x".repeat((1 << 20) + 1));
    let error = mirror.sync().await.map(|_| ()).expect_err("it is too large");
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    commit_with_file(&mirror.upstream, &"x".repeat(1 << 20));
    mirror.sync_and_compare().await;
}

#[tokio::test]
async fn a_surplus_that_leads_nowhere_is_no_reason_to_refuse() {
    let mut mirror = Mirror::new(subject()).await;
    let [surplus, tree, _] = commit_with_file(&mirror.upstream, "not asked for");
    let [commit, its_tree, blob] = commit_with_file(&mirror.upstream, "content");
    let sent = [&*surplus, &tree, &commit, &its_tree, &blob];
    mirror.server.answer(Endpoint::Command, pack_of(&mirror.upstream, &sent));
    mirror.sync_and_compare().await;
    assert_eq!(mirror.git().run(&["cat-file", "-t", &surplus]), "commit");
    mirror.git().run(&["rev-list", "--objects", "--all", "--quiet"]);
}

#[tokio::test]
async fn submodules_and_the_empty_tree_need_not_be_sent() {
    let mut mirror = Mirror::new(subject()).await;
    let git = mirror.upstream.git();
    let empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    let entries = format!("160000 commit {}\tmodule\n040000 tree {empty}\tempty\n", "1".repeat(40));
    let tree = git.feed(&["mktree", "--missing"], entries.as_bytes());
    let tree = String::from_utf8(tree).expect("text").trim().to_owned();
    let first = git.run(&["commit-tree", "-m", "first", empty]);
    let second = git.run(&["commit-tree", "-m", "second", "-p", &first, &tree]);
    git.run(&["update-ref", "refs/heads/main", &second]);
    mirror.server.answer(Endpoint::Command, pack_of(&mirror.upstream, &[&first, &second, &tree]));
    mirror.sync().await.expect("synced");
    mirror.git().run(&["rev-list", "--objects", "--all", "--quiet"]);
}

#[tokio::test]
async fn names_that_git_would_refuse_are_counted() {
    let mirror = Mirror::new(subject()).await;
    let id = "1".repeat(40);
    let names =
        ["refs/heads/a..b", "refs/heads/ok", "refs/heads/.x", "nonsense", "refs/heads/x.lock", "refs/../../etc"];
    let mut all = vec![format!("{id} HEAD\0agent=x\n")];
    all.extend(names.iter().map(|name| format!("{id} {name}\n")));
    mirror.server.answer(Endpoint::Greeting, greeting(&lines(&all)));
    let listed = mirror.list().await.expect("listed");
    assert_eq!((listed.refs.len(), listed.refused_names), (1, 5));
}

#[tokio::test]
async fn a_shallow_upstream_is_refused_and_another_format_is_a_conflict() {
    for via in Via::ALL {
        let origin = Upstream::new();
        origin.history("main", 5);
        let upstream = Upstream::new();
        let address = format!("file://{}", origin.dir().display());
        upstream.git().run(&["fetch", "--quiet", "--depth=2", &address, "main:main"]);
        let mirror = Mirror::of(subject(), upstream, via).await;
        let tip = mirror.list().await.expect("listed").refs[0].id;
        let (request, context) = (mirror.request(&[tip]), mirror.subject.context());
        let error = mirror.subject.backend.fetch(mirror.dir(), &request, &context).await.expect_err("it is shallow");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");

        let mirror = Mirror::of(subject(), Upstream::with_format(ObjectFormat::Sha256), via).await;
        mirror.upstream.commit("main");
        let listed = mirror.list().await.expect("listed");
        assert_eq!(listed.format, ObjectFormat::Sha256);
        let dir = tempfile::tempdir().expect("a directory");
        let head = RefName::branch("main").expect("a name");
        let options = InitOptions { bare: true, format: ObjectFormat::Sha1, head, durability: Durability::Engine };
        mirror.subject.backend.init(dir.path(), &options).await.expect("made");
        let request = mirror.request(&["2".repeat(40).parse().expect("an id")]);
        let error = mirror.subject.backend.fetch(dir.path(), &request, &context).await.expect_err("formats differ");
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
}

#[tokio::test]
async fn what_crashes_left_is_removed_and_what_is_in_use_is_not() {
    let mut mirror = Mirror::new(subject()).await;
    mirror.upstream.commit("main");
    let objects = mirror.dir().join("objects");
    let made = ["tmp_objdir-gitsync-old", "tmp_objdir-gitsync-held", "tmp_objdir-gitsync-young", "tmp_objdir-other"];
    for name in made {
        fs::create_dir_all(objects.join(name).join("pack")).expect("made");
        fs::write(objects.join(name).join("pack/tmp"), b"x").expect("written");
        if name != "tmp_objdir-gitsync-young" {
            let dir = File::open(objects.join(name)).expect("opened");
            dir.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("dated");
        }
    }
    let held = File::open(objects.join(made[1])).expect("opened");
    held.lock().expect("locked");
    mirror.sync_and_compare().await;
    let left: Vec<_> = made.iter().filter(|name| objects.join(name).exists()).collect();
    assert_eq!(left, [&made[1], &made[2], &made[3]]);
}

#[tokio::test]
async fn packs_can_be_read_by_others_and_are_named_to_the_walk() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut mirror = Mirror::new(subject()).await;
    mirror.upstream.history("main", 3);
    let first = mirror.sync_and_compare().await.fetched.expect("fetched");
    mirror.upstream.history("main", 3);
    let second = mirror.sync_and_compare().await.fetched.expect("fetched");
    assert_eq!((first.packs.len(), second.packs.len()), (1, 1));
    for name in first.packs.iter().chain(&second.packs) {
        for ending in ["pack", "idx"] {
            let path = mirror.dir().join(format!("objects/pack/{name}.{ending}"));
            assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o444);
        }
    }
    let walk = CommitWalk { tips: vec![mirror.git().id("main")], ..CommitWalk::default() };
    assert_eq!(mirror.walk(walk).await.expect("walked").len(), 6);
}
