//! The same work by the git program.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use gitsync_core::source::SourceUrl;
use gitsync_core::testing::Git;

/// Clones a mirror.
pub(crate) fn clone_mirror(source: &SourceUrl, into: &Path) -> Result<()> {
    let parent = into.parent().context("a clone is in a directory")?;
    let mut git = Git::at(parent).command();
    run(git.args(["clone", "--quiet", "--mirror", &source.to_string()]).arg(into))
}

/// Clones mirrors, some at a time.
pub(crate) fn clone_mirrors(sources: &[SourceUrl], into: &Path, at_once: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    let clone_some = || -> Result<()> {
        while let Some(source) = sources.get(next.fetch_add(1, Ordering::SeqCst)) {
            let name = source.path().replace('/', "-");
            clone_mirror(source, &into.join(name))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(clone_some)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("cloning does not panic"))
    })
}

/// Fetches what is new, which is nothing, and prunes what is gone.
pub(crate) fn fetch_prune(mirror: &Path) -> Result<()> {
    run(Git::at(mirror).command().args(["fetch", "--quiet", "--prune"]))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "git ended with {status}");
    Ok(())
}
