//! Push targets, from a real upstream over HTTP to real targets over HTTP and in files, by both engines.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::engine::{CreateRepository, EngineOptions, NoSteps, StepHook};
use gitsync_core::model::{PushStatus, PushTarget, RepositoryId};
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::state::TaskStatus;
use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{DieAt, ManualClock, SmartHttpServer, Upstream, check_mirror};
use gitsync_core::{ErrorKind, GitBackend, GitSync};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};

/// Longer than a lease and than the first pauses of targets.
const LONG_ENOUGH: Duration = Duration::from_secs(3600);

/// A repository of others, and the server it is on.
struct Served {
    repository: Upstream,
    server: SmartHttpServer,
}

impl Served {
    fn new() -> Self {
        let repository = Upstream::new();
        repository.git().run(&["config", "http.receivepack", "true"]);
        Served { server: SmartHttpServer::start(repository.root()), repository }
    }

    fn url(&self) -> SourceUrl {
        self.server.source("upstream.git")
    }

    fn has_what(&self, other: &Upstream) -> bool {
        self.repository.git().assert_sound();
        self.repository.git().refs() == other.git().refs()
    }
}

struct Bench {
    dir: tempfile::TempDir,
    clock: ManualClock,
    database: Arc<SqliteStore>,
    backend: Arc<dyn GitBackend>,
    upstream: Served,
    options: EngineOptions,
}

impl Bench {
    async fn new(backend: Arc<dyn GitBackend>) -> Self {
        let (clock, dir) = (ManualClock::default(), tempfile::tempdir().unwrap());
        let path = dir.path().join("gitsync.db");
        let database = SqliteStore::open(path, Arc::new(clock.clone()), QueueLimits::default()).await.unwrap();
        let options = EngineOptions::default();
        Bench { dir, clock, database: Arc::new(database), backend, upstream: Served::new(), options }
    }

    fn engine(&self, steps: Arc<dyn StepHook>) -> GitSync {
        let policy = SourcePolicy::builder().schemes([Scheme::Http, Scheme::File]).allow_private_networks(true);
        let policy = policy.push_host("127.0.0.1").unwrap().push_root(std::env::temp_dir()).build().unwrap();
        GitSync::builder()
            .store(Arc::clone(&self.database) as _)
            .queue(Arc::clone(&self.database) as _)
            .backend(Arc::clone(&self.backend))
            .transport(Arc::new(NetTransport::new(policy.clone(), NetOptions::default())))
            .policy(policy)
            .clock(Arc::new(self.clock.clone()))
            .options(self.options.clone())
            .steps(steps)
            .repos_dir(self.dir.path())
            .build()
            .unwrap()
    }

    fn gitsync(&self) -> GitSync {
        self.engine(Arc::new(NoSteps))
    }

    async fn mirror(&self) -> RepositoryId {
        let gitsync = self.gitsync();
        let organisation = gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let source = Some(self.upstream.url());
        let wish = CreateRepository { name: "mirror".into(), source, ..CreateRepository::default() };
        gitsync.create_repository(organisation.id, wish).await.unwrap().0.id
    }

    /// Syncs, and checks that the mirror is right whatever became of its targets.
    async fn sync(&self, id: RepositoryId) {
        let gitsync = self.gitsync();
        let task = gitsync.sync(id).await.unwrap().id;
        gitsync.worker().run_until_idle().await.unwrap();
        let ended = gitsync.task(task).await.unwrap();
        assert_eq!(ended.status, TaskStatus::Completed, "{:?}", ended.error);
        let mirror = self.dir.path().join("org/mirror");
        check_mirror(&gitsync, id, &mirror, self.upstream.repository.dir()).await;
    }

    async fn target(&self, id: RepositoryId, url: &SourceUrl) -> PushTarget {
        let targets = self.gitsync().push_targets(id).await.unwrap();
        targets.into_iter().find(|target| target.url == *url).unwrap()
    }
}

fn engines() -> [Arc<dyn GitBackend>; 2] {
    [Arc::new(GixBackend::default()), Arc::new(Git2Backend::default())]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_is_on_its_own() {
    for engine in engines() {
        let bench = Bench::new(engine).await;
        let upstream = &bench.upstream.repository;
        let tip = upstream.history("main", 10);
        upstream.annotated_tag("v1", tip);
        upstream.branch("locked", tip);
        let (file, fine, locked, gone) = (Upstream::new(), Served::new(), Served::new(), Served::new());
        let hook = locked.repository.dir().join("hooks/update");
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, "#!/bin/sh\ntest $1 != refs/heads/locked\n").unwrap();
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_dir_all(gone.repository.dir()).unwrap();

        let id = bench.mirror().await;
        let urls = [file.file_source(), fine.url(), locked.url(), gone.url()];
        for url in &urls {
            bench.gitsync().add_push_target(id, url).await.unwrap();
        }
        bench.sync(id).await;
        let mut kinds = Vec::new();
        for url in &urls {
            kinds.push(bench.target(id, url).await.error.map(|error| error.kind));
        }
        assert_eq!(kinds, [None, None, Some(ErrorKind::PermissionDenied), Some(ErrorKind::SourceNotFound)]);
        assert!(file.git().refs() == upstream.git().refs() && fine.has_what(upstream));
        let refused = bench.target(id, &locked.url()).await;
        assert!(refused.error.unwrap().message.contains("refs/heads/locked"));
        assert_eq!((refused.last.updated, locked.repository.tip("main")), (2, Some(tip)));

        // What was in the way is gone. Branches are forced and deleted meanwhile, and one stands in the way of another.
        fs::remove_file(&hook).unwrap();
        upstream.branch("main", upstream.commit_on(&[]));
        upstream.delete("refs/heads/locked");
        upstream.branch("locked/inside", tip);
        bench.clock.advance(LONG_ENOUGH);
        bench.sync(id).await;
        for served in [&fine, &locked] {
            assert!(served.has_what(upstream));
            assert_eq!(bench.target(id, &served.url()).await.status(), PushStatus::Pushed);
        }
        assert_eq!(bench.target(id, &gone.url()).await.failures, 2);
    }
}

/// Whichever comes first: a target that has failed comes last from then on.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_stalls_keeps_others_waiting_only_once() {
    let [engine, _] = engines();
    let mut bench = Bench::new(engine).await;
    bench.options.push_time_limit = Duration::from_secs(5);
    let (upstream, fine, stalled) = (&bench.upstream.repository, Served::new(), Served::new());
    stalled.server.answer(Endpoint::Command, Behaviour::Stall);
    upstream.commit("main");
    let id = bench.mirror().await;
    for url in [fine.url(), stalled.url()] {
        bench.gitsync().add_push_target(id, &url).await.unwrap();
    }
    bench.sync(id).await;
    assert_eq!(bench.target(id, &stalled.url()).await.error.unwrap().kind, ErrorKind::Timeout);
    upstream.commit("main");
    bench.clock.advance(LONG_ENOUGH);
    bench.sync(id).await;
    assert!(fine.has_what(upstream));
    assert_eq!(bench.target(id, &stalled.url()).await.failures, 2);
    stalled.server.answer(Endpoint::Command, Behaviour::Serve);
    bench.clock.advance(LONG_ENOUGH);
    bench.sync(id).await;
    assert!(stalled.has_what(upstream));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_anywhere_leaves_a_target_to_the_next() {
    for (engine, first) in engines().into_iter().zip([0, 1]) {
        // Each engine every other step: every step takes a second.
        for step in (first..).step_by(2) {
            let bench = Bench::new(Arc::clone(&engine)).await;
            let (upstream, target) = (&bench.upstream.repository, Served::new());
            upstream.history("main", 3);
            let id = bench.mirror().await;
            bench.gitsync().add_push_target(id, &target.url()).await.unwrap();
            bench.sync(id).await;
            upstream.branch("main", upstream.commit_on(&[]));
            bench.gitsync().sync(id).await.unwrap();
            let hook = DieAt::new(step);
            let worker = bench.engine(Arc::clone(&hook) as _).worker();
            let died = tokio::select! {
                done = worker.run_until_idle() => { done.unwrap(); false }
                () = hook.died() => true,
            };
            bench.clock.advance(LONG_ENOUGH);
            bench.sync(id).await;
            assert!(target.has_what(upstream), "died at step {step}");
            if !died {
                break;
            }
        }
    }
}
