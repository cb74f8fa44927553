//! The same upstream is recorded alike by both engines in all stores, byte for byte.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use gitsync_core::engine::CreateRepository;
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{Commit, CommitObject, ObjectId, PageRequest, RepositoryId};
use gitsync_core::queue::{JobQueue, QueueLimits};
use gitsync_core::source::{Scheme, SourcePolicy};
use gitsync_core::store::{CommitFilter, Store};
use gitsync_core::testing::agreement::situations;
use gitsync_core::testing::{Upstream, check_mirror};
use gitsync_core::{GitBackend, GitSync, SystemClock};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_store_postgres::PostgresStore;
use gitsync_store_sqlite::SqliteStore;
use gitsync_test_postgres::Database;
use gitsync_transport::{NetOptions, NetTransport};

gitsync_test_postgres::keeper!();

/// An upstream with every odd commit that engines are compared by, one upon the other.
fn odd_commits() -> Upstream {
    let upstream = Upstream::new();
    let (_, commits) = situations().into_iter().find(|(theme, _)| *theme == "commits").unwrap();
    commits.iter().for_each(|situation| situation.arise(&upstream));
    upstream
}

/// The commits as git has them, decoded as the documentation says, by id.
fn by_git(upstream: &Upstream) -> Vec<Commit> {
    let git = upstream.git();
    let mut ids: Vec<ObjectId> = git.ids(&["rev-list", "--branches"]);
    ids.sort_unstable();
    let commit = |id: &ObjectId| {
        let raw = git.feed(&["cat-file", "commit", &id.to_string()], b"");
        CommitObject::new(&raw).decode(*id)
    };
    ids.iter().map(commit).collect()
}

/// Mirrors the upstream and returns the commits that are recorded then, by id.
async fn recorded(
    upstream: &Upstream,
    backend: Arc<dyn GitBackend>,
    (store, queue): Books,
    directory: &Path,
) -> Vec<Commit> {
    let policy = SourcePolicy::builder().schemes([Scheme::File]).file_root(upstream.root()).build().unwrap();
    let gitsync = GitSync::builder()
        .store(store)
        .queue(queue)
        .backend(backend)
        .transport(Arc::new(NetTransport::new(policy.clone(), NetOptions::default())))
        .policy(policy)
        .repos_dir(directory)
        .build()
        .unwrap();
    let organisation = gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap().id;
    let source = Some(upstream.file_source());
    let wish = CreateRepository { name: "mirror".into(), source, ..CreateRepository::default() };
    let id = gitsync.create_repository(organisation, wish).await.unwrap().0.id;
    gitsync.worker().run_until_idle().await.unwrap();
    check_mirror(&gitsync, id, &directory.join("org/mirror"), upstream.dir()).await;
    let mut commits = all(&gitsync, id).await;
    commits.sort_by_key(|commit| commit.id);
    commits
}

async fn all(gitsync: &GitSync, id: RepositoryId) -> Vec<Commit> {
    let (mut commits, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest::new(7, after).unwrap();
        let listed = gitsync.list_commits(id, &CommitFilter::default(), &page).await.unwrap();
        commits.extend(listed.items);
        after = listed.next;
        if after.is_none() {
            return commits;
        }
    }
}

/// A store and its queue.
type Books = (Arc<dyn Store>, Arc<dyn JobQueue>);

fn both<D: Store + JobQueue + 'static>(database: D) -> Books {
    let database = Arc::new(database);
    (Arc::clone(&database) as _, database)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_record_odd_commits_alike_in_all_stores() {
    let upstream = odd_commits();
    let expected = by_git(&upstream);
    assert!(expected.len() > 30, "{} commits", expected.len());
    let engines: [Arc<dyn GitBackend>; 2] = [Arc::new(GixBackend::default()), Arc::new(Git2Backend::default())];
    for backend in engines {
        let name = backend.name();
        let place = tempfile::tempdir().unwrap();
        let clock = || Arc::new(SystemClock);
        let limits = QueueLimits::default;
        let memory: Books = (Arc::new(MemoryStore::new(clock())), Arc::new(MemoryQueue::new(clock(), limits())));
        let sqlite = both(SqliteStore::open(place.path().join("db"), clock(), limits()).await.unwrap());
        let database = Database::create().await;
        let postgres = both(PostgresStore::open(database.options(), limits()).await.unwrap());
        for (store, books) in [("memory", memory), ("SQLite", sqlite), ("Postgres", postgres)] {
            let files = tempfile::tempdir().unwrap();
            let found = recorded(&upstream, Arc::clone(&backend), books, files.path()).await;
            assert_eq!(found, expected, "{name} with {store}");
        }
    }
}
