//! Mirrors in step with what happens upstream.

use super::{Mirror, Subject, Via};
use crate::model::ObjectFormat;
use crate::testing::Upstream;

/// A clone, a sync that finds nothing, and one that finds new commits, a merge and a second branch.
pub async fn clones_and_fast_forwards(subject: Subject) {
    for via in Via::ALL {
        let mut mirror = Mirror::of(subject.clone(), Upstream::new(), via).await;
        mirror.upstream.history("main", 20);
        let synced = mirror.sync_and_compare().await;
        let fetched = synced.fetched.expect("there was something to fetch");
        // A commit, a tree and a blob each.
        assert_eq!((synced.new_commits.len(), fetched.objects), (20, 60), "{via:?}");
        assert!(fetched.bytes > 0);
        assert!(mirror.sync_and_compare().await.fetched.is_none(), "nothing is new");
        let tip = mirror.upstream.commit("main");
        mirror.upstream.branch("topic/a", tip);
        mirror.upstream.commit("topic/a");
        mirror.upstream.merge("main", "topic/a");
        assert_eq!(mirror.sync_and_compare().await.new_commits.len(), 3);
    }
}

/// Branches that are forced back and sideways, deleted, and come again.
pub async fn forced_and_deleted_branches(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let first = mirror.upstream.commit("main");
    mirror.upstream.commit("main");
    let gone = mirror.upstream.commit("topic");
    mirror.sync_and_compare().await;
    mirror.upstream.branch("main", first);
    mirror.upstream.delete("refs/heads/topic");
    assert_eq!(mirror.sync_and_compare().await.new_commits.len(), 0);
    let sideways = mirror.upstream.commit_on(&[]);
    mirror.upstream.branch("main", sideways);
    mirror.upstream.branch("again", gone);
    mirror.sync_and_compare().await;
    mirror.upstream.delete("refs/heads/again");
    mirror.upstream.delete("refs/heads/main");
    mirror.sync_and_compare().await;
}

/// `a` becomes `a/b` and `a/b/c`, and back, loose and packed.
pub async fn names_change_between_file_and_directory(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let tip = mirror.upstream.commit("main");
    mirror.upstream.branch("a", tip);
    mirror.sync_and_compare().await;
    for pack in [false, true] {
        for (from, to) in [("a", "a/b"), ("a/b", "a/b/c"), ("a/b/c", "a")] {
            mirror.upstream.delete(&format!("refs/heads/{from}"));
            mirror.upstream.branch(to, tip);
            mirror.sync_and_compare().await;
            if pack {
                mirror.git().run(&["pack-refs", "--all"]);
            }
        }
    }
}

/// Lightweight and annotated tags, tags of tags, of trees and of blobs; moved, replaced and deleted.
pub async fn tags_of_all_kinds(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let first = mirror.upstream.commit("main");
    let second = mirror.upstream.commit("main");
    mirror.upstream.tag("light", first);
    let annotated = mirror.upstream.annotated_tag("annotated", second);
    mirror.upstream.annotated_tag("nested", annotated);
    let git = mirror.upstream.git();
    mirror.upstream.annotated_tag("tree", git.id("main^{tree}"));
    mirror.upstream.annotated_tag("blob", git.id("main:file"));
    mirror.upstream.tag("light-tree", git.id("main^{tree}"));
    let synced = mirror.sync_and_compare().await;
    let peeled = synced.advertised.refs.iter().find(|one| one.name.short() == b"nested").expect("it is listed").peeled;
    assert_eq!(peeled, Some(second));
    // A tag that is the only way to a commit.
    let only = mirror.upstream.commit_on(&[second]);
    mirror.upstream.annotated_tag("annotated", only);
    mirror.upstream.tag("light", second);
    mirror.upstream.delete("refs/tags/blob");
    assert_eq!(mirror.sync_and_compare().await.new_commits.len(), 1);
}

/// `HEAD` moves to another branch, is detached, attached, and dangles.
pub async fn head_follows(subject: Subject) {
    let detaches = subject.backend.capabilities().unborn_head;
    let mut mirror = Mirror::new(subject).await;
    let first = mirror.upstream.commit("main");
    let tip = mirror.upstream.commit("main");
    mirror.upstream.branch("other", tip);
    mirror.sync_and_compare().await;
    mirror.upstream.set_head("other");
    mirror.sync_and_compare().await;
    mirror.upstream.detach_head(first);
    mirror.sync_and_compare().await;
    // At a commit that no reference leads to.
    let lonely = mirror.upstream.commit_on(&[first]);
    mirror.upstream.detach_head(lonely);
    mirror.sync_and_compare().await;
    mirror.upstream.set_head("main");
    mirror.sync_and_compare().await;
    if detaches {
        mirror.upstream.set_head("nowhere");
        mirror.sync_and_compare().await;
        mirror.upstream.delete("refs/heads/main");
        mirror.upstream.delete("refs/heads/other");
        mirror.sync_and_compare().await;
    }
}

/// The other hash function, both ways; and an upstream that changes it.
pub async fn sha256_repositories(subject: Subject) {
    if !subject.backend.capabilities().sha256 {
        return;
    }
    for via in Via::ALL {
        let mut mirror = Mirror::of(subject.clone(), Upstream::with_format(ObjectFormat::Sha256), via).await;
        mirror.upstream.history("main", 3);
        let tip = mirror.upstream.commit("topic");
        mirror.upstream.annotated_tag("v1", tip);
        let synced = mirror.sync_and_compare().await;
        assert_eq!(synced.advertised.format, ObjectFormat::Sha256);
        mirror.upstream.commit("main");
        mirror.sync_and_compare().await;
    }
}

/// Old tips of forced and deleted branches stay as references of ours, and do not disturb later fetches.
pub async fn kept_references_stay(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let first = mirror.upstream.commit("main");
    let mut lost = vec![mirror.upstream.commit("main")];
    lost.push(mirror.upstream.commit("topic"));
    mirror.sync_and_compare().await;
    mirror.upstream.branch("main", first);
    mirror.upstream.delete("refs/heads/topic");
    // What is lost is really gone upstream.
    mirror.upstream.git().run(&["prune", "--expire=now"]);
    mirror.sync_and_compare().await;
    let kept = |mirror: &Mirror| {
        let names = mirror.git().refs().into_iter().filter(|(name, _)| name.starts_with(b"refs/gitsync/kept/"));
        names.map(|(_, id)| id).collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(kept(&mirror), lost.iter().copied().collect());
    mirror.upstream.commit("main");
    let other = mirror.upstream.commit("other");
    mirror.upstream.commit("other");
    mirror.sync_and_compare().await;
    mirror.upstream.branch("other", other);
    mirror.sync_and_compare().await;
    assert_eq!(kept(&mirror).len(), 3);
}

/// A mirror takes every reference, and one that the upstream has in our namespace is not ours.
pub async fn references_outside_of_branches_and_tags(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let tip = mirror.upstream.commit("main");
    let pull = mirror.upstream.commit_on(&[tip]);
    mirror.upstream.reference("refs/pull/1/head", pull);
    mirror.upstream.reference("refs/notes/commits", pull);
    mirror.sync_and_compare().await;
    mirror.upstream.delete("refs/notes/commits");
    mirror.sync_and_compare().await;
    mirror.upstream.reference("refs/gitsync/kept/20260101/x", tip);
    mirror.sync().await.expect("in step");
    assert!(mirror.git().refs().iter().all(|(name, _)| !name.starts_with(b"refs/gitsync/")));
}
