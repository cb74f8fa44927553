//! How many requests a host gets at once follows what it answers.

#![allow(clippy::unwrap_used, reason = "the functions of a test are tests")]

use std::sync::Arc;
use std::time::Duration;

use gitsync_core::engine::{CreateRepository, EngineOptions};
use gitsync_core::model::{RepositoryId, TaskId};
use gitsync_core::queue::{HostStats, QueueLimits};
use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::state::TaskStatus;
use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{ManualClock, SmartHttpServer, Upstream};
use gitsync_core::{Clock, GitSync};
use gitsync_gix::{GixBackend, GixOptions};
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};

/// How many repositories there are on the host.
const REPOSITORIES: usize = 20;
/// How many of its jobs run at once while nothing is known of it.
const CONFIGURED: u32 = 8;

/// An engine with mirrors that are to be cloned, all from one host.
struct World {
    gitsync: GitSync,
    clock: ManualClock,
    server: SmartHttpServer,
    repositories: Vec<RepositoryId>,
    tasks: Vec<TaskId>,
    _kept: (tempfile::TempDir, Upstream),
}

impl World {
    async fn new() -> Self {
        let (directory, upstream, clock) = (tempfile::tempdir().unwrap(), Upstream::new(), ManualClock::default());
        upstream.commit("main");
        let server = SmartHttpServer::start(upstream.root());
        let limits = QueueLimits { host_concurrency: CONFIGURED, ..QueueLimits::default() };
        let path = directory.path().join("gitsync.db");
        let database = SqliteStore::open(path, Arc::new(clock.clone()), limits).await.unwrap();
        let policy = SourcePolicy::builder().schemes([Scheme::Http]).allow_private_networks(true).build().unwrap();
        let options = EngineOptions {
            concurrency: REPOSITORIES,
            retry_delays: vec![Duration::from_secs(1); 3],
            ..EngineOptions::default()
        };
        let mut git = GixOptions::default();
        git.blocking_threads = REPOSITORIES;
        let gitsync = GitSync::builder()
            .database(Arc::new(database))
            .backend(Arc::new(GixBackend::new(git)))
            .transport(Arc::new(NetTransport::new(policy.clone(), NetOptions::default())))
            .policy(policy)
            .clock(Arc::new(clock.clone()))
            .repos_dir(directory.path().join("repositories"))
            .options(options)
            .build()
            .unwrap();
        let organisation = gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let (mut repositories, mut tasks) = (Vec::new(), Vec::new());
        for number in 0..REPOSITORIES {
            let source = Some(server.source("upstream.git"));
            let wish = CreateRepository { name: format!("r{number}"), source, ..CreateRepository::default() };
            let (repository, task) = gitsync.create_repository(organisation.id, wish).await.unwrap();
            repositories.push(repository.id);
            tasks.push(task.id);
        }
        World { gitsync, clock, server, repositories, tasks, _kept: (directory, upstream) }
    }

    /// Works until nothing is to be done now, and tells how many requests were at the server at once before it answered any.
    async fn work(&self, answer: Behaviour) -> usize {
        self.server.answer(Endpoint::Greeting, Behaviour::Hold);
        let worker = self.gitsync.worker();
        let work = tokio::spawn(async move { worker.run_until_idle().await });
        let at_once = loop {
            let running = self.gitsync.queue_stats().await.unwrap().running;
            let held = self.server.held();
            if running > 0 && u64::try_from(held).unwrap() == running {
                break held;
            }
            tokio::task::yield_now().await;
        };
        self.server.answer(Endpoint::Greeting, answer);
        work.await.unwrap().unwrap();
        at_once
    }

    /// Returns what is known of the host.
    async fn known(&self) -> HostStats {
        let mut hosts = self.gitsync.queue_stats().await.unwrap().hosts;
        assert_eq!(hosts.len(), 1, "{hosts:?}");
        hosts.remove(0)
    }

    /// Tells for how many seconds the host is left alone, and lets them pass.
    async fn pass_pause(&self) -> u64 {
        let until = self.known().await.blocked_until.expect("it is left alone");
        let pause = until.since(self.clock.now());
        self.clock.set(until);
        pause.as_secs()
    }

    /// Returns how many attempts each of the last tasks took, and checks that it completed.
    async fn attempts(&self) -> Vec<u32> {
        let mut attempts = Vec::new();
        for task in &self.tasks {
            let task = self.gitsync.task(*task).await.unwrap();
            assert_eq!(task.status, TaskStatus::Completed, "{:?}", task.error);
            attempts.push(task.attempt);
        }
        attempts.sort_unstable();
        attempts
    }

    async fn sync_all(&mut self) {
        self.tasks.clear();
        for repository in &self.repositories {
            self.tasks.push(self.gitsync.sync(*repository).await.unwrap().id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_asks_for_pauses_gets_fewer_requests_at_once_until_it_takes_more() {
    let mut world = World::new().await;
    let limited = |headers| Behaviour::Status(429, headers);
    assert_eq!(world.work(limited(vec![("Retry-After", "30".to_owned())])).await, 8);
    assert_eq!(world.server.take_requests().len(), 8, "nobody else went there");
    assert_eq!((world.known().await.limit, world.pass_pause().await), (4, 30));
    assert_eq!(world.work(limited(Vec::new())).await, 4);
    assert!((60..72).contains(&world.pass_pause().await));
    assert_eq!(world.work(limited(Vec::new())).await, 2);
    assert!((120..144).contains(&world.pass_pause().await), "twice as long");

    assert_eq!(world.work(Behaviour::Serve).await, 1);
    assert_eq!(world.attempts().await, [1; REPOSITORIES], "what it asked for costs no attempt");
    assert_eq!(world.known().await.limit, 6, "after 1, 2, 3, 4 and 5 that succeeded");
    world.sync_all().await;
    assert_eq!(world.work(Behaviour::Serve).await, 6);
    world.sync_all().await;
    assert_eq!(world.work(Behaviour::Serve).await, 8);
    assert_eq!(world.gitsync.queue_stats().await.unwrap().hosts, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_fails_is_tried_by_one_request_at_a_time() {
    let mut world = World::new().await;
    let failing = || Behaviour::Status(500, Vec::new());
    // It is missed by those who have been there.
    assert_eq!(world.work(Behaviour::Serve).await, 8);
    world.sync_all().await;
    world.server.take_requests();
    assert_eq!(world.work(failing()).await, 8);
    let failed = world.server.take_requests().len();
    assert!((8..13).contains(&failed), "{failed} were there until the fifth had failed");
    assert_eq!((world.known().await.limit, world.known().await.failures), (1, 5));
    assert!((30..36).contains(&world.pass_pause().await));
    assert_eq!(world.work(failing()).await, 1);
    assert!((60..72).contains(&world.pass_pause().await), "twice as long");
    assert_eq!(world.work(Behaviour::Serve).await, 1);
    let attempts = world.attempts().await;
    assert_eq!(attempts.iter().filter(|attempts| **attempts == 2).count(), failed + 1, "{attempts:?}");
    assert_eq!(
        attempts.iter().filter(|attempts| **attempts == 1).count(),
        REPOSITORIES - failed - 1,
        "who waited lost none"
    );
    assert_eq!(world.gitsync.queue_stats().await.unwrap().hosts, []);
    world.sync_all().await;
    assert_eq!(world.work(Behaviour::Serve).await, 8);
}
