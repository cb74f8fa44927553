//! gitsync beside the git program, on the same machine and upstreams in one run; read the ratios, not the seconds.
//!
//! The upstream runs on the same processors, so its work is part of both times; where that hides what is compared, a second
//! row has an upstream that remembers its answers. All that is made stays until the end: file systems are slow to make files
//! where many were just removed.
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
use gitsync_core::testing::http_server::{Behaviour, Endpoint};

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
    println!("{:56} {:>9} {:>9} {:>7}", "", "gitsync", "git", "ratio");
    let large = if given.is_empty() { vec![upstreams::large(scratch.path())?] } else { given };
    for upstream in &large {
        one(upstream, scratch.path())?;
    }
    small(&upstreams::small(scratch.path(), SMALL)?, scratch.path())
}

/// Mirrors one repository and syncs it without news.
fn one(upstream: &Path, scratch: &Path) -> Result<()> {
    let name = upstream.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let server = SmartHttpServer::start(upstream.parent().unwrap_or(upstream));
    let source = server.source(&name);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..LONG_ROUNDS {
        let mirrors = Mirrors::new(scratch, 1)?;
        ours.push(timed(|| mirrors.clone_all(std::slice::from_ref(&source)))?);
        let dir = fresh(scratch)?;
        theirs.push(timed(|| git::clone_mirror(&source, &dir.join("m.git")))?);
    }
    row(&format!("{name}: mirror, with recording"), &mut ours, &mut theirs);

    let mirrors = Mirrors::new(scratch, 1)?;
    mirrors.clone_all(std::slice::from_ref(&source))?;
    let clone = fresh(scratch)?.join("m.git");
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
fn small(upstreams: &[PathBuf], scratch: &Path) -> Result<()> {
    let root = upstreams[0].parent().unwrap_or(&upstreams[0]);
    let server = SmartHttpServer::start(root);
    let names = upstreams.iter().filter_map(|path| path.file_name()?.to_str());
    let sources: Vec<_> = names.map(|name| server.source(name)).collect();
    let clone_all = |ours: &mut Vec<Duration>, theirs: &mut Vec<Duration>| -> Result<()> {
        let mirrors = Mirrors::new(scratch, 2)?;
        ours.push(timed(|| mirrors.clone_all(&sources))?);
        let dir = fresh(scratch)?;
        theirs.push(timed(|| git::clone_mirrors(&sources, &dir, 2))?);
        Ok(())
    };
    let what = format!("{SMALL} small repositories, two at a time");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    (0..LONG_ROUNDS).try_for_each(|_| clone_all(&mut ours, &mut theirs))?;
    row(&what, &mut ours, &mut theirs);

    for endpoint in [Endpoint::Greeting, Endpoint::Command] {
        server.answer(endpoint, Behaviour::Remember);
    }
    clone_all(&mut Vec::new(), &mut Vec::new())?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    (0..LONG_ROUNDS).try_for_each(|_| clone_all(&mut ours, &mut theirs))?;
    row(&format!("{what}, remembered"), &mut ours, &mut theirs);
    Ok(())
}

/// Makes an empty directory that stays until the end.
pub(crate) fn fresh(scratch: &Path) -> Result<PathBuf> {
    Ok(tempfile::tempdir_in(scratch)?.keep())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}

fn row(what: &str, ours: &mut [Duration], theirs: &mut [Duration]) {
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{what:56} {:>7.3} s {:>7.3} s {:>7.2}",
        ours.as_secs_f64(),
        theirs.as_secs_f64(),
        ours.div_duration_f64(theirs)
    );
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
