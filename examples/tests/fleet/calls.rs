//! Many callers who want the same.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use crate::fleet::{connect, sync};
use crate::upstreams::Upstreams;
use crate::{Fleet, audit, size, until};

/// How many connections the calls come over.
const CONNECTIONS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_for_the_same_sync_share_one_that_runs_and_one_that_waits() {
    let calls = size("GITSYNC_CALLS", 200);
    let mut upstreams = Upstreams::new(1);
    let fleet = Fleet::start(&["--workers", "4"], &[("worker-1", "worker"), ("worker-2", "worker")]).await;
    let ids = fleet.create(upstreams.sources()).await;
    fleet.wait_until_idle().await;

    upstreams.change(1);
    upstreams.hold();
    let mut tasks = ask(&fleet, ids[0], calls / 2).await;
    until("the first sync runs", async || upstreams.server.held() == 1).await;
    tasks.extend(ask(&fleet, ids[0], calls - calls / 2).await);
    assert_eq!(tasks.len(), 2, "all calls were answered with one of two tasks: {tasks:?}");
    const STATUSES: &str = "SELECT string_agg(status, ' ' ORDER BY id) FROM sync_task WHERE kind = 'sync'";
    let statuses: String = sqlx::query_scalar(STATUSES).fetch_one(&fleet.pool).await.unwrap();
    assert_eq!(statuses, "running pending");

    upstreams.release();
    fleet.wait_until_idle().await;
    assert_eq!(fleet.count("SELECT count(*) FROM sync_task WHERE status = 'completed'").await, 3);
    audit::check(&fleet.pool).await;
    upstreams.check(&fleet, &ids).await;
}

/// Calls at once, over several connections, and returns the tasks that the answers name.
async fn ask(fleet: &Fleet, repository: i32, calls: usize) -> BTreeSet<String> {
    let mut answers = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let client = connect(&fleet.api).await;
        for _ in (connection..calls).step_by(CONNECTIONS) {
            answers.spawn(sync(client.clone(), repository));
        }
    }
    answers.join_all().await.into_iter().map(Result::unwrap).collect()
}
