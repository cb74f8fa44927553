//! Repositories with a working tree, by both engines, beside what `git clone` and `git pull --ff-only` make of the same
//! upstream.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gitsync_core::engine::CreateRepository;
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{RepositoryId, SyncTask};
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::state::TaskStatus;
use gitsync_core::testing::backend_suite::regular::{chmod, files, link, write};
use gitsync_core::testing::{Git, ManualClock};
use gitsync_core::{ErrorKind, GitBackend, GitSync};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_transport::{NetOptions, NetTransport};

/// An upstream, a repository that follows it, and a clone by git.
struct Bench {
    dir: tempfile::TempDir,
    gitsync: GitSync,
}

impl Bench {
    fn new(backend: Arc<dyn GitBackend>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let upstream = dir.path().canonicalize().unwrap().join("upstream");
        fs::create_dir(&upstream).unwrap();
        Git::at(&upstream).run(&["init", "--quiet", "--initial-branch=main"]);
        let policy = SourcePolicy::builder().schemes([Scheme::File]).file_root(&upstream).build().unwrap();
        let clock = ManualClock::default();
        let gitsync = GitSync::builder()
            .store(Arc::new(MemoryStore::new(Arc::new(clock.clone()))))
            .queue(Arc::new(MemoryQueue::new(Arc::new(clock.clone()), QueueLimits::default())))
            .backend(backend)
            .transport(Arc::new(NetTransport::new(policy.clone(), NetOptions::default())))
            .policy(policy)
            .clock(Arc::new(clock))
            .repos_dir(dir.path().join("repos"))
            .build()
            .unwrap();
        Bench { dir, gitsync }
    }

    fn upstream(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("upstream")
    }

    fn repository(&self) -> PathBuf {
        self.dir.path().join("repos/org/regular")
    }

    fn clone(&self) -> PathBuf {
        self.dir.path().join("clone")
    }

    fn upstream_git(&self, arguments: &[&str]) -> String {
        Git::at(self.upstream()).run(arguments)
    }

    /// Commits what is in the upstream's directory.
    fn commit(&self) {
        self.upstream_git(&["add", "--all"]);
        self.upstream_git(&["commit", "--quiet", "--allow-empty", "--message=a change"]);
    }

    /// Clones the upstream, by gitsync and by git.
    async fn clone_both(&self) -> RepositoryId {
        let source = SourceUrl::parse(self.upstream().to_str().unwrap()).unwrap().url;
        let organisation = self.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let wish = CreateRepository {
            name: "regular".into(),
            source: Some(source),
            is_bare: Some(false),
            ..CreateRepository::default()
        };
        let (repository, task) = self.gitsync.create_repository(organisation.id, wish).await.unwrap();
        self.gitsync.worker().run_until_idle().await.unwrap();
        let task = self.gitsync.task(task.id).await.unwrap();
        assert_eq!((task.status, task.error), (TaskStatus::Completed, None));
        let (from, to) = (self.upstream(), self.clone());
        Git::at(self.dir.path()).run(&["clone", "--quiet", from.to_str().unwrap(), to.to_str().unwrap()]);
        repository.id
    }

    async fn sync(&self, id: RepositoryId) -> SyncTask {
        let task = self.gitsync.sync(id).await.unwrap();
        self.gitsync.worker().run_until_idle().await.unwrap();
        self.gitsync.task(task.id).await.unwrap()
    }

    /// Brings both in step.
    async fn pull_both(&self, id: RepositoryId) {
        let task = self.sync(id).await;
        assert_eq!((task.status, task.error), (TaskStatus::Completed, None));
        Git::at(self.clone()).run(&["fetch", "--quiet", "--prune", "--tags"]);
        Git::at(self.clone()).run(&["pull", "--quiet", "--ff-only"]);
    }

    /// Compares the two, and the records with git.
    async fn compare(&self, id: RepositoryId, what: &str) {
        let (ours, theirs) = (Git::at(self.repository()), Git::at(self.clone()));
        assert_eq!(ours.head(), theirs.head(), "{what}");
        assert_eq!(references(&ours), references(&theirs), "{what}");
        assert_eq!(files(&self.repository()), files(&self.clone()), "{what}");
        assert_eq!(ours.run(&["status", "--porcelain", "--ignored"]), "", "{what}");
        ours.assert_sound();
        let tracked = ["for-each-ref", "--format=%(refname) %(upstream) %(upstream:track)", "refs/heads"];
        assert_eq!(ours.run(&tracked), theirs.run(&tracked), "{what}");
        let repository = self.gitsync.repository(id).await.unwrap();
        let counted = ours.run(&["rev-list", "--count", "--branches", "--tags"]);
        assert_eq!(repository.total_commits.to_string(), counted, "{what}");
    }
}

/// Makes an upstream what a test wants.
type Setup = fn(&Bench);

/// References with where they lead; `git clone` has no kept ones.
fn references(git: &Git) -> String {
    git.run(&["for-each-ref", "--format=%(refname) %(objectname) %(symref)", "refs/heads", "refs/remotes", "refs/tags"])
}

fn engines() -> [Arc<dyn GitBackend>; 2] {
    [Arc::new(GixBackend::default()), Arc::new(Git2Backend::default())]
}

/// Fills the upstream with files of all kinds, two branches and tags.
fn fill(bench: &Bench) {
    let dir = bench.upstream();
    for (path, content) in
        [("a", "1\n"), ("b/c", "1\n"), ("b/d", "1\n"), ("run", "#!/bin/sh\n"), (".gitignore", "*.o\n")]
    {
        write(&dir, path, content);
    }
    chmod(&dir, "run", true);
    link(&dir, "link", "b/c");
    bench.commit();
    bench.upstream_git(&["branch", "topic"]);
    bench.upstream_git(&["tag", "light"]);
    bench.upstream_git(&["tag", "--annotate", "--message=one", "v1"]);
    bench.upstream_git(&["update-ref", "refs/notes/commits", "HEAD"]);
}

#[tokio::test]
async fn a_repository_is_what_git_clones_and_pulls() {
    for engine in engines() {
        let bench = Bench::new(engine);
        fill(&bench);
        let id = bench.clone_both().await;
        bench.compare(id, "cloned").await;

        let dir = bench.upstream();
        fs::remove_dir_all(dir.join("b")).unwrap();
        fs::remove_file(dir.join("link")).unwrap();
        for (path, content) in [("a", "2\n"), ("b", "a file now\n"), ("link/a", "1\n"), ("new/e", "1\n")] {
            write(&dir, path, content);
        }
        bench.commit();
        bench.upstream_git(&["branch", "--force", "topic", "HEAD~"]);
        bench.upstream_git(&["branch", "new/topic"]);
        bench.upstream_git(&["tag", "v2"]);
        bench.pull_both(id).await;
        bench.compare(id, "everything changed").await;

        bench.upstream_git(&["branch", "--delete", "--force", "topic", "new/topic"]);
        bench.upstream_git(&["branch", "new"]);
        bench.pull_both(id).await;
        bench.compare(id, "branches came and went").await;
    }
}

#[tokio::test]
async fn odd_upstreams_are_cloned_as_git_does() {
    let setups: [(&str, Setup); 5] = [
        ("nothing", |_| {}),
        ("a detached HEAD", |bench| {
            fill(bench);
            bench.commit();
            bench.commit();
            // Where a branch is, git would guess that one.
            bench.upstream_git(&["checkout", "--quiet", "--detach", "HEAD~"]);
        }),
        ("another default branch", |bench| {
            fill(bench);
            bench.upstream_git(&["checkout", "--quiet", "-b", "odd/\"name\"\u{e9}"]);
            bench.commit();
        }),
        ("tags of anything", |bench| {
            fill(bench);
            bench.upstream_git(&["tag", "tree", "HEAD^{tree}"]);
            bench.upstream_git(&["tag", "blob", "HEAD:a"]);
        }),
        ("a commit without files", |bench| bench.commit()),
    ];
    for engine in engines() {
        for (what, setup) in setups {
            let bench = Bench::new(Arc::clone(&engine));
            setup(&bench);
            let id = bench.clone_both().await;
            bench.compare(id, &format!("{what}, by {}", engine.name())).await;
        }
    }
}

#[tokio::test]
async fn what_somebody_does_in_the_tree_stays() {
    for engine in engines() {
        let bench = Bench::new(engine);
        fill(&bench);
        let id = bench.clone_both().await;
        let (dir, git) = (bench.repository(), Git::at(bench.repository()));
        write(&bench.upstream(), "a", "2\n");
        bench.commit();

        write(&dir, "run", "#!/bin/other\n");
        let (before, head) = (files(&dir), git.id("HEAD"));
        let conflict = |task: SyncTask| assert_eq!(task.error.unwrap().kind, ErrorKind::Conflict);
        conflict(bench.sync(id).await);
        assert_eq!((files(&dir), git.id("HEAD"), references_of(&dir)), (before, head, references_of(&bench.clone())));

        git.run(&["commit", "--quiet", "--all", "--message=mine"]);
        let mine = git.id("HEAD");
        conflict(bench.sync(id).await);
        assert_eq!(git.id("HEAD"), mine);

        git.run(&["rebase", "--quiet", "origin/main"]);
        git.run(&["fetch", "--quiet"]);
        git.run(&["rebase", "--quiet", "origin/main"]);
        let rebased = git.id("HEAD");
        assert_eq!(bench.sync(id).await.status, TaskStatus::Completed, "it is ahead");
        assert_eq!(git.id("HEAD"), rebased);
        assert_eq!(fs::read_to_string(dir.join("run")).unwrap(), "#!/bin/other\n");
        let repository = bench.gitsync.repository(id).await.unwrap();
        assert_eq!(repository.last_commit, Some(rebased));
        assert_eq!(repository.total_commits.to_string(), git.run(&["rev-list", "--count", "--branches", "--tags"]));

        // A clone in its place sets it aside with everything that was in it.
        write(&dir, "untracked", "mine\n");
        bench.gitsync.migrate(id, None, true).await.unwrap();
        bench.gitsync.worker().run_until_idle().await.unwrap();
        fs::remove_dir_all(bench.clone()).unwrap();
        let (from, to) = (bench.upstream(), bench.clone());
        Git::at(bench.dir.path()).run(&["clone", "--quiet", from.to_str().unwrap(), to.to_str().unwrap()]);
        bench.compare(id, "cloned anew").await;
        let aside =
            fs::read_dir(bench.dir.path().join("repos/.gitsync/aside")).unwrap().next().unwrap().unwrap().path();
        assert_eq!(fs::read_to_string(aside.join("untracked")).unwrap(), "mine\n");
        assert_eq!(git.run(&["for-each-ref", "--format=%(objectname)", "refs/gitsync/kept"]), rebased.to_string());
    }
}

#[tokio::test]
async fn without_an_upstream_what_is_committed_in_the_tree_is_recorded() {
    for engine in engines() {
        let bench = Bench::new(engine);
        let organisation = bench.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let wish = CreateRepository { name: "regular".into(), is_bare: Some(false), ..CreateRepository::default() };
        let (repository, _) = bench.gitsync.create_repository(organisation.id, wish).await.unwrap();
        bench.gitsync.worker().run_until_idle().await.unwrap();
        let (dir, git) = (bench.repository(), Git::at(bench.repository()));
        write(&dir, "a", "1\n");
        git.run(&["add", "a"]);
        git.run(&["commit", "--quiet", "--message=one"]);
        assert_eq!(bench.sync(repository.id).await.status, TaskStatus::Completed);
        let repository = bench.gitsync.repository(repository.id).await.unwrap();
        assert_eq!((repository.total_commits, repository.last_commit), (1, Some(git.id("HEAD"))));
    }
}

fn references_of(dir: &Path) -> String {
    references(&Git::at(dir))
}
