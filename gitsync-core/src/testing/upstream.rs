//! An upstream repository whose history a test decides.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::git::Git;
use crate::model::{ObjectFormat, ObjectId};
use crate::source::SourceUrl;

/// The date of the first commit; each later one is a minute younger.
const FIRST_DATE: u64 = 1_700_000_000;

/// A bare repository in a temporary directory, made by git. The same calls make the same ids.
///
/// Names of branches and tags are short; functions panic where git fails.
#[derive(Debug)]
pub struct Upstream {
    root: TempDir,
    dir: PathBuf,
    made: AtomicU64,
}

impl Default for Upstream {
    fn default() -> Self {
        Upstream::new()
    }
}

impl Upstream {
    /// Makes an empty repository with the usual hash function; `HEAD` is `refs/heads/main`, unborn.
    pub fn new() -> Self {
        Upstream::with_format(ObjectFormat::Sha1)
    }

    /// Makes an empty repository with a hash function.
    ///
    /// # Panics
    /// If the directory cannot be made.
    pub fn with_format(format: ObjectFormat) -> Self {
        let root = tempfile::tempdir().expect("a directory can be made");
        // Where paths are compared, a link on the way would be in the way.
        let dir = root.path().canonicalize().expect("the directory is there").join("upstream.git");
        let format = format!("--object-format={}", format.as_str());
        let dir_text = dir.to_str().expect("the path is text");
        Git::at(root.path()).run(&["init", "--quiet", "--bare", "--initial-branch=main", &format, dir_text]);
        Upstream { root, dir, made: AtomicU64::new(0) }
    }

    /// Returns the repository.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the directory that holds the repository, as `upstream.git`.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns its address as a `file` source.
    ///
    /// # Panics
    /// If its path cannot be one.
    pub fn file_source(&self) -> SourceUrl {
        let path = self.dir.to_str().expect("the path is text");
        SourceUrl::parse(path).expect("a path is a source").url
    }

    /// Returns git in the repository.
    pub fn git(&self) -> Git {
        Git::at(&self.dir)
    }

    /// Makes a commit with these parents, and no reference to it.
    pub fn commit_on(&self, parents: &[ObjectId]) -> ObjectId {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let git = self.git().dated(FIRST_DATE + number * 60);
        let text = |bytes| String::from_utf8(bytes).expect("git prints an id").trim_end().to_owned();
        let blob = text(git.feed(&["hash-object", "-w", "--stdin"], format!("content {number}\n").as_bytes()));
        let tree = text(git.feed(&["mktree"], format!("100644 blob {blob}\tfile\n").as_bytes()));
        let mut arguments = vec!["commit-tree".to_owned(), tree, "-m".to_owned(), format!("commit {number}")];
        arguments.extend(parents.iter().flat_map(|parent| ["-p".to_owned(), parent.to_string()]));
        git.ids(&arguments)[0]
    }

    /// Makes a commit on top of a branch, or its first.
    pub fn commit(&self, branch: &str) -> ObjectId {
        let tip = self.tip(branch);
        let id = self.commit_on(tip.as_slice());
        self.branch(branch, id);
        id
    }

    /// Makes many commits on top of each other and of a branch, in one go.
    pub fn history(&self, branch: &str, count: u64) -> ObjectId {
        let mut stream = String::new();
        let tip = self.tip(branch);
        for at in 0..count {
            let number = self.made.fetch_add(1, Ordering::Relaxed);
            let (date, message) = (FIRST_DATE + number * 60, format!("commit {number}"));
            let person = format!("Ada <ada@example.com> {date} +0000");
            let size = message.len();
            let from = tip.filter(|_| at == 0).map_or_else(String::new, |tip| format!("from {tip}\n"));
            let content = format!("content {number}\n");
            write!(
                stream,
                "commit refs/heads/{branch}\nauthor {person}\ncommitter {person}\ndata {size}\n{message}\n{from}\
                 M 100644 inline file\ndata {}\n{content}\n",
                content.len()
            )
            .expect("a string takes everything");
        }
        self.git().feed(&["fast-import", "--quiet", "--force"], stream.as_bytes());
        self.tip(branch).expect("the branch was made")
    }

    /// Makes a commit on top of a branch, with a file of this size that no compression makes smaller.
    pub fn noise(&self, branch: &str, bytes: usize) -> ObjectId {
        let mut noise = vec![0; bytes];
        fastrand::Rng::with_seed(bytes as u64).fill(&mut noise);
        let text = |bytes| String::from_utf8(bytes).expect("git prints an id").trim_end().to_owned();
        let blob = text(self.git().feed(&["hash-object", "-w", "--stdin"], &noise));
        let tree = text(self.git().feed(&["mktree"], format!("100644 blob {blob}\tfile\n").as_bytes()));
        let tip = self.tip(branch);
        let parent = tip.map(|tip| ["-p".to_owned(), tip.to_string()]).into_iter().flatten();
        let mut arguments = vec!["commit-tree".to_owned(), tree, "-m".to_owned(), "noise".to_owned()];
        arguments.extend(parent);
        let id = self.git().ids(&arguments)[0];
        self.branch(branch, id);
        id
    }

    /// Makes a commit on a branch that also has another branch as a parent.
    ///
    /// # Panics
    /// If one of them is not there.
    pub fn merge(&self, branch: &str, other: &str) -> ObjectId {
        let tip = |branch| self.tip(branch).expect("the branch is there");
        let id = self.commit_on(&[tip(branch), tip(other)]);
        self.branch(branch, id);
        id
    }

    /// Creates or moves a branch, whatever it was.
    pub fn branch(&self, branch: &str, id: ObjectId) {
        self.reference(&format!("refs/heads/{branch}"), id);
    }

    /// Creates or moves a lightweight tag.
    pub fn tag(&self, tag: &str, id: ObjectId) {
        self.reference(&format!("refs/tags/{tag}"), id);
    }

    /// Creates or moves an annotated tag of any object, and returns the id of the tag object.
    pub fn annotated_tag(&self, tag: &str, id: ObjectId) -> ObjectId {
        self.git().run(&["tag", "--annotate", "--force", "-m", "a tag", tag, &id.to_string()]);
        self.git().id(&format!("refs/tags/{tag}"))
    }

    /// Creates or moves a reference, whatever it was.
    pub fn reference(&self, name: &str, id: ObjectId) {
        self.git().run(&["update-ref", name, &id.to_string()]);
    }

    /// Creates many references in one go.
    pub fn references<'a>(&self, refs: impl IntoIterator<Item = (&'a [u8], ObjectId)>) {
        let mut commands = Vec::new();
        for (name, id) in refs {
            commands.extend_from_slice(b"update ");
            commands.extend_from_slice(name);
            commands.extend_from_slice(format!(" {id}\n").as_bytes());
        }
        self.git().feed(&["update-ref", "--stdin"], &commands);
    }

    /// Deletes a reference by its full name.
    pub fn delete(&self, name: &str) {
        self.git().run(&["update-ref", "-d", name]);
    }

    /// Points `HEAD` to a branch, which need not be there.
    pub fn set_head(&self, branch: &str) {
        self.git().run(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
    }

    /// Points `HEAD` to a commit.
    pub fn detach_head(&self, id: ObjectId) {
        self.git().run(&["update-ref", "--no-deref", "HEAD", &id.to_string()]);
    }

    /// Returns the tip of a branch, if that is there.
    pub fn tip(&self, branch: &str) -> Option<ObjectId> {
        self.git().ids(&["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{branch}")]).first().copied()
    }
}
