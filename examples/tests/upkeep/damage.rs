//! What is broken is found, told and repaired.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gitsync_core::ErrorKind;
use gitsync_core::model::{ObjectId, RepositoryId};
use gitsync_core::state::{RepositoryStatus, TaskStatus};
use gitsync_core::testing::check_mirror;

use crate::world::World;

/// A mirror whose `main` was overwritten twice, so that two tips are kept.
struct Mirror {
    world: World,
    id: RepositoryId,
    /// The kept tips, in the order in which they were lost.
    lost: Vec<ObjectId>,
}

impl Mirror {
    async fn new(world: World) -> Self {
        world.upstream.history("main", 5);
        let base = world.upstream.git().id("main~2");
        let id = world.create(true).await;
        let mut lost = Vec::new();
        for _ in 0..2 {
            lost.push(world.upstream.tip("main").unwrap());
            world.upstream.branch("main", base);
            world.upstream.history("main", 3);
            assert_eq!(world.sync(id).await.status, TaskStatus::Completed);
        }
        assert_eq!(world.kept().len(), 2);
        Mirror { world, id, lost }
    }

    /// Makes every object a file of its own.
    fn unpack(&self) {
        let packs: Vec<_> = self.world.packs().iter().map(|pack| fs::read(pack).unwrap()).collect();
        fs::remove_dir_all(self.world.published().join("objects/pack")).unwrap();
        for pack in packs {
            self.world.git().feed(&["unpack-objects", "-q"], &pack);
        }
    }

    /// Removes an object that is a file of its own.
    fn lose(&self, revision: &str) -> ObjectId {
        let id = self.world.git().id(revision);
        let text = id.to_string();
        fs::remove_file(self.world.published().join("objects").join(&text[..2]).join(&text[2..])).unwrap();
        id
    }

    /// Verifies, and checks that everybody learns what is broken, and that it stays so whatever is synced.
    async fn assert_broken(&self, what: &[&str]) {
        let world = &self.world;
        let task = world.verify(self.id).await;
        let error = task.error.clone().unwrap_or_else(|| panic!("nothing was found: {task:?}"));
        assert_eq!((task.status, error.kind), (TaskStatus::Failed, ErrorKind::Corrupt), "{error:?}");
        for text in what {
            assert!(error.message.contains(text), "{text} is not in {}", error.message);
        }
        assert!(error.message.len() < 2000 && !error.message.contains(world.published().to_str().unwrap()));
        let repository = world.repository(self.id).await;
        assert_eq!((repository.status, repository.error), (RepositoryStatus::Failed, Some(error)));

        let sync = world.sync(self.id).await;
        assert_eq!(sync.error.map(|error| error.kind), Some(ErrorKind::Corrupt), "a sync does not call it good");
        assert_eq!(world.repository(self.id).await.status, RepositoryStatus::Failed);
        assert!(world.published().exists(), "it is left for inspection");
    }

    /// Clones anew, and checks that all is well again and what is kept.
    async fn repair(&self, kept: &[ObjectId], set_aside: usize) {
        let world = &self.world;
        let task = world.done(world.gitsync().migrate(self.id, None, true).await).await;
        assert_eq!((task.status, task.error), (TaskStatus::Completed, None));
        assert_eq!(world.repository(self.id).await.status, RepositoryStatus::Active);
        world.git().assert_sound();
        check_mirror(&world.gitsync(), self.id, &world.published(), world.upstream.dir()).await;
        let mut kept = kept.to_vec();
        kept.sort();
        assert_eq!(world.kept(), kept);
        assert_eq!(world.set_aside(), set_aside);
        assert_eq!(task.progress.phase.contains("set aside"), set_aside > 0, "{:?}", task.progress);
        assert_eq!(world.verify(self.id).await.error, None);
    }
}

fn worlds() -> [World; 2] {
    [World::on_gix(), World::on_git2()]
}

fn writable(path: &Path) -> &Path {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_blob() {
    for world in worlds() {
        let mirror = Mirror::new(world).await;
        mirror.unpack();
        let blob = mirror.lose("main~1:file");
        mirror.assert_broken(&[&format!("missing blob {blob}"), "refs/heads/main^:file"]).await;
        mirror.repair(&mirror.lost, 0).await;
    }
}

/// Of two kept tips one cannot be read to its end any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_commit_of_a_kept_tip() {
    for world in worlds() {
        let mirror = Mirror::new(world).await;
        mirror.unpack();
        let commit = mirror.lose(&format!("{}~1", mirror.lost[1]));
        mirror.assert_broken(&[&format!("missing commit {commit}"), "refs/gitsync/kept/"]).await;
        mirror.repair(&mirror.lost[..1], 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_empty() {
    let mirror = Mirror::new(World::on_gix()).await;
    mirror.unpack();
    let id = mirror.lose("main~2");
    let text = id.to_string();
    let path = mirror.world.published().join("objects").join(&text[..2]).join(&text[2..]);
    fs::write(path, "").unwrap();
    mirror.assert_broken(&["is empty"]).await;
    mirror.repair(&mirror.lost, 0).await;
}

/// The pack of the last sync is cut short; what was there before can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_pack() {
    for world in worlds() {
        let mirror = Mirror::new(world).await;
        let pack = last_pack(&mirror);
        let length = fs::metadata(&pack).unwrap().len();
        fs::File::options().write(true).open(writable(&pack)).unwrap().set_len(length / 2).unwrap();
        mirror.assert_broken(&["refs/heads/main"]).await;
        mirror.repair(&mirror.lost, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_pack() {
    for world in worlds() {
        let mirror = Mirror::new(world).await;
        fs::remove_file(last_pack(&mirror)).unwrap();
        mirror.assert_broken(&["refs/heads/main"]).await;
        mirror.repair(&mirror.lost, 0).await;
    }
}

/// Nobody can tell what was kept, so all is set aside.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_among_the_references() {
    for world in worlds() {
        let mirror = Mirror::new(world).await;
        let path = mirror.world.published().join("packed-refs");
        fs::File::options().append(true).open(path).unwrap().write_all(b"garbage\n").unwrap();
        mirror.assert_broken(&["packed-refs", "garbage"]).await;
        mirror.repair(&[], 1).await;
    }
}

/// The repository cannot even be opened.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_head() {
    let mirror = Mirror::new(World::on_gix()).await;
    fs::remove_file(mirror.world.published().join("HEAD")).unwrap();
    mirror.assert_broken(&["not a git repository"]).await;
    mirror.repair(&[], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_gone_are_missed_and_cloned_anew() {
    let mirror = Mirror::new(World::on_gix()).await;
    fs::remove_dir_all(mirror.world.published()).unwrap();
    let task = mirror.world.verify(mirror.id).await;
    assert_eq!(task.error.map(|error| error.kind), Some(ErrorKind::Corrupt));
    assert_eq!(mirror.world.repository(mirror.id).await.status, RepositoryStatus::Failed);
    assert_eq!(mirror.world.sync(mirror.id).await.status, TaskStatus::Completed);
    mirror.world.git().assert_sound();
}

/// Upkeep that was not asked to verify leaves what is broken as it is, also where it notices.
#[tokio::test(flavor = "multi_thread")]
async fn upkeep_of_something_broken_deletes_nothing() {
    let mirror = Mirror::new(World::on_gix()).await;
    let pack = last_pack(&mirror);
    let length = fs::metadata(&pack).unwrap().len();
    fs::File::options().write(true).open(writable(&pack)).unwrap().set_len(length / 2).unwrap();
    let before = mirror.world.packs();
    mirror.world.done(mirror.world.gitsync().maintain_repository(mirror.id).await).await;
    for pack in before {
        assert!(pack.exists(), "{}", pack.display());
    }
}

fn last_pack(mirror: &Mirror) -> PathBuf {
    mirror.world.packs().pop().expect("there are packs")
}

/// Upstreams have what git itself would not make any more. It is as whole as upstream has it.
#[tokio::test(flavor = "multi_thread")]
async fn odd_objects_are_no_damage() {
    for world in worlds() {
        let git = world.upstream.git();
        let make = |kind: &str, bytes: &[u8]| {
            let id = git.feed(&["hash-object", "-t", kind, "-w", "--stdin", "--literally"], bytes);
            String::from_utf8(id).unwrap().trim_end().to_owned()
        };
        let blob = make("blob", b"content");
        let entries = format!("100644 blob {blob}\tfile\n160000 commit {}\tmodule\n", "1".repeat(40));
        let tree = String::from_utf8(git.feed(&["mktree", "--missing"], entries.as_bytes())).unwrap();
        let commits: [&[u8]; 6] = [
            b"author A <a> 99999999999999999999 +0000\ncommitter A <a> 99999999999999999999 +0000\n\nm\n",
            b"author A <a> -100 +0000\ncommitter A <a> -100 +0000\n\nm\n",
            b"author A <a> 17179869184 +0000\ncommitter A <a> 17179869184 +0000\n\nm\n",
            b"committer A <a> 1 +0000\n\nno author\n",
            b"author A\ncommitter B\n\nnothing is as it should be\n",
            b"author A <a> 1 +0000\ncommitter A <a> 1 +0000\nencoding latin1\n\n\0m\xff\n",
        ];
        for (number, rest) in commits.iter().enumerate() {
            let commit = make("commit", &[format!("tree {tree}").as_bytes(), rest].concat());
            world.upstream.branch(&format!("b{number}"), commit.parse().unwrap());
        }
        world.upstream.tag("of-a-blob", blob.parse().unwrap());
        let id = world.create(true).await;
        for _ in 0..2 {
            // The second time there is a graph of the commits, which has no room for such dates.
            let task = world.verify(id).await;
            assert_eq!((task.status, task.error), (TaskStatus::Completed, None));
        }
        assert!(world.published().join("objects/info/commit-graphs/commit-graph-chain").exists());
    }
}
