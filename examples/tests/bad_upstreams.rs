//! Upstreams that break off, stall, trickle, send garbage and lie: both engines say so in time, publish nothing, leave nothing
//! behind, and are right the next time.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gitsync_core::engine::{CreateRepository, EngineOptions};
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::RepositoryId;
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::state::TaskStatus;
use gitsync_core::testing::http_server::{Behaviour, Endpoint};
use gitsync_core::testing::{Git, ManualClock, SmartHttpServer, Upstream, check_mirror};
use gitsync_core::{ErrorKind, GitBackend, GitSync};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_transport::{NetOptions, NetTransport};

use Endpoint::{Command, Greeting};
use ErrorKind::{Corrupt, LimitExceeded, SourceUnreachable, Timeout};

/// How long an upstream may be silent, and a task take, where neither is to end.
const PATIENCE: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// A mirror of an upstream, by an engine.
struct Mirror {
    upstream: Upstream,
    server: SmartHttpServer,
    clock: ManualClock,
    gitsync: GitSync,
    /// The same with little patience.
    hasty: GitSync,
    id: RepositoryId,
    dir: tempfile::TempDir,
}

/// What a failed attempt must leave as it was: the references and the files of objects, and nothing half-done anywhere.
type State = (Option<Vec<(Vec<u8>, gitsync_core::model::ObjectId)>>, BTreeSet<PathBuf>);

impl Mirror {
    /// Sets a mirror up whose clone waits to be done.
    async fn new(backend: Arc<dyn GitBackend>) -> Self {
        let upstream = Upstream::new();
        upstream.history("main", 200);
        let tip = upstream.history("other", 20);
        upstream.annotated_tag("v1", tip);
        let server = SmartHttpServer::start(upstream.root());
        let policy = SourcePolicy::builder().schemes([Scheme::Http]).allow_private_networks(true).build().unwrap();
        let clock = ManualClock::default();
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        let queue = Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default()));
        let gitsync = |net, options| {
            GitSync::builder()
                .store(Arc::clone(&store) as _)
                .queue(Arc::clone(&queue) as _)
                .backend(Arc::clone(&backend))
                .transport(Arc::new(NetTransport::new(policy.clone(), net)))
                .policy(policy.clone())
                .clock(Arc::new(clock.clone()))
                .options(options)
                .repos_dir(dir.path())
                .build()
                .unwrap()
        };
        let [idle_timeout, task_time_limit] = PATIENCE;
        let hasty = gitsync(
            NetOptions { idle_timeout, ..NetOptions::default() },
            EngineOptions { task_time_limit, ..EngineOptions::default() },
        );
        let gitsync = gitsync(NetOptions::default(), EngineOptions::default());
        let organisation = gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap().id;
        let source = Some(server.source("upstream.git"));
        let wish = CreateRepository { name: "mirror".into(), source, ..CreateRepository::default() };
        let id = gitsync.create_repository(organisation, wish).await.unwrap().0.id;
        Mirror { upstream, server, clock, gitsync, hasty, id, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("org/mirror")
    }

    /// Makes one attempt, by a task that waits or a new one, and tells why it did not complete.
    async fn attempt(&self, gitsync: &GitSync) -> Option<ErrorKind> {
        let task = gitsync.sync(self.id).await.unwrap().id;
        gitsync.worker().run_until_idle().await.unwrap();
        let task = gitsync.task(task).await.unwrap();
        assert_ne!(task.status, TaskStatus::Running);
        if task.status == TaskStatus::Completed {
            return None;
        }
        Some(task.error.expect("what did not complete says why").kind)
    }

    fn state(&self) -> State {
        let temporary = self.dir.path().join(".gitsync/tmp");
        let left: Vec<_> = fs::read_dir(temporary).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{left:?} is left");
        if !self.path().exists() {
            return (None, BTreeSet::new());
        }
        let mut files = BTreeSet::new();
        files_below(&self.path().join("objects"), &mut files);
        (Some(Git::at(self.path()).refs()), files)
    }

    /// Lets an endpoint misbehave for one attempt, which fails and changes nothing.
    async fn fails(&self, engine: &str, endpoint: Endpoint, behaviour: Behaviour, kinds: &[ErrorKind]) {
        let gitsync = if kinds == [Timeout] { &self.hasty } else { &self.gitsync };
        let before = self.state();
        let what = format!("{engine}: {behaviour:.60?} at {endpoint:?}, published: {}", before.0.is_some());
        self.server.answer(endpoint, behaviour);
        let kind = self.attempt(gitsync).await;
        self.server.answer(endpoint, Behaviour::Serve);
        assert!(kind.is_some_and(|kind| kinds.contains(&kind)), "{what}: {kind:?}");
        assert_eq!(self.state(), before, "{what}");
    }

    /// Makes an attempt that is right.
    async fn succeeds(&self) {
        self.clock.advance(Duration::from_secs(3600));
        assert_eq!(self.attempt(&self.gitsync).await, None);
        check_mirror(&self.gitsync, self.id, &self.path(), self.upstream.dir()).await;
        Git::at(self.path()).assert_sound();
        self.state();
    }

    /// Lets upstream go on: more commits, one of them on a branch that was rewritten, and a branch less.
    fn moves_on(&self) {
        let base = self.upstream.git().id("main~50");
        self.upstream.branch("other", base);
        self.upstream.history("other", 150);
        self.upstream.history("main", 100);
        self.upstream.branch("more", base);
    }
}

fn files_below(directory: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, files) } else { assert!(files.insert(path)) }
    }
}

fn engines() -> [(&'static str, Arc<dyn GitBackend>); 2] {
    [("gix", Arc::new(GixBackend::default())), ("git2", Arc::new(Git2Backend::default()))]
}

/// How long the answers of the next attempt are, seen on another mirror in the same state.
async fn lengths(mirror: &Mirror) -> [(Endpoint, usize); 2] {
    let mut lengths = [(Greeting, 0), (Command, 0)];
    for (endpoint, length) in &mut lengths {
        mirror.server.answer(*endpoint, Behaviour::Remember);
        if *endpoint == Greeting {
            // The listing alone.
            mirror.server.answer(Command, Behaviour::Status(503, Vec::new()));
        }
        mirror.attempt(&mirror.gitsync).await;
        *length = mirror.server.take_longest_remembered();
        mirror.server.answer(*endpoint, Behaviour::Serve);
    }
    lengths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_is_cut_at_every_tenth_of_its_bytes_leaves_nothing() {
    for (engine, backend) in engines() {
        let (seen, mirror) = (Mirror::new(Arc::clone(&backend)).await, Mirror::new(backend).await);
        for published in [false, true] {
            if published {
                seen.moves_on();
                mirror.moves_on();
            }
            for (endpoint, length) in lengths(&seen).await {
                assert!(length > 300, "{engine}: {endpoint:?} answers with {length} bytes");
                for tenth in 0..10 {
                    let cut = Behaviour::CutAfter(length * tenth / 10);
                    mirror.fails(engine, endpoint, cut, &[SourceUnreachable]).await;
                }
            }
            mirror.succeeds().await;
        }
    }
}

/// A line of the protocol.
fn line(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut line = format!("{:04x}", text.len() + 4).into_bytes();
    line.extend(text);
    line
}

/// A greeting that advertises a branch.
fn greeting(id: &str) -> Behaviour {
    let mut text = b"001e# service=git-upload-pack\n0000".to_vec();
    text.extend(line(format!(
        "{id} HEAD\0multi_ack_detailed no-done side-band-64k thin-pack ofs-delta symref=HEAD:refs/heads/main agent=x\n"
    )));
    text.extend(line(format!("{id} refs/heads/main\n")));
    text.extend(b"0000");
    Behaviour::Body("application/x-git-upload-pack-advertisement", text)
}

/// An answer to a command: a pack, or what is said to be one.
fn pack(bytes: &[u8]) -> Behaviour {
    let mut text = line("NAK\n");
    for part in bytes.chunks(1000) {
        text.extend(line([b"\x01", part].concat()));
    }
    text.extend(b"0000");
    Behaviour::Body("application/x-git-upload-pack-result", text)
}

/// A pack of another repository: whole, and not what was asked for.
fn of_another_repository() -> Vec<u8> {
    let other = Upstream::new();
    other.commit("main");
    other.git().feed(&["pack-objects", "--all", "--stdout", "-q"], b"")
}

/// The pack that upstream would send, with something done to it.
fn spoiled(mirror: &Mirror, spoil: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut pack = mirror.upstream.git().feed(&["pack-objects", "--all", "--stdout", "-q"], b"");
    spoil(&mut pack);
    pack
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_sends_garbage_or_lies_is_not_believed() {
    for (engine, backend) in engines() {
        let mirror = Mirror::new(backend).await;
        for published in [false, true] {
            if published {
                mirror.moves_on();
            }
            let html = || Behaviour::Body("text/html", b"<html>maintenance</html>".to_vec());
            let advertisement =
                |text: &[u8]| Behaviour::Body("application/x-git-upload-pack-advertisement", text.to_vec());
            let result = |text: &[u8]| Behaviour::Body("application/x-git-upload-pack-result", text.to_vec());
            let nobody_has = "1".repeat(40);
            let of_main = mirror.upstream.git().id("main").to_string();
            let bad = [Corrupt, SourceUnreachable, LimitExceeded];
            for (endpoint, behaviour) in [
                (Greeting, html()),
                (Greeting, advertisement(b"")),
                (Greeting, advertisement(b"zzzz")),
                (Greeting, advertisement(&[0xff; 5000])),
                (Greeting, advertisement(b"001e# service=git-upload-pack\n0000ffff")),
                (Greeting, greeting("not an id")),
                // An object that upstream does not have: it refuses to send it.
                (Greeting, greeting(&nobody_has)),
                (Command, html()),
                (Command, result(b"")),
                (Command, result(b"0008NAK\n0000")),
                (Command, result(b"0009ERR no")),
                (Command, pack(b"this is no pack")),
                (Command, pack(&[0; 4096])),
                (Command, pack(&of_another_repository())),
                (Command, pack(&spoiled(&mirror, |pack| pack.truncate(pack.len() / 2)))),
                (
                    Command,
                    pack(&spoiled(&mirror, |pack| {
                        let middle = pack.len() / 2;
                        pack[middle] ^= 0xff;
                    })),
                ),
                // Four billion objects.
                (Command, pack(&spoiled(&mirror, |pack| pack[8..12].fill(0xff)))),
            ] {
                mirror.fails(engine, endpoint, behaviour, &bad).await;
            }
            // It claims to have nothing new but one branch, and that there never was another.
            if published {
                mirror.fails(engine, Greeting, greeting(&nobody_has), &bad).await;
            }
            assert_eq!(mirror.upstream.git().id("main").to_string(), of_main);
            mirror.succeeds().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stalls_or_trickles_is_given_up_in_time() {
    for (engine, backend) in engines() {
        let mirror = Mirror::new(backend).await;
        for published in [false, true] {
            if published {
                mirror.moves_on();
            }
            for endpoint in [Greeting, Command] {
                for behaviour in [Behaviour::Stall, Behaviour::StallAfter(150)] {
                    mirror.fails(engine, endpoint, behaviour, &[Timeout]).await;
                }
            }
            if !published {
                // Never silent, and not done before the time of the task is over.
                mirror.fails(engine, Command, Behaviour::Trickle, &[Timeout]).await;
            }
            mirror.succeeds().await;
        }
    }
}
