//! The database goes away in the middle of everything, and comes back.

use std::time::{Duration, Instant};

use gitsync_test_postgres::OwnServer;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::upstreams::Upstreams;
use crate::{Fleet, audit, size, until};

const LOST: &str = "the job was taken over by another worker";

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_is_outlived_by_every_process() {
    let outage = Duration::from_secs(size("GITSYNC_OUTAGE", 0) as u64);
    let database = OwnServer::start();
    let mut upstreams = Upstreams::new(10);
    let others = [("worker-1", "worker"), ("worker-2", "worker"), ("scheduler", "scheduler,janitor")];
    let mut fleet = Fleet::start_on(&database.url(), &["--workers", "3", "--host-concurrency", "16"], &others).await;
    let ids = fleet.create(upstreams.sources()).await;
    fleet.wait_until_idle().await;

    upstreams.change(4);
    upstreams.hold();
    for answer in fleet.sync(&ids).await {
        answer.unwrap();
    }
    until("all workers are at work", async || upstreams.server.held() == 6).await;
    database.stop();
    let began = Instant::now();
    // By their own clocks, for there is nobody to ask.
    let lost = async || fleet.process("worker-1").said(LOST) >= 3 && fleet.process("worker-2").said(LOST) >= 3;
    until("the workers give up what they cannot keep", lost).await;
    loop {
        for answer in fleet.sync(&ids[..2]).await {
            let status = answer.expect_err("nothing is promised that was not written");
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            assert!(status.get_error_details().retry_info().is_some(), "it says when to try again: {status:?}");
        }
        if began.elapsed() >= outage {
            break;
        }
    }

    upstreams.release();
    database.start_again();
    for id in &ids {
        until("a sync is taken", async || fleet.sync(&[*id]).await.remove(0).is_ok()).await;
    }
    fleet.wait_until_idle().await;
    for process in &mut fleet.processes {
        assert!(process.is_alive(), "{} ended", process.name());
    }
    audit::check(&fleet.pool).await;
    upstreams.check(&fleet, &ids).await;
}
