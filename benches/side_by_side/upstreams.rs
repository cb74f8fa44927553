//! Upstreams to measure on.

use std::path::{Path, PathBuf};

use anyhow::Result;
use gitsync_core::model::ObjectId;
use gitsync_core::testing::{Git, Upstream};

/// Makes a repository with 20,000 commits and 150 references.
pub(crate) fn large(root: &Path) -> Result<PathBuf> {
    let upstream = Upstream::new();
    upstream.history("main", 20_000);
    let commits = upstream.git().ids(&["rev-list", "main"]);
    let names: Vec<_> = (0..149).map(|number| format!("refs/heads/topic/{number}").into_bytes()).collect();
    let at = |number: usize| -> ObjectId { commits[number * 100] };
    upstream.references(names.iter().enumerate().map(|(number, name)| (name.as_slice(), at(number))));
    keep(&upstream, &root.join("large/20k.git"))
}

/// Makes small repositories of 20 commits and 5 references.
pub(crate) fn small(root: &Path, count: usize) -> Result<Vec<PathBuf>> {
    let upstream = Upstream::new();
    upstream.history("main", 20);
    let tip = upstream.git().id("main");
    for branch in ["dev", "side", "next"] {
        upstream.branch(branch, tip);
    }
    upstream.annotated_tag("v1", tip);
    (0..count).map(|number| keep(&upstream, &root.join(format!("small/{number:03}.git")))).collect()
}

/// Copies an upstream, packed, to a place of its own.
fn keep(upstream: &Upstream, path: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(path)?;
    upstream.git().run(&["gc", "--quiet"]);
    Git::at(path).run(&["clone", "--quiet", "--mirror", "--no-hardlinks", &upstream.dir().to_string_lossy(), "."]);
    Ok(path.to_owned())
}
