//! The judge of a mirror and its records: the git program.

use std::collections::BTreeSet;
use std::path::Path;

use super::git::Git;
use crate::GitSync;
use crate::model::{Depth, ObjectId, Page, PageRequest, RepositoryId};
use crate::store::CommitFilter;

/// Compares a mirror with its upstream, and its records with the mirror, reference for reference and commit for commit.
///
/// # Panics
/// At the first difference.
pub async fn check_mirror(gitsync: &GitSync, id: RepositoryId, mirror: &Path, upstream: &Path) {
    let (ours, theirs) = (Git::at(mirror), Git::at(upstream));
    let refs = ours.refs();
    let (kept, mirrored): (Vec<_>, Vec<_>) = refs.iter().partition(|(name, _)| name.starts_with(b"refs/gitsync/"));
    assert_eq!(mirrored, theirs.refs().iter().collect::<Vec<_>>(), "references");
    assert_eq!(ours.head(), theirs.head(), "HEAD");
    for (name, id) in kept {
        assert!(name.ends_with(id.to_string().as_bytes()), "a kept reference names what it holds");
    }

    let repository = gitsync.repository(id).await.expect("the repository is recorded");
    let counted = ours.run(&["rev-list", "--count", "--branches", "--tags"]);
    assert_eq!(repository.total_commits.to_string(), counted, "total_commits");
    let mut commits: Vec<_> = all_commits(gitsync, id).await;
    let mut listed: Vec<_> = ours.ids(&["rev-list", "--branches", "--tags"]);
    commits.sort();
    listed.sort();
    assert_eq!(commits, listed, "recorded commits");

    let heads: Vec<_> = refs.iter().filter(|(name, _)| name.starts_with(b"refs/heads/")).cloned().collect();
    let page = PageRequest::new(1000, None).expect("a page has 1,000 items");
    let branches = gitsync.list_branches(id, &page).await.expect("branches are listed");
    let branches: Vec<_> = branches.items.into_iter().map(|b| (b.name.as_bytes().to_vec(), b.commit)).collect();
    assert_eq!(branches, heads, "branches");

    let head = theirs.head();
    let branch = repository.default_branch.map(|name| format!("ref: {name}"));
    assert_eq!(branch, head.starts_with("ref: ").then(|| head.clone()), "default_branch");
    let at_head = theirs.command().args(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).output();
    let at_head = String::from_utf8(at_head.expect("git runs").stdout).expect("git prints an id");
    let at_head = Some(at_head.trim_end().to_owned()).filter(|id| !id.is_empty());
    assert_eq!(repository.last_commit.map(|id| id.to_string()), at_head, "last_commit");
}

/// Compares what a mirror of a limited depth reaches with a fresh clone of that depth, `None` for all, and checks that it is
/// sound.
///
/// A `git fetch --depth` is no judge: it asks only for the references that moved, so that what is behind others may be cut off.
///
/// # Panics
/// At the first difference.
pub fn check_depth(mirror: &Path, upstream: &Path, depth: Option<Depth>) {
    let root = tempfile::tempdir().expect("a directory can be made");
    let url = format!("file://{}", upstream.display());
    let depth = depth.map(|depth| format!("--depth={depth}"));
    let mut clone = vec!["clone", "--quiet", "--mirror", "--no-single-branch", &url, "git"];
    clone.extend(depth.as_deref());
    Git::at(root.path()).run(&clone);
    let reached = |git: &Git| -> BTreeSet<ObjectId> {
        git.ids(&["rev-list", "--exclude=refs/gitsync/*", "--all"]).into_iter().collect()
    };
    let (ours, theirs) = (Git::at(mirror), Git::at(root.path().join("git")));
    assert_eq!(reached(&ours), reached(&theirs), "commits, {depth:?}");
    if let Ok(boundary) = std::fs::read(mirror.join("shallow")) {
        let found = ours.feed(&["cat-file", "--batch-check=%(objecttype)"], &boundary);
        let found = String::from_utf8_lossy(&found);
        assert!(found.lines().all(|line| line == "commit"), "an upstream believes that the boundary is here: {found}");
    }
    ours.assert_sound();
}

async fn all_commits(gitsync: &GitSync, id: RepositoryId) -> Vec<ObjectId> {
    let mut commits = Vec::new();
    let mut after = None;
    loop {
        let page = PageRequest::new(1000, after).expect("a page has 1,000 items");
        let listed = gitsync.list_commits(id, &CommitFilter::default(), &page).await;
        let Page { items, next } = listed.expect("commits are listed");
        commits.extend(items.into_iter().map(|commit| commit.id));
        after = next;
        if after.is_none() {
            return commits;
        }
    }
}
