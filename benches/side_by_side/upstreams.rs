//! Upstreams to measure on.

use std::path::{Path, PathBuf};

use anyhow::Result;
use gitsync_core::model::ObjectId;
use gitsync_core::testing::{Git, Upstream};

/// How many directories and files the large repository has.
const DIRECTORIES: u64 = 40;
const FILES_EACH: u64 = 25;

/// Makes a repository with 20,000 commits and 150 references, each commit changing one of 1,000 files.
pub(crate) fn large(root: &Path) -> Result<PathBuf> {
    let upstream = Upstream::new();
    upstream.git().feed(&["fast-import", "--quiet"], history(20_000).as_bytes());
    let commits = upstream.git().ids(&["rev-list", "main"]);
    let names: Vec<_> = (0..149).map(|number| format!("refs/heads/topic/{number}").into_bytes()).collect();
    let at = |number: usize| -> ObjectId { commits[number * 100] };
    upstream.references(names.iter().enumerate().map(|(number, name)| (name.as_slice(), at(number))));
    keep(&upstream, &root.join("large/20k.git"))
}

/// Writes commits as `git fast-import` takes them.
fn history(commits: u64) -> String {
    let mut stream = String::new();
    for number in 0..commits {
        // Scattered, and the same in each run.
        let file = number * 7919 % (DIRECTORIES * FILES_EACH);
        let (directory, message) = (file / FILES_EACH, format!("Change file {file} for the sake of change {number}"));
        let content: String = (0..30).map(|line| format!("{} {line} of file {file}\n", number * (line % 3))).collect();
        let person = format!("Ada <ada@example.com> {} +0000", 1_700_000_000 + number * 60);
        stream.push_str(&format!(
            "commit refs/heads/main\nauthor {person}\ncommitter {person}\ndata {}\n{message}\n\
             M 100644 inline directory{directory}/file{file}\ndata {}\n{content}\n",
            message.len(),
            content.len()
        ));
    }
    stream
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
