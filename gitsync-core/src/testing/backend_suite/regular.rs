//! A repository with a working tree, and commits made by git to check out in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Alone, Subject};
use crate::backend::{Checkout, Durability, InitOptions, RefEdit, RefTransaction};
use crate::error::{ErrorKind, Result};
use crate::model::{ObjectFormat, ObjectId, RefName};
use crate::testing::Git;

/// What is at a path of a tree: the bits of the mode that git knows, and the content or where a link leads.
pub type Files = BTreeMap<Vec<u8>, (u32, Vec<u8>)>;

/// A repository that checks out what another one commits.
#[derive(Debug)]
pub struct Regular {
    subject: Subject,
    root: TempDir,
}

impl Regular {
    /// Makes both, empty, on `main`; `None` if the engine has no working trees, and says so.
    pub async fn new(subject: Subject) -> Option<Self> {
        Regular::with_format(subject, ObjectFormat::Sha1).await
    }

    /// Makes both with a hash function.
    ///
    /// # Panics
    /// If they cannot be made, as all functions here.
    pub async fn with_format(subject: Subject, format: ObjectFormat) -> Option<Self> {
        let regular = Regular { subject, root: tempfile::tempdir().expect("a directory can be made") };
        let format_option = format!("--object-format={}", format.as_str());
        let path = regular.upstream();
        Git::at(regular.root.path()).run(&[
            OsStr::new("init"),
            OsStr::new("--quiet"),
            OsStr::new("--initial-branch=main"),
            OsStr::new(&format_option),
            path.as_os_str(),
        ]);
        let head = RefName::new("refs/heads/main").expect("a name");
        let options = InitOptions { bare: false, format, head, durability: Durability::Engine };
        let backend = &regular.subject.backend;
        backend.init(&regular.dir(), &options).await.expect("a repository can be made");
        if backend.capabilities().worktree {
            return Some(regular);
        }
        let commit = regular.commit(&[("a", "1")]);
        let error = regular.check_out(None, commit).await.expect_err("it says that it cannot");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        None
    }

    /// Returns the directory of the repository.
    pub fn dir(&self) -> PathBuf {
        self.root.path().join("regular")
    }

    /// Returns git in the repository.
    pub fn git(&self) -> Git {
        Git::at(self.dir())
    }

    /// Returns the directory in which commits are made.
    pub fn upstream(&self) -> PathBuf {
        self.root.path().join("upstream")
    }

    /// Returns the directory of both.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Writes files into the upstream and commits everything that is there.
    pub fn commit(&self, files: &[(&str, &str)]) -> ObjectId {
        for (path, content) in files {
            write(&self.upstream(), path, content);
        }
        self.commit_all()
    }

    /// Commits everything that is in the upstream's directory.
    pub fn commit_all(&self) -> ObjectId {
        let git = Git::at(self.upstream());
        git.run(&["add", "--all", "--force"]);
        git.run(&["commit", "--quiet", "--allow-empty", "--message=a change"]);
        self.bring(git.id("HEAD"))
    }

    /// Makes a commit of a tree that git would not make, given as what is in the tree object.
    pub fn commit_tree(&self, tree: &[u8]) -> ObjectId {
        let git = Git::at(self.upstream());
        let tree = self.tree(tree);
        let id = git.ids(&["commit-tree", &tree.to_string(), "-m", "a strange tree"])[0];
        let commit = git.feed(&["cat-file", "commit", &id.to_string()], b"");
        self.object("commit", &commit)
    }

    /// Writes a tree into both.
    pub fn tree(&self, content: &[u8]) -> ObjectId {
        self.object("tree", content)
    }

    /// Writes a blob into both.
    pub fn blob(&self, content: &str) -> ObjectId {
        self.object("blob", content.as_bytes())
    }

    fn object(&self, kind: &str, content: &[u8]) -> ObjectId {
        let write = |git: Git| git.feed(&["hash-object", "-t", kind, "-w", "--stdin", "--literally"], content);
        write(self.git());
        let id = String::from_utf8(write(Git::at(self.upstream()))).expect("git prints an id");
        id.trim_end().parse().expect("an id")
    }

    /// Brings the objects of a commit into the repository, and no reference.
    fn bring(&self, id: ObjectId) -> ObjectId {
        let objects = Git::at(self.upstream())
            .feed(&["pack-objects", "--quiet", "--revs", "--stdout"], format!("{id}\n").as_bytes());
        self.git().feed(&["unpack-objects", "-q"], &objects);
        id
    }

    /// Checks a commit out and moves `main` to it.
    pub async fn check_out(&self, from: Option<ObjectId>, to: ObjectId) -> Result<()> {
        self.check_out_expecting(from, from, to).await
    }

    /// Checks a commit out and moves `main`, which is expected at `old`, to it.
    pub async fn check_out_expecting(&self, from: Option<ObjectId>, old: Option<ObjectId>, to: ObjectId) -> Result<()> {
        let name = RefName::new("refs/heads/main").expect("a name");
        let change = RefTransaction { edits: vec![RefEdit { name, old, new: Some(to) }], ..RefTransaction::default() };
        let checkout = Checkout { from, to, change };
        self.subject.backend.check_out(&self.dir(), checkout, Box::new(Alone), &self.subject.context()).await
    }

    /// Takes back what a crash left.
    pub async fn recover(&self) -> Result<()> {
        self.subject.backend.recover_checkout(&self.dir(), Box::new(Alone), &self.subject.context()).await
    }

    /// Checks that the tree is what git has of a commit, that git finds nothing changed, and that nothing is left over.
    pub fn assert_is(&self, commit: ObjectId) {
        let git = self.git();
        assert_eq!(git.id("HEAD"), commit);
        assert_eq!(git.run(&["status", "--porcelain", "--ignored"]), "");
        // Also when it does not trust what the index remembers.
        git.run(&["update-index", "--really-refresh"]);
        git.run(&["diff-index", "--exit-code", "HEAD"]);
        let clone = self.root.path().join("clone");
        let source = self.upstream();
        Git::at(self.root.path()).run(&[
            OsStr::new("clone"),
            OsStr::new("--quiet"),
            OsStr::new("--no-checkout"),
            source.as_os_str(),
            clone.as_os_str(),
        ]);
        Git::at(&clone).run(&["checkout", "--quiet", "--detach", &commit.to_string()]);
        assert_eq!(files(&self.dir()), files(&clone), "the files are those of git clone");
        fs::remove_dir_all(clone).expect("it is there");
        for left in ["index.lock", "gitsync-checkout"] {
            assert!(!self.dir().join(".git").join(left).exists(), "{left} is left over");
        }
    }
}

/// Writes a file, and the directories that lead to it.
pub fn write(dir: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = dir.join(path);
    fs::create_dir_all(path.parent().expect("it has one")).expect("made");
    fs::write(path, content).expect("written");
}

/// Makes a file executable, or not.
pub fn chmod(dir: &Path, path: &str, executable: bool) {
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(dir.join(path), fs::Permissions::from_mode(mode)).expect("set");
}

/// Makes a symbolic link.
pub fn link(dir: &Path, path: &str, target: impl AsRef<[u8]>) {
    symlink(OsStr::from_bytes(target.as_ref()), dir.join(path)).expect("made");
}

/// Reads all that is in a working tree: files, links and empty directories.
pub fn files(dir: &Path) -> Files {
    let mut found = Files::new();
    collect(dir, b"", &mut found);
    found
}

fn collect(dir: &Path, prefix: &[u8], found: &mut Files) {
    let mut is_empty = true;
    for entry in fs::read_dir(dir).expect("it can be read") {
        is_empty = false;
        let entry = entry.expect("it can be read");
        let path = [prefix, entry.file_name().as_bytes()].concat();
        let (kind, mode) = (entry.file_type().expect("it has one"), entry.metadata().expect("it has some"));
        if path == b".git" {
            continue;
        } else if kind.is_dir() {
            collect(&entry.path(), &[&path[..], b"/"].concat(), found);
        } else if kind.is_symlink() {
            let target = fs::read_link(entry.path()).expect("it can be read");
            found.insert(path, (0o120_000, target.into_os_string().into_vec()));
        } else {
            let mode = 0o100_000 | (mode.permissions().mode() & 0o111);
            found.insert(path, (mode, fs::read(entry.path()).expect("it can be read")));
        }
    }
    if is_empty {
        found.insert(prefix.to_owned(), (0o040_000, Vec::new()));
    }
}
