//! gitsync beside the git program, on the same machine and upstreams in one run; read the ratios, not the seconds.
//!
//! `cargo bench --bench side_by_side` makes its own upstreams. With
//! `cargo bench --bench side_by_side -- /path/to/a.git …` those bare repositories are mirrored instead of the large one.
#![allow(clippy::print_stdout, reason = "it is a command line program")]

mod engine;
mod git;
mod upstreams;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use gitsync_core::testing::SmartHttpServer;

use crate::engine::Mirrors;

/// How often the short works are measured; the median counts.
const SHORT_ROUNDS: usize = 7;

/// How often the long works are measured.
const LONG_ROUNDS: usize = 3;

/// How many small repositories there are.
const SMALL: usize = 200;

fn main() -> Result<()> {
    // `cargo bench` passes `--bench` along.
    let given: Vec<PathBuf> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).map(PathBuf::from).collect();
    let scratch = tempfile::tempdir()?;
    println!("{:44} {:>9} {:>9} {:>7}", "", "gitsync", "git", "ratio");
    let large = if given.is_empty() { vec![upstreams::large(scratch.path())?] } else { given };
    for upstream in &large {
        one(upstream)?;
    }
    small(&upstreams::small(scratch.path(), SMALL)?)
}

/// Mirrors one repository and syncs it without news.
fn one(upstream: &Path) -> Result<()> {
    let name = upstream.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let server = SmartHttpServer::start(upstream.parent().unwrap_or(upstream));
    let source = server.source(&name);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..LONG_ROUNDS {
        let mirrors = Mirrors::new(1)?;
        ours.push(timed(|| mirrors.clone_all(std::slice::from_ref(&source)))?);
        let dir = tempfile::tempdir()?;
        theirs.push(timed(|| git::clone_mirror(&source, &dir.path().join("m.git")))?);
    }
    row(&format!("{name}: mirror, with recording"), &mut ours, &mut theirs);

    let mirrors = Mirrors::new(1)?;
    mirrors.clone_all(std::slice::from_ref(&source))?;
    let dir = tempfile::tempdir()?;
    let clone = dir.path().join("m.git");
    git::clone_mirror(&source, &clone)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..SHORT_ROUNDS {
        ours.push(timed(|| mirrors.sync_all())?);
        theirs.push(timed(|| git::fetch_prune(&clone))?);
    }
    row(&format!("{name}: sync without news"), &mut ours, &mut theirs);
    Ok(())
}

/// Mirrors many small repositories, two at a time.
fn small(upstreams: &[PathBuf]) -> Result<()> {
    let root = upstreams[0].parent().unwrap_or(&upstreams[0]);
    let server = SmartHttpServer::start(root);
    let names = upstreams.iter().filter_map(|path| path.file_name()?.to_str());
    let sources: Vec<_> = names.map(|name| server.source(name)).collect();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..LONG_ROUNDS {
        let mirrors = Mirrors::new(2)?;
        ours.push(timed(|| mirrors.clone_all(&sources))?);
        let dir = tempfile::tempdir()?;
        theirs.push(timed(|| git::clone_mirrors(&sources, dir.path(), 2))?);
    }
    row(&format!("{SMALL} small repositories, two at a time"), &mut ours, &mut theirs);
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}

fn row(what: &str, ours: &mut [Duration], theirs: &mut [Duration]) {
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{what:44} {:>7.3} s {:>7.3} s {:>7.2}",
        ours.as_secs_f64(),
        theirs.as_secs_f64(),
        ours.div_duration_f64(theirs)
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
