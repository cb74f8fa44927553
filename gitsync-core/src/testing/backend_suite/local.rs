//! Primitives on one repository.

use std::collections::BTreeSet;

use super::{Alone, Mirror, Subject};
use crate::backend::Durability;
use crate::backend::{CommitWalk, Head, InitOptions, RefEdit, RefTransaction, Resolved};
use crate::error::ErrorKind;
use crate::model::{ObjectFormat, ObjectId, RefName};
use crate::testing::Git;

/// A new repository is one to git, and made where nothing is.
pub async fn a_repository_is_made_once(subject: Subject) {
    let root = tempfile::tempdir().expect("a directory");
    let sha256 = subject.backend.capabilities().sha256;
    for format in [ObjectFormat::Sha1, ObjectFormat::Sha256].into_iter().take(1 + usize::from(sha256)) {
        let dir = root.path().join(format.as_str());
        let options =
            InitOptions { bare: true, format, head: name("refs/heads/trunk"), durability: Durability::Engine };
        subject.backend.init(&dir, &options).await.expect("made");
        let git = Git::at(&dir);
        assert_eq!(
            git.run(&["rev-parse", "--show-object-format", "--is-bare-repository"]),
            format!("{format}\ntrue", format = format.as_str())
        );
        assert_eq!(git.head(), "ref: refs/heads/trunk");
        let local = subject.backend.read_refs(&dir).await.expect("read");
        assert_eq!((local.refs.len(), local.head, local.format), (0, Head::Branch(name("refs/heads/trunk")), format));
        let error = subject.backend.init(&dir, &options).await.expect_err("it is there");
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    }
    let error = subject.backend.read_refs(root.path()).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// A wrong old id, a collision and a missing object leave everything as it was.
pub async fn references_change_all_or_none(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let first = mirror.upstream.commit("main");
    let second = mirror.upstream.commit("main");
    mirror.sync_and_compare().await;
    let (git, before) = (mirror.git(), mirror.git().refs());
    let edit = |of: &str, old, new| RefEdit { name: name(of), old, new };
    let missing = ObjectId::Sha1([7; 20]);
    let good = edit("refs/heads/good", None, Some(first));
    for (bad, kind) in [
        (edit("refs/heads/main", Some(first), Some(first)), ErrorKind::Conflict),
        (edit("refs/heads/main", None, Some(first)), ErrorKind::Conflict),
        (edit("refs/heads/absent", Some(first), None), ErrorKind::Conflict),
        (edit("refs/heads/main/x", None, Some(first)), ErrorKind::Conflict),
        (edit("refs/heads/new", None, Some(missing)), ErrorKind::Corrupt),
    ] {
        let change =
            RefTransaction { edits: vec![good.clone(), bad.clone()], head: Some(Head::Detached(first)), shallow: None };
        let changed = mirror.subject.backend.update_refs(mirror.dir(), change, Box::new(Alone)).await;
        assert_eq!(changed.expect_err("it is wrong").kind(), kind, "{bad:?}");
        assert_eq!((git.refs(), git.head()), (before.clone(), "ref: refs/heads/main".to_owned()), "{bad:?}");
    }
    let edits = vec![good, edit("refs/heads/main", Some(second), None), edit("refs/heads/main/x", None, Some(second))];
    let change = RefTransaction { edits, head: Some(Head::Branch(name("refs/heads/main/x"))), shallow: None };
    mirror.subject.backend.update_refs(mirror.dir(), change, Box::new(Alone)).await.expect("changed");
    assert_eq!(git.refs(), [(b"refs/heads/good".to_vec(), first), (b"refs/heads/main/x".to_vec(), second)]);
    assert_eq!(git.head(), "ref: refs/heads/main/x");
}

/// Tags lead to commits, trees and blobs; some ids lead nowhere.
pub async fn ids_are_resolved_through_tags(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let commit = mirror.upstream.commit("main");
    let tag = mirror.upstream.annotated_tag("one", commit);
    let nested = mirror.upstream.annotated_tag("two", tag);
    let tree = mirror.upstream.git().id("main^{tree}");
    let of_tree = mirror.upstream.annotated_tag("tree", tree);
    mirror.sync_and_compare().await;
    let ids = [commit, tag, nested, tree, of_tree, ObjectId::Sha1([9; 20]), ObjectId::Sha256([9; 32])];
    let resolved = mirror.subject.backend.resolve(mirror.dir(), &ids).await.expect("resolved");
    let (found, other, missing) = (Resolved::Commit(commit), Resolved::Other, Resolved::Missing);
    assert_eq!(resolved, [found, found, found, other, other, missing, missing]);
}

/// Ancestors across merges, and commits that have nothing in common.
pub async fn ancestry_is_exact(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let root = mirror.upstream.commit("main");
    mirror.upstream.branch("side", root);
    let side = mirror.upstream.commit("side");
    mirror.upstream.commit("main");
    let merge = mirror.upstream.merge("main", "side");
    let stranger = mirror.upstream.commit("stranger");
    mirror.sync_and_compare().await;
    let all = [root, side, merge, stranger];
    let pairs: Vec<_> = all.iter().flat_map(|old| all.iter().map(|new| (*old, *new))).collect();
    let context = mirror.subject.context();
    let answers = mirror.subject.backend.is_ancestor(mirror.dir(), &pairs, &context).await.expect("answered");
    for ((old, new), answer) in pairs.iter().zip(answers) {
        assert_eq!(answer, mirror.rev_list(&[*new], &[]).contains(old), "{old} {new}");
    }
}

/// Walks with and without hidden commits, over merges.
pub async fn walks_equal_rev_list(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    mirror.upstream.history("main", 30);
    let base = mirror.upstream.git().id("main~10");
    mirror.upstream.branch("side", base);
    mirror.upstream.history("side", 10);
    mirror.upstream.merge("main", "side");
    mirror.upstream.history("main", 5);
    mirror.upstream.history("stranger", 3);
    mirror.sync_and_compare().await;
    let id = |revision: &str| mirror.upstream.git().id(revision);
    let cases = [
        (vec![id("main"), id("stranger")], vec![]),
        (vec![id("main")], vec![id("side")]),
        (vec![id("side"), id("main")], vec![id("main~7"), id("stranger")]),
        (vec![id("main~9")], vec![id("main")]),
        (vec![id("stranger"), id("stranger")], vec![id("main")]),
        (vec![], vec![id("main")]),
    ];
    for (tips, hidden) in cases {
        let walk = CommitWalk { tips: tips.clone(), hidden: hidden.clone(), fresh_packs: Vec::new() };
        let walked = mirror.walk(walk).await.expect("walked");
        let ids: BTreeSet<_> = walked.iter().map(|commit| commit.id).collect();
        assert_eq!(ids.len(), walked.len(), "each commit once");
        assert_eq!(ids, if tips.is_empty() { BTreeSet::new() } else { mirror.rev_list(&tips, &hidden) });
        for commit in walked {
            let shown = mirror.git().run(&["show", "-s", "--format=%P%n%an%n%ae%n%ct%n%B", &commit.id.to_string()]);
            let parents: Vec<_> = commit.parents.iter().map(ToString::to_string).collect();
            let ours = [
                parents.join(" "),
                commit.author.name,
                commit.author.email,
                commit.committer.seconds.to_string(),
                commit.message,
            ];
            assert_eq!(ours.join("\n").trim_end(), shown);
        }
    }
}

/// A commit whose parent is missing.
pub async fn a_walk_into_a_hole_is_corrupt(subject: Subject) {
    let mirror = Mirror::new(subject).await;
    let git = mirror.git();
    let tree = String::from_utf8(git.feed(&["mktree"], b"")).expect("an id");
    let text = format!("tree {tree}parent {}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\nx\n", "1".repeat(40));
    let id = git.feed(&["hash-object", "-t", "commit", "-w", "--stdin"], text.as_bytes());
    let id: ObjectId = String::from_utf8(id).expect("an id").trim().parse().expect("an id");
    let walk = CommitWalk { tips: vec![id], ..CommitWalk::default() };
    assert_eq!(mirror.walk(walk).await.expect_err("the parent is missing").kind(), ErrorKind::Corrupt);
}

fn name(name: &str) -> RefName {
    RefName::new(name).expect("a name")
}
