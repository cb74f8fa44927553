//! What git reads and writes besides the directory it is given.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use gitsync_core::transport::{CallLimits, Service};
use gitsync_core::{Error, ErrorKind, Result};

/// What git reads of the git directory of a repository that it serves.
const PARTS: [&str; 10] = [
    "HEAD",
    "commondir",
    "config",
    "config.worktree",
    "info/grafts",
    "objects",
    "packed-refs",
    "refs",
    "reftable",
    "shallow",
];

/// What git writes when it is pushed to, and does not read.
const WRITTEN: [&str; 1] = ["logs"];

/// How many lists of alternates git follows, one named by the other, after the first.
const MAX_DEPTH: usize = 5;

/// How many files and directories are looked at.
const MAX_ENTRIES: usize = 1_000_000;

/// How large a file may be that names directories.
const MAX_LIST_BYTES: u64 = 1 << 20;

/// How many entries are looked at between two looks at the limits.
const CHECK_EVERY: usize = 1024;

/// Finds out where a path really leads, if that is allowed.
pub(crate) type Place<'a> = dyn Fn(&Path) -> Result<PathBuf> + 'a;

/// Checks that all parts of the repository in `git_dir` that a service uses lie where `place` allows: whoever may write in
/// there can make any of them a link, or name directories elsewhere, and git follows.
///
/// What is changed between this and the moment when git reads is not seen.
///
/// # Errors
/// [`ErrorKind::SourceRefused`] for a part that leads out, [`ErrorKind::LimitExceeded`] for a repository of too many files,
/// and those of the limits.
pub(crate) fn check(git_dir: &Path, service: Service, place: &Place<'_>, limits: &CallLimits) -> Result<()> {
    let mut parts = PARTS.to_vec();
    if service == Service::ReceivePack {
        parts.extend(WRITTEN);
    }
    let mut check = Check { parts, place, limits, walked: HashSet::new(), borrowed: HashSet::new(), entries: 0 };
    check.parts(git_dir)?;
    // Without its newline, and nothing else, as git has it.
    if let Some(text) = read_list(&git_dir.join("commondir"))? {
        let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        let common = check.inside(&git_dir.join(OsStr::from_bytes(&text[..end])), &git_dir.join("commondir"))?;
        check.parts(&common)?;
        check.alternates(&common.join("objects"), 0)?;
    }
    check.alternates(&git_dir.join("objects"), 0)
}

struct Check<'a> {
    parts: Vec<&'static str>,
    place: &'a Place<'a>,
    limits: &'a CallLimits,
    /// Where links led. Each place is looked at once.
    walked: HashSet<PathBuf>,
    /// The object directories that are borrowed from.
    borrowed: HashSet<PathBuf>,
    entries: usize,
}

impl Check<'_> {
    fn parts(&mut self, git_dir: &Path) -> Result<()> {
        for part in self.parts.clone() {
            let part = git_dir.join(part);
            if let Some(place) = self.follow(&part)? {
                self.walk(place)?;
            }
        }
        Ok(())
    }

    /// Follows every link below a directory, and below those that they lead to.
    fn walk(&mut self, start: PathBuf) -> Result<()> {
        let mut stack = vec![start];
        while let Some(path) = stack.pop() {
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                // A file; or git tidied up meanwhile.
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in entries {
                let entry = entry?;
                self.count(&path)?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    stack.push(entry.path());
                } else if kind.is_symlink()
                    && let Some(place) = self.follow(&entry.path())?
                    && self.walked.insert(place.clone())
                {
                    stack.push(place);
                }
            }
        }
        Ok(())
    }

    /// Returns where a path really is, unless there is nothing or git reads only the text of a link.
    fn follow(&self, path: &Path) -> Result<Option<PathBuf>> {
        match path.symlink_metadata() {
            Ok(_) if names_reference(path) => Ok(None),
            Ok(_) => self.if_there(path, path),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Like `inside`, for what git does without if it is not there.
    fn if_there(&self, path: &Path, part: &Path) -> Result<Option<PathBuf>> {
        match self.inside(path, part) {
            Err(error) if error.kind() == ErrorKind::SourceNotFound => Ok(None),
            done => done.map(Some),
        }
    }

    /// Looks at the object directories from which the one in `objects` borrows.
    fn alternates(&mut self, objects: &Path, depth: usize) -> Result<()> {
        let list = objects.join("info/alternates");
        let Some(text) = read_list(&list)? else { return Ok(()) };
        if depth > MAX_DEPTH {
            return Err(refused("object directories borrow from each other in too long a chain", &list)
                .hint("let the repository borrow from a nearer one, or from none: git repack -a -d makes it whole"));
        }
        let base = self.inside(objects, objects)?;
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
            self.count(&list)?;
            if line.starts_with(b"\"") {
                return Err(refused("a quoted path of an object directory is not understood", &list)
                    .hint("write the path into the file as it is"));
            }
            let store = normal(&base.join(OsStr::from_bytes(line)));
            if let Some(store) = self.if_there(&store, &list)?
                && self.borrowed.insert(store.clone())
            {
                self.walk(store.clone())?;
                self.alternates(&store, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Returns where a path ends that `part` of the repository is or names.
    fn inside(&self, path: &Path, part: &Path) -> Result<PathBuf> {
        (self.place)(path).map_err(|error| match error.kind() {
            // Where it leads is nobody's business.
            ErrorKind::SourceRefused => refused("a part of the repository leads out of the allowed directories", part)
                .hint(
                    "add where it leads to file_roots (or push_roots), or use a copy that needs nothing from elsewhere",
                ),
            _ => error,
        })
    }

    fn count(&mut self, path: &Path) -> Result<()> {
        if self.entries.is_multiple_of(CHECK_EVERY) {
            self.limits.check()?;
        }
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(Error::new(ErrorKind::LimitExceeded, "the repository has more files than can be checked")
                .with("limit", MAX_ENTRIES)
                .with("path", path.display())
                .hint("git gc in the repository puts its objects and references into fewer files"));
        }
        Ok(())
    }
}

fn refused(what: &str, part: &Path) -> Error {
    Error::new(ErrorKind::SourceRefused, what).with("part", part.display())
}

/// Tells whether a link is one of the old kind that is read and not followed: a symbolic reference.
fn names_reference(link: &Path) -> bool {
    let target = fs::read_link(link).unwrap_or_default();
    target.starts_with("refs") && target.components().all(|part| matches!(part, Component::Normal(_)))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Resolves `..` as git does, by the text: a link before it does not matter.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}

/// Reads a file that names directories, if it is there. A link to it has been looked at.
fn read_list(path: &Path) -> Result<Option<Vec<u8>>> {
    let Some(metadata) = path.metadata().ok() else { return Ok(None) };
    if !metadata.is_file() || metadata.len() > MAX_LIST_BYTES {
        return Err(refused("a file of the repository that names directories is none or too large", path)
            .hint("look at the file: git writes a line or two into it"));
    }
    Ok(Some(fs::read(path)?))
}
