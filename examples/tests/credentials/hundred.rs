//! A hundred repositories whose token is rotated while they are synced.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::engine::{CreateRepository, EngineOptions};
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{ObjectId, RepositoryId};
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::FileCredentials;
use gitsync_core::state::RepositoryStatus;
use gitsync_core::testing::http_server::{Endpoint, Request};
use gitsync_core::testing::{Git, ManualClock, SmartHttpServer, Upstream};
use gitsync_core::{ErrorKind, GitBackend, GitSync};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_transport::{NetOptions, NetTransport};

use super::{policy, write_file};

const COUNT: usize = 100;

/// How many of them are asked about before the token is rotated.
const BEFORE: usize = 30;

/// How many are synced at once.
const AT_ONCE: u32 = 16;

/// What identifies a mirror as the one that was cloned first: its directory, and what is written into it about that.
type Identity = (u64, Vec<u8>);

struct World {
    dir: tempfile::TempDir,
    server: SmartHttpServer,
    clock: ManualClock,
    /// Two processes, with an engine each.
    processes: [GitSync; 2],
    repositories: Vec<RepositoryId>,
    /// The commits that upstreams move along.
    commits: Vec<ObjectId>,
}

impl World {
    /// Clones them all.
    async fn new() -> Self {
        let (dir, upstream, clock) = (tempfile::tempdir().unwrap(), Upstream::new(), ManualClock::default());
        let commits: Vec<_> = (0..8).map(|_| upstream.commit("main")).collect();
        fs::create_dir(dir.path().join("upstreams")).unwrap();
        for number in 0..COUNT {
            let copied = Command::new("cp").arg("-R").arg(upstream.dir()).arg(of(dir.path(), number)).status().unwrap();
            assert!(copied.success());
        }
        let server = SmartHttpServer::start(&dir.path().join("upstreams"));
        let file = write_file(dir.path(), &server, "bearer", "token-0");
        server.let_in(&["Bearer token-0"]);
        // They mostly wait for the disk.
        let limits = QueueLimits { host_concurrency: AT_ONCE, ..QueueLimits::default() };
        let (store, queue) = (
            Arc::new(MemoryStore::new(Arc::new(clock.clone()))),
            Arc::new(MemoryQueue::new(Arc::new(clock.clone()), limits)),
        );
        let process = |backend: Arc<dyn GitBackend>| {
            let credentials = FileCredentials::open(&file).unwrap().clock(Arc::new(clock.clone()));
            let options = NetOptions { credentials_in_clear: true, ..NetOptions::default() };
            let transport = NetTransport::new(policy(), options).with_credentials(Arc::new(credentials));
            GitSync::builder()
                .store(store.clone())
                .queue(queue.clone())
                .backend(backend)
                .transport(Arc::new(transport))
                .policy(policy())
                .clock(Arc::new(clock.clone()))
                .repos_dir(dir.path().join("repos"))
                .options(EngineOptions { concurrency: AT_ONCE as usize, ..EngineOptions::default() })
                .build()
                .unwrap()
        };
        let processes = [process(Arc::new(GixBackend::default())), process(Arc::new(Git2Backend::default()))];
        let mut world = World { dir, server, clock, processes, repositories: Vec::new(), commits };
        world.move_to(0);
        world.clone_all().await;
        world
    }

    async fn clone_all(&mut self) {
        let [gitsync, _] = &self.processes;
        let organisation = gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap().id;
        for number in 0..COUNT {
            let source = Some(self.server.source(&format!("{number}.git")));
            let wish = CreateRepository { name: number.to_string(), source, ..CreateRepository::default() };
            self.repositories.push(gitsync.create_repository(organisation, wish).await.unwrap().0.id);
        }
        gitsync.worker().run_until_idle().await.unwrap();
        assert_eq!(self.refused().await, 0);
    }

    /// Moves all upstreams to one of the commits.
    fn move_to(&self, number: usize) {
        for upstream in 0..COUNT {
            fs::write(of(self.dir.path(), upstream).join("refs/heads/main"), format!("{}\n", self.commits[number]))
                .unwrap();
        }
    }

    /// Lets one interval pass, and one of the processes do what is due then. Returns what upstreams were asked meanwhile.
    async fn interval(&self, gitsync: &GitSync, rotate_to: Option<&str>) -> Vec<Request> {
        let interval = EngineOptions::default().sync_interval_min;
        self.clock.advance(interval + interval / 10);
        while gitsync.scheduler().scan().await.unwrap() > 0 {}
        let mut requests = Vec::new();
        let worker = gitsync.worker();
        let work = worker.run_until_idle();
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    done.unwrap();
                    break;
                }
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
            requests.extend(self.server.take_requests());
            if let Some(token) = rotate_to.filter(|_| requests.len() >= BEFORE) {
                self.server.let_in(&[&format!("Bearer {token}")]);
            }
        }
        requests.extend(self.server.take_requests());
        requests
    }

    /// Returns how many are paused because their credentials were refused; all others are well.
    async fn refused(&self) -> usize {
        let mut refused = 0;
        for id in &self.repositories {
            let repository = self.processes[0].repository(*id).await.unwrap();
            match repository.error.as_ref().map(|error| error.kind) {
                None => assert_eq!(repository.status, RepositoryStatus::Active),
                Some(ErrorKind::Unauthenticated) => refused += 1,
                Some(other) => panic!("{other}: {repository:?}"),
            }
            assert!(repository.next_sync_at.is_some(), "none has failed for good: {repository:?}");
        }
        refused
    }

    /// Compares each mirror with its upstream.
    async fn check(&self) {
        for (number, id) in self.repositories.iter().enumerate() {
            let [ours, theirs] = [self.mirror(number), of(self.dir.path(), number)].map(|path| Git::at(path).refs());
            let mirrored: Vec<_> = ours.into_iter().filter(|(name, _)| !name.starts_with(b"refs/gitsync/")).collect();
            assert_eq!(mirrored, theirs, "{number}");
            let recorded = self.processes[0].repository(*id).await.unwrap().last_commit;
            assert_eq!(recorded, theirs.first().map(|(_, id)| *id), "{number}");
        }
    }

    fn mirror(&self, number: usize) -> PathBuf {
        self.dir.path().join("repos/org").join(number.to_string())
    }

    fn identities(&self) -> HashMap<usize, Identity> {
        let identity = |number| {
            let mirror = self.mirror(number);
            (fs::metadata(&mirror).unwrap().ino(), fs::read(mirror.join("gitsync.json")).unwrap())
        };
        (0..COUNT).map(|number| (number, identity(number))).collect()
    }
}

fn of(directory: &Path, number: usize) -> PathBuf {
    directory.join("upstreams").join(format!("{number}.git"))
}

/// Tells whether a request wants everything, as the first clone does.
fn is_clone(request: &Request) -> bool {
    let says = |word: &[u8]| request.body.windows(word.len()).any(|bytes| bytes == word);
    request.endpoint == Endpoint::Command && says(b"want ") && !says(b"have ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_rotated_while_all_are_synced_costs_one_interval_and_no_clone() {
    let world = World::new().await;
    assert_eq!(world.server.take_requests().iter().filter(|request| is_clone(request)).count(), COUNT);
    let identities = world.identities();
    // Both engines meet the rotation, and both take over from the other.
    for (round, [before, after]) in [[0, 1], [1, 0]].into_iter().enumerate() {
        let token = format!("token-{}", round + 1);
        world.move_to(3 * round + 1);
        let requests = world.interval(&world.processes[before], Some(&token)).await;
        let refused = world.refused().await;
        assert!((1..COUNT).contains(&refused), "the token was rotated in between: {refused}");
        assert!(!requests.iter().any(is_clone));

        write_file(world.dir.path(), &world.server, "bearer", &token);
        world.move_to(3 * round + 2);
        let requests = world.interval(&world.processes[after], None).await;
        assert_eq!(world.refused().await, 0);
        world.check().await;
        assert!(!requests.iter().any(is_clone), "what is there is not cloned anew");
        assert_eq!(world.identities(), identities);
    }
}
