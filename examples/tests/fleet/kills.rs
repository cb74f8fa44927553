//! Workers that are killed, and that are stopped until others have taken over.

use std::time::Duration;

use crate::upstreams::Upstreams;
use crate::{Fleet, LEASE, audit, size, until};

/// How many tasks a worker runs at once.
const SLOTS: usize = 4;
const ARGUMENTS: &[&str] = &["--workers", "4", "--host-concurrency", "16"];
/// How many workers there are before one is killed.
const WORKERS: usize = 3;

/// What a worker's log says when it finds out that its job is another's.
const OUTRUN: &str = "the job was taken over by another worker";

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_stopped_workers_change_nothing_that_others_have_taken_over() {
    let mut upstreams = Upstreams::new(size("GITSYNC_UPSTREAMS", 20));
    let workers = [("worker-1", "worker"), ("worker-2", "worker"), ("worker-3", "worker")];
    let others = [&workers[..], &[("scheduler", "scheduler,janitor")]].concat();
    let mut fleet = Fleet::start(ARGUMENTS, &others).await;

    upstreams.hold();
    let ids = fleet.create(upstreams.sources()).await;
    let mut outrun = shake(&mut fleet, &mut upstreams, &ids, ["worker-1", "worker-2", "worker-4"]).await;

    upstreams.change(6);
    upstreams.hold();
    all(&fleet, &ids).await;
    outrun += shake(&mut fleet, &mut upstreams, &ids, ["worker-3", "worker-4", "worker-5"]).await;
    audit::check(&fleet.pool).await;
    let taken_over = audit::takeovers(&fleet.pool).await;
    assert!(taken_over >= outrun, "{taken_over} jobs were taken over, of {outrun}");
}

/// Kills one worker in the middle of its work, stops another until its work has been done by others, and upstream has moved
/// on since, and lets it go on. Returns how many jobs both had.
async fn shake(fleet: &mut Fleet, upstreams: &mut Upstreams, ids: &[i32], [killed, stopped, new]: [&str; 3]) -> i64 {
    until("all workers are at work", async || upstreams.server.held() == WORKERS * SLOTS).await;
    let abandoned = fleet.held_by(killed).await;
    fleet.kill(killed);
    fleet.process(stopped).stop();
    let held = fleet.held_by(stopped).await;
    assert!(!abandoned.is_empty() && !held.is_empty(), "both were at work");
    let until_then = fleet.after(2 * LEASE).await;
    let outrun_before = fleet.process(stopped).said(OUTRUN);
    fleet.add(new, "worker", ARGUMENTS);

    upstreams.release();
    let jobs = [&abandoned[..], &held].concat();
    until("others have taken over", async || fleet.are_taken_over(&jobs).await).await;
    fleet.wait_until_idle().await;
    upstreams.check(fleet, ids).await;

    // What the stopped worker is about to publish is out of date now.
    upstreams.change(6);
    all(fleet, ids).await;
    fleet.wait_until_idle().await;
    until("it was away for two leases", async || fleet.after(Duration::ZERO).await >= until_then).await;
    let process = fleet.process(stopped);
    process.resume();
    until("the stopped worker has found out", async || process.said(OUTRUN) >= outrun_before + held.len()).await;
    fleet.wait_until_idle().await;
    upstreams.check(fleet, ids).await;
    jobs.len() as i64
}

async fn all(fleet: &Fleet, ids: &[i32]) {
    for answer in fleet.sync(ids).await {
        answer.unwrap();
    }
}
