//! One repository, and what becomes of it while its token changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::engine::CreateRepository;
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{RepositoryId, SyncTask};
use gitsync_core::queue::QueueLimits;
use gitsync_core::rules::{CREDENTIALS_LOOK, TRIED_ANYHOW};
use gitsync_core::source::FileCredentials;
use gitsync_core::state::{RepositoryStatus, TaskStatus};
use gitsync_core::testing::{ManualClock, SmartHttpServer, Upstream, check_mirror};
use gitsync_core::{ErrorKind, GitBackend, GitSync};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_transport::{NetOptions, NetTransport};

use super::{policy, write_file};

/// What no error, task, log or file of a repository may have in it: the secrets, and what is sent of them.
const SECRETS: [&str; 4] =
    ["s3cret-one", "s3cret-two", "eC1hY2Nlc3MtdG9rZW46czNjcmV0LW9uZQ==", "eC1hY2Nlc3MtdG9rZW46czNjcmV0LXR3bw=="];

/// How the secrets are written in the file, and what they are sent as.
const KINDS: [(&str, [&str; 2]); 2] = [
    ("token", ["Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0LW9uZQ==", "Basic eC1hY2Nlc3MtdG9rZW46czNjcmV0LXR3bw=="]),
    ("bearer", ["Bearer s3cret-one", "Bearer s3cret-two"]),
];

struct World {
    dir: tempfile::TempDir,
    upstream: Upstream,
    server: SmartHttpServer,
    clock: ManualClock,
    gitsync: GitSync,
}

impl World {
    fn new(backend: Arc<dyn GitBackend>, kind: &str) -> Self {
        let (dir, upstream, clock) = (tempfile::tempdir().unwrap(), Upstream::new(), ManualClock::default());
        upstream.commit("main");
        let server = SmartHttpServer::start(upstream.root());
        let file = write_file(dir.path(), &server, kind, "s3cret-one");
        let credentials = FileCredentials::open(file).unwrap().clock(Arc::new(clock.clone()));
        let policy = policy();
        let options = NetOptions { credentials_in_clear: true, ..NetOptions::default() };
        let transport = NetTransport::new(policy.clone(), options).with_credentials(Arc::new(credentials));
        let gitsync = GitSync::builder()
            .store(Arc::new(MemoryStore::new(Arc::new(clock.clone()))))
            .queue(Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default())))
            .backend(backend)
            .transport(Arc::new(transport))
            .policy(policy)
            .clock(Arc::new(clock.clone()))
            .repos_dir(dir.path().join("repos"))
            .build()
            .unwrap();
        World { dir, upstream, server, clock, gitsync }
    }

    /// Makes a mirror; whether that works is another question.
    async fn mirror(&self) -> RepositoryId {
        let organisation = self.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap().id;
        let source = Some(self.server.source("upstream.git"));
        let wish = CreateRepository { name: "mirror".into(), source, ..CreateRepository::default() };
        let id = self.gitsync.create_repository(organisation, wish).await.unwrap().0.id;
        self.work().await;
        id
    }

    async fn work(&self) -> usize {
        self.gitsync.worker().run_until_idle().await.unwrap()
    }

    async fn sync(&self, id: RepositoryId) -> SyncTask {
        let task = self.gitsync.sync(id).await.unwrap();
        self.work().await;
        self.gitsync.task(task.id).await.unwrap()
    }

    /// Does what is due after some time, and tells how many tasks that were.
    async fn after(&self, time: Duration) -> usize {
        self.clock.advance(time);
        self.gitsync.scheduler().scan().await.unwrap();
        self.work().await
    }

    async fn check(&self, id: RepositoryId) {
        let repository = self.gitsync.repository(id).await.unwrap();
        assert_eq!((repository.status, &repository.error), (RepositoryStatus::Active, &None));
        check_mirror(&self.gitsync, id, &self.published(), self.upstream.dir()).await;
    }

    fn published(&self) -> PathBuf {
        self.dir.path().join("repos/org/mirror")
    }
}

fn assert_no_secret(text: &str) {
    assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "{text}");
}

/// Checks all files below a directory.
fn assert_no_secret_below(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_secret_below(&path);
        } else {
            assert_no_secret(&String::from_utf8_lossy(&fs::read(path).unwrap()));
        }
    }
}

async fn rotated_and_revoked(backend: Arc<dyn GitBackend>, kind: &str, [one, two]: [&str; 2]) {
    let world = World::new(backend, kind);
    world.server.let_in(&[one, two]);
    let id = world.mirror().await;
    world.check(id).await;

    // Rotated before the old one is revoked: nobody notices.
    write_file(world.dir.path(), &world.server, kind, "s3cret-two");
    world.clock.advance(CREDENTIALS_LOOK);
    world.server.let_in(&[two]);
    world.upstream.commit("main");
    assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
    world.check(id).await;

    // Revoked: asked once, and not again until there is another one.
    world.server.let_in(&[one]);
    world.server.take_requests();
    let task = world.sync(id).await;
    assert_eq!((task.status, task.attempt), (TaskStatus::Failed, 1));
    let error = task.error.as_ref().unwrap();
    assert_eq!(error.kind, ErrorKind::Unauthenticated);
    assert_eq!(world.server.take_requests().len(), 1);
    // But once a day: it may be the upstream that was wrong.
    for _ in 0..3 {
        assert_eq!(world.after(TRIED_ANYHOW).await, 1);
        assert_eq!(world.after(CREDENTIALS_LOOK).await, 0);
        assert_eq!(world.server.take_requests().len(), 1);
    }
    let paused = world.gitsync.repository(id).await.unwrap();
    assert_eq!(paused.status, RepositoryStatus::Failed);
    assert_no_secret(&format!("{task:?} {paused:?} {error:?} {:?}", world.gitsync));

    write_file(world.dir.path(), &world.server, kind, "s3cret-one");
    assert_eq!(world.after(CREDENTIALS_LOOK).await, 1);
    world.check(id).await;
    let requests = world.server.take_requests();
    let fetches = requests.iter().filter(|request| request.body.windows(5).any(|bytes| bytes == b"want "));
    assert_eq!((fetches.count(), requests.is_empty()), (0, false), "what is there is not fetched again");
    assert_no_secret_below(&world.dir.path().join("repos"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_rotated_and_revoked_with_gix() {
    for (kind, headers) in KINDS {
        rotated_and_revoked(Arc::new(GixBackend::default()), kind, headers).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_rotated_and_revoked_with_git2() {
    for (kind, headers) in KINDS {
        rotated_and_revoked(Arc::new(Git2Backend::default()), kind, headers).await;
    }
}

/// What could not be cloned for want of a token is, once there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_clone_waits_for_the_right_token() {
    let world = World::new(Arc::new(GixBackend::default()), "bearer");
    world.server.let_in(&["Bearer s3cret-two"]);
    let id = world.mirror().await;
    assert_eq!(world.gitsync.repository(id).await.unwrap().status, RepositoryStatus::Failed);
    assert_eq!(world.after(CREDENTIALS_LOOK).await, 0);
    write_file(world.dir.path(), &world.server, "bearer", "s3cret-two");
    assert_eq!(world.after(CREDENTIALS_LOOK).await, 1);
    world.check(id).await;
}
