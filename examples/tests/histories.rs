//! Random histories, synced and broken off at random: after each completed sync everything equals what git says.
//!
//! `GITSYNC_SEEDS=300 cargo nextest run -p gitsync-examples --test histories` runs the long form; `GITSYNC_FIRST_SEED` begins
//! elsewhere. A failure names its seed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gitsync_core::engine::{CreateRepository, NoSteps, StepHook};
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{Depth, ObjectId, RepositoryId, TaskId};
use gitsync_core::queue::{JobQueue, QueueLimits};
use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::state::TaskStatus;
use gitsync_core::store::Store;
use gitsync_core::testing::{DieAt, Git, ManualClock, RandomUpstream, Upstream, check_depth, check_mirror};
use gitsync_core::{GitBackend, GitSync};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_store_sqlite::SqliteStore;
use gitsync_transport::{NetOptions, NetTransport};

/// Longer than a lease and than every pause between attempts.
const LONG_ENOUGH: Duration = Duration::from_secs(600);

struct Bench {
    dir: tempfile::TempDir,
    clock: ManualClock,
    store: Arc<dyn Store>,
    queue: Arc<dyn JobQueue>,
    policy: SourcePolicy,
    /// Where the mirror is pushed to.
    target: Upstream,
    /// How many engines were made: gix and libgit2 take turns at the same repository.
    made: AtomicUsize,
}

impl Bench {
    fn in_memory(upstream: &RandomUpstream) -> Self {
        let clock = ManualClock::default();
        let store = Arc::new(MemoryStore::new(Arc::new(clock.clone())));
        let queue = Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default()));
        Bench::new(upstream, directory(), clock, store, queue)
    }

    async fn on_sqlite(upstream: &RandomUpstream) -> Self {
        let (clock, dir) = (ManualClock::default(), directory());
        let path = dir.path().join("gitsync.db");
        let database = SqliteStore::open(path, Arc::new(clock.clone()), QueueLimits::default()).await.unwrap();
        let database = Arc::new(database);
        Bench::new(upstream, dir, clock, Arc::clone(&database) as _, database)
    }

    fn new(
        upstream: &RandomUpstream,
        dir: tempfile::TempDir,
        clock: ManualClock,
        store: Arc<dyn Store>,
        queue: Arc<dyn JobQueue>,
    ) -> Self {
        let root = upstream.upstream().root();
        let target = Upstream::new();
        // What HEAD leads to may go upstream, and no push moves the HEAD of the target.
        target.git().run(&["config", "receive.denyDeleteCurrent", "ignore"]);
        let policy = SourcePolicy::builder().schemes([Scheme::File]).file_root(root).push_root(target.root());
        let policy = policy.build().unwrap();
        Bench { dir, clock, store, queue, policy, target, made: AtomicUsize::new(0) }
    }

    fn engine(&self, steps: Arc<dyn StepHook>) -> GitSync {
        let backend: Arc<dyn GitBackend> = match self.made.fetch_add(1, Ordering::Relaxed) % 2 {
            0 => Arc::new(GixBackend::default()),
            _ => Arc::new(Git2Backend::default()),
        };
        GitSync::builder()
            .store(Arc::clone(&self.store))
            .queue(Arc::clone(&self.queue))
            .backend(backend)
            .transport(Arc::new(NetTransport::new(self.policy.clone(), NetOptions::default())))
            .policy(self.policy.clone())
            .clock(Arc::new(self.clock.clone()))
            .steps(steps)
            .repos_dir(self.dir.path())
            .build()
            .expect("nothing is missing")
    }

    fn mirror(&self) -> PathBuf {
        self.dir.path().join("org/mirror")
    }

    async fn create(&self, source: SourceUrl, depth: Option<Depth>) -> RepositoryId {
        let gitsync = self.engine(Arc::new(NoSteps));
        let organisation = gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let source = Some(source);
        let wish = CreateRepository { name: "mirror".into(), source, depth, ..CreateRepository::default() };
        let id = gitsync.create_repository(organisation.id, wish).await.unwrap().0.id;
        if depth.is_none() {
            gitsync.add_push_target(id, &self.target.file_source()).await.unwrap();
        }
        id
    }

    /// Works until everything is done; the first process dies at a step, if one is given.
    async fn work(&self, dies_at: Option<usize>) {
        if let Some(step) = dies_at {
            let hook = DieAt::new(step);
            let worker = self.engine(Arc::clone(&hook) as _).worker();
            tokio::select! {
                done = worker.run_until_idle() => { done.unwrap(); }
                () = hook.died() => {}
            }
            self.clock.advance(LONG_ENOUGH);
        }
        self.engine(Arc::new(NoSteps)).worker().run_until_idle().await.unwrap();
    }
}

/// Seeds of shallow mirrors whose second process took the boundary of the first for a loss (11, 59), whose clone carried a
/// boundary over without its commits (71), or whose branch moved past the boundary (171).
const ONCE_WRONG: [u64; 4] = [11, 59, 71, 171];

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The seeds to run, and the one that was asked for alone.
fn seeds() -> Range<u64> {
    let env = |name, default| std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"));
    let first = env("GITSYNC_FIRST_SEED", 1);
    first..first + env("GITSYNC_SEEDS", 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_upstream_the_books_on_sqlite_are_what_git_says() {
    for seed in seeds() {
        println!("seed {seed}");
        let mut upstream = RandomUpstream::new(seed);
        let bench = Bench::on_sqlite(&upstream).await;
        run(&mut upstream, &bench, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_upstream_the_books_in_memory_are_what_git_says() {
    // Other seeds than those above, so that together they are more.
    for seed in seeds().map(|seed| seed + 1_000_000) {
        println!("seed {seed}");
        let mut upstream = RandomUpstream::new(seed);
        let bench = Bench::in_memory(&upstream);
        run(&mut upstream, &bench, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_upstream_a_shallow_mirror_is_what_git_clones() {
    // Fewer, since each round takes a clone by git.
    for seed in seeds().step_by(2).chain(ONCE_WRONG).map(|seed| seed + 2_000_000) {
        println!("seed {seed}");
        let mut upstream = RandomUpstream::new(seed);
        let bench = Bench::in_memory(&upstream);
        let depth = Depth::new(upstream.rng().i64(1..5)).unwrap();
        run(&mut upstream, &bench, Some(depth)).await;
    }
}

async fn run(upstream: &mut RandomUpstream, bench: &Bench, depth: Option<Depth>) {
    let changes = upstream.rng().usize(0..20);
    upstream.change(changes);
    let id = bench.create(upstream.upstream().file_source(), depth).await;
    let gitsync = bench.engine(Arc::new(NoSteps));
    let mut tips = BTreeSet::new();
    for round in 0..6 {
        let dies_at = upstream.rng().bool().then(|| upstream.rng().usize(0..14));
        let task = if round == 0 { None } else { Some(request(&gitsync, id, upstream).await) };
        bench.work(dies_at).await;
        if let Some(task) = task {
            let ended = gitsync.task(task).await.unwrap();
            assert_eq!(ended.status, TaskStatus::Completed, "round {round}: {:?}", ended.error);
        }
        check_mirror(&gitsync, id, &bench.mirror(), upstream.upstream().dir()).await;
        match depth {
            // What is fast-forwarded goes beyond the boundary in the end.
            Some(_) => check_depth(&bench.mirror(), upstream.upstream().dir(), depth),
            None => {
                check_tips(bench, &mut tips);
                assert_eq!(bench.target.git().refs(), upstream.upstream().git().refs(), "the target");
            }
        }
        let changes = upstream.rng().usize(0..12);
        upstream.change(changes);
    }
    Git::at(bench.mirror()).assert_sound();
    bench.target.git().assert_sound();
}

/// Asks for a sync, or now and then for a clone in place of what is there.
async fn request(gitsync: &GitSync, id: RepositoryId, upstream: &mut RandomUpstream) -> TaskId {
    if upstream.rng().u8(0..6) == 0 {
        return gitsync.migrate(id, None, true).await.unwrap().id;
    }
    gitsync.sync_accepting_shrink(id).await.unwrap().id
}

/// Checks that every tip a branch or tag ever had still has a name.
fn check_tips(bench: &Bench, tips: &mut BTreeSet<ObjectId>) {
    let git = Git::at(bench.mirror());
    let refs = git.refs();
    let history = refs.iter().filter(|(name, _)| name.starts_with(b"refs/heads/") || name.starts_with(b"refs/tags/"));
    tips.extend(history.map(|(_, id)| *id));
    let named = git.run(&["rev-list", "--objects", "--all"]);
    let named: BTreeSet<&str> = named.lines().filter_map(|line| line.split(' ').next()).collect();
    for tip in tips.iter() {
        assert!(named.contains(tip.to_string().as_str()), "the tip {tip} has no name any more");
    }
}
