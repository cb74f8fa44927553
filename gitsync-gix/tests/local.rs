//! The local primitives beside the git program.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use gitsync_core::backend::{CommitWalk, Durability, Head, InitOptions, RefEdit, RefTransaction, Resolved};
use gitsync_core::model::{Commit, ObjectFormat, ObjectId, RefName};
use gitsync_core::transport::CallLimits;
use gitsync_core::{Cancellation, ErrorKind, Result};
use gitsync_gix::Repository;
use gitsync_repository::refs::{apply, read};
use gitsync_repository::{Graph, init, resolve, walk};

const FORMATS: [ObjectFormat; 2] = [ObjectFormat::Sha1, ObjectFormat::Sha256];

/// Runs git in `dir`, feeds it `input` and returns what it prints.
fn git_with(dir: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .args(["-c", "user.name=T", "-c", "user.email=t@example.com", "-C"])
        .arg(dir)
        .args(args)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git is installed");
    child.stdin.take().expect("piped").write_all(input).expect("git reads");
    let output = child.wait_with_output().expect("git ends");
    assert!(output.status.success(), "git {args:?}");
    output.stdout
}

fn git(dir: &Path, args: &[&str]) -> String {
    String::from_utf8(git_with(dir, args, b"")).expect("text").trim().to_owned()
}

fn id(hex: &str) -> ObjectId {
    hex.trim().parse().expect("an id")
}

fn name(name: &str) -> RefName {
    RefName::new(name).expect("a name")
}

fn limits() -> CallLimits {
    let deadline = Instant::now() + Duration::from_secs(60);
    CallLimits { cancellation: Cancellation::new(), deadline, max_response_bytes: u64::MAX }
}

fn new_repository(format: ObjectFormat) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    init(
        dir.path(),
        &InitOptions { bare: true, format, head: name("refs/heads/main"), durability: Durability::Engine },
    )
    .expect("made");
    dir
}

fn open(dir: &Path) -> Repository {
    gitsync_gix::open(dir).expect("a repository")
}

/// Makes a commit with these parents; `date` makes it unique.
fn commit(dir: &Path, date: u64, parents: &[ObjectId]) -> ObjectId {
    let tree = String::from_utf8(git_with(dir, &["mktree"], b"")).expect("text");
    let mut data = format!("tree {tree}");
    for parent in parents {
        data += &format!("parent {parent}\n");
    }
    data += &format!("author A <a@x> {date} +0000\ncommitter A <a@x> {date} +0000\n\nc{date}\n");
    raw(dir, data.as_bytes())
}

fn raw(dir: &Path, data: &[u8]) -> ObjectId {
    let args = ["hash-object", "-t", "commit", "-w", "--stdin", "--literally"];
    id(&String::from_utf8(git_with(dir, &args, data)).expect("text"))
}

fn edit(of: &str, old: Option<ObjectId>, new: Option<ObjectId>) -> RefEdit {
    RefEdit { name: name(of), old, new }
}

fn change(dir: &Path, edits: Vec<RefEdit>) -> Result<()> {
    apply(&open(dir), &RefTransaction { edits, ..RefTransaction::default() }, Durability::Engine)
        .map(|applied| assert!(applied.raced.is_empty()))
}

fn listed(dir: &Path) -> Vec<(String, String)> {
    let local = read(&open(dir)).expect("read");
    local.refs.iter().map(|(name, id)| (name.to_string(), id.to_string())).collect()
}

fn listed_by_git(dir: &Path) -> Vec<(String, String)> {
    let text = git(dir, &["for-each-ref", "--format=%(refname) %(objectname)"]);
    text.lines().filter_map(|line| line.split_once(' ')).map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
}

fn walked(dir: &Path, tips: &[ObjectId], hidden: &[ObjectId]) -> Vec<Commit> {
    let mut commits = Vec::new();
    let request = CommitWalk { tips: tips.to_vec(), hidden: hidden.to_vec(), fresh_packs: Vec::new() };
    walk(&open(dir), &request, &limits(), &mut |commit| {
        commits.push(commit);
        Ok(true)
    })
    .expect("walked");
    commits
}

#[test]
fn a_new_repository_is_one_to_git_and_an_occupied_directory_is_refused() {
    for format in FORMATS {
        let dir = new_repository(format);
        assert_eq!(git(dir.path(), &["rev-parse", "--show-object-format"]), format.as_str());
        assert_eq!(git(dir.path(), &["rev-parse", "--is-bare-repository"]), "true");
        assert_eq!(git(dir.path(), &["symbolic-ref", "HEAD"]), "refs/heads/main");
        let local = read(&open(dir.path())).expect("read");
        assert_eq!((local.refs.len(), local.head, local.format), (0, Head::Branch(name("refs/heads/main")), format));
        let options = InitOptions { bare: true, format, head: name("refs/heads/main"), durability: Durability::Engine };
        assert_eq!(init(dir.path(), &options).expect_err("occupied").kind(), ErrorKind::AlreadyExists);
        assert_eq!(git(dir.path(), &["fsck"]), "");
    }
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(gitsync_gix::open(dir.path()).expect_err("none").kind(), ErrorKind::NotFound);
    let options = InitOptions {
        bare: false,
        format: ObjectFormat::Sha1,
        head: name("refs/heads/x"),
        durability: Durability::Engine,
    };
    init(&dir.path().join("new/work"), &options).expect("made");
    let work = dir.path().join("new/work");
    assert_eq!(git(&work, &["status", "--porcelain"]), "");
    assert!(open(&work).git_dir().ends_with(".git"));
}

#[test]
fn references_are_written_as_one_and_read_as_git_reads_them() {
    for format in FORMATS {
        let dir = new_repository(format);
        let dir = dir.path();
        let (a, b) = (commit(dir, 1, &[]), commit(dir, 2, &[]));
        git(dir, &["tag", "-a", "-m", "x", "v1", &a.to_string()]);
        git(dir, &["update-ref", "refs/heads/loose/deep", &a.to_string()]);
        git(dir, &["symbolic-ref", "refs/remotes/o/HEAD", "refs/heads/loose/deep"]);
        git(dir, &["symbolic-ref", "refs/remotes/o/dangling", "refs/heads/none"]);
        assert_eq!(listed(dir), listed_by_git(dir));
        let tag = id(&git(dir, &["rev-parse", "refs/tags/v1"]));
        // A loose one moves, `loose/deep` makes way for `loose`, and a tag gets a second name.
        let edits = vec![
            edit("refs/heads/loose", None, Some(b)),
            edit("refs/heads/loose/deep", Some(a), None),
            edit("refs/remotes/o/HEAD", Some(a), Some(b)),
            edit("refs/tags/v2", None, Some(tag)),
        ];
        apply(
            &open(dir),
            &RefTransaction { edits, head: Some(Head::Branch(name("refs/heads/loose"))), shallow: None },
            Durability::Engine,
        )
        .expect("applied");
        assert_eq!(listed(dir), listed_by_git(dir));
        assert_eq!(git(dir, &["rev-parse", "HEAD", "refs/tags/v2^{commit}"]), format!("{b}\n{a}"));
        assert!(!dir.join("refs/heads/loose").exists(), "the emptied directory is gone");
        git(dir, &["pack-refs", "--all"]);
        assert_eq!(listed(dir), listed_by_git(dir));
        let detach = RefTransaction { edits: Vec::new(), head: Some(Head::Detached(a)), shallow: None };
        apply(&open(dir), &detach, Durability::Engine).expect("applied");
        assert_eq!(git(dir, &["rev-parse", "HEAD"]), a.to_string());
        git(dir, &["symbolic-ref", "--delete", "refs/remotes/o/dangling"]);
        assert_eq!(git(dir, &["fsck", "--no-dangling"]), "");
        assert!(!dir.join("packed-refs.lock").exists() && !dir.join("HEAD.lock").exists());
    }
}

#[test]
fn a_change_that_cannot_be_made_changes_nothing() {
    let dir = new_repository(ObjectFormat::Sha1);
    let dir = dir.path();
    let (a, b) = (commit(dir, 1, &[]), commit(dir, 2, &[]));
    change(dir, vec![edit("refs/heads/p", None, Some(a))]).expect("applied");
    git(dir, &["update-ref", "refs/heads/l/x", &a.to_string()]);
    let before = listed(dir);
    let absent = ObjectId::Sha1([7; 20]);
    let other_format = ObjectId::Sha256([7; 32]);
    let cases = [
        (edit("refs/heads/p", Some(b), Some(a)), ErrorKind::Conflict),
        (edit("refs/heads/p", None, Some(b)), ErrorKind::Conflict),
        (edit("refs/heads/l/x", Some(b), None), ErrorKind::Conflict),
        (edit("refs/heads/none", Some(a), None), ErrorKind::Conflict),
        (edit("refs/heads/p/q", None, Some(a)), ErrorKind::Conflict),
        (edit("refs/heads/l", None, Some(a)), ErrorKind::Conflict),
        (edit("refs/heads/l/x/y", None, Some(a)), ErrorKind::Conflict),
        (edit("refs/heads/new/x", None, Some(a)), ErrorKind::Conflict),
        (edit("refs/heads/p", Some(a), Some(absent)), ErrorKind::Corrupt),
        (edit("refs/heads/p", Some(a), Some(other_format)), ErrorKind::Corrupt),
        (edit("refs/heads/new", None, Some(a)), ErrorKind::InvalidInput),
    ];
    for (wrong, kind) in cases {
        let edits = vec![edit("refs/heads/new", None, Some(a)), wrong.clone()];
        assert_eq!(change(dir, edits).expect_err("refused").kind(), kind, "{wrong:?}");
        assert_eq!(listed(dir), before, "{wrong:?}");
    }
    let head = RefTransaction {
        edits: vec![edit("refs/heads/n", None, Some(a))],
        head: Some(Head::Detached(absent)),
        shallow: None,
    };
    assert_eq!(apply(&open(dir), &head, Durability::Engine).expect_err("refused").kind(), ErrorKind::Corrupt);
    assert_eq!(listed(dir), before);
    assert!(!dir.join("packed-refs.lock").exists() && !dir.join("refs/heads/l/x.lock").exists());
}

#[test]
fn ids_lead_where_git_says_and_replacements_count_for_nothing() {
    let dir = new_repository(ObjectFormat::Sha1);
    let dir = dir.path();
    let (a, b) = (commit(dir, 1, &[]), commit(dir, 2, &[]));
    let tree = id(&git(dir, &["rev-parse", &format!("{a}^{{tree}}")]));
    git(dir, &["tag", "-a", "-m", "x", "one", &a.to_string()]);
    git(dir, &["tag", "-a", "-m", "x", "two", "one"]);
    git(dir, &["tag", "-a", "-m", "x", "tree", &tree.to_string()]);
    git(dir, &["replace", &a.to_string(), &b.to_string()]);
    let of = |text: &str| id(&git(dir, &["rev-parse", text]));
    let cases = [
        (a, Resolved::Commit(a)),
        (of("two"), Resolved::Commit(a)),
        (of("tree"), Resolved::Other),
        (tree, Resolved::Other),
        (ObjectId::Sha1([3; 20]), Resolved::Missing),
        (ObjectId::Sha256([3; 32]), Resolved::Missing),
    ];
    for (asked, expected) in cases {
        assert_eq!(resolve(&open(dir), &asked).expect("resolved"), expected, "{asked}");
    }
    assert_eq!(walked(dir, &[a], &[])[0].message, "c1\n");
}

#[test]
fn ancestry_and_walks_agree_with_git_whatever_the_dates_say() {
    for format in FORMATS {
        let dir = new_repository(format);
        let dir = dir.path();
        // A pseudo-random graph with wild dates; the same on every run.
        let mut state = 42_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut commits: Vec<ObjectId> = Vec::new();
        for number in 0..40_u64 {
            let count = if commits.is_empty() { 0 } else { random(3) };
            let mut parents: Vec<_> = (0..count).map(|_| commits[random(commits.len() as u64) as usize]).collect();
            parents.dedup();
            commits.push(commit(dir, random(1_000_000) * 100 + number, &parents));
        }
        let (repository, limits) = (open(dir), limits());
        let mut graph = Graph::new(&repository, &limits);
        for _ in 0..15 {
            let mut pick = || commits[random(40) as usize];
            let (one, two, three) = (pick(), pick(), pick());
            let text = git(dir, &["rev-list", &two.to_string()]);
            let below: BTreeSet<ObjectId> = text.lines().map(id).collect();
            assert_eq!(graph.is_ancestor(&one, &two).expect("answered"), below.contains(&one), "{one} {two}");
            let text = git(dir, &["rev-list", &one.to_string(), &two.to_string(), "--not", &three.to_string()]);
            let expected: BTreeSet<ObjectId> = text.lines().map(id).collect();
            let found = walked(dir, &[one, two], &[three]);
            assert_eq!(found.len(), expected.len());
            assert_eq!(found.iter().map(|commit| commit.id).collect::<BTreeSet<_>>(), expected);
        }
        assert_eq!(walked(dir, &commits, &[]).len(), 40);
        limits.cancellation.cancel();
        let refused = Graph::new(&repository, &limits).is_ancestor(&commits[0], &commits[1]);
        assert_eq!(refused.expect_err("cancelled").kind(), ErrorKind::Cancelled);
    }
}

#[test]
fn broken_commits_are_decoded_as_git_shows_them() {
    let dir = new_repository(ObjectFormat::Sha1);
    let dir = dir.path();
    let tree = git(dir, &["mktree"]);
    let people = [
        "A B <a@b> 5 +0130",
        "<a@b> 5 -0800",
        "A <a@b>> 7 +0000",
        "A <> 7 +0000",
        "A <a b> 7 +0000",
        "Ä. <ä@ö> 1 +0000",
    ];
    for person in people {
        let of = raw(dir, format!("tree {tree}\nauthor {person}\ncommitter {person}\n\nm\n\nb\n").as_bytes());
        let shown = git(dir, &["log", "-1", "--format=%an%x00%ae%x00%at%x00%cn", &of.to_string()]);
        let found = walked(dir, &[of], &[]).remove(0);
        let (author, committer) = (found.author, found.committer);
        let ours = format!("{}\0{}\0{}\0{}", author.name, author.email, author.seconds, committer.name);
        assert_eq!(ours, shown, "{person}");
        assert_eq!(found.message, "m\n\nb\n");
    }
    let orphan = raw(dir, format!("tree {tree}\nparent {}\n\nx", "1".repeat(40)).as_bytes());
    let request = CommitWalk { tips: vec![orphan], ..CommitWalk::default() };
    let error = walk(&open(dir), &request, &limits(), &mut |_| Ok(true)).expect_err("the parent is missing");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
