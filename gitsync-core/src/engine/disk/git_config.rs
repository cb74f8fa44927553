//! What a git program that somebody runs in a repository has to know.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::manifest::git_directory;
use super::sync::{replace_file, sync_directory};
use crate::backend::Durability;
use crate::error::Result;
use crate::model::RefName;
use crate::plan::{MirrorKind, RefMapping};
use crate::source::SourceUrl;

/// The file that gitsync owns, beside git's own `config`, which includes it.
const FILE_NAME: &str = "gitsync.config";

/// What is the same in all repositories. What is ours is hidden from clients, and git does no upkeep of its own accord, which
/// would go on beside a task: packs go only under the fence.
const ALWAYS: &str = "# Written by gitsync; changes are lost.\n[transfer]\n\thideRefs = refs/gitsync\n\
    [receive]\n\tautogc = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n";

/// Tells whether the configuration of a repository is what it should be.
pub fn is_configured(repository: &Path, upstream: Option<(&SourceUrl, &RefMapping)>) -> bool {
    fs::read_to_string(git_directory(repository).join(FILE_NAME)).is_ok_and(|found| found == text(upstream))
}

/// Writes the configuration of a repository if it is not what it should be; tells whether it was written.
///
/// References in our namespace are hidden from clients, who can neither fetch nor push them; and a `git fetch --prune` by
/// hand does what a sync does, and leaves them alone. No push and no fetch is followed by upkeep that nobody asked for.
///
/// # Errors
/// Those of the file system.
pub fn write_git_config(
    repository: &Path,
    upstream: Option<(&SourceUrl, &RefMapping)>,
    durability: Durability,
) -> Result<bool> {
    if is_configured(repository, upstream) {
        return Ok(false);
    }
    let directory = git_directory(repository);
    replace_file(&directory, FILE_NAME, text(upstream).as_bytes(), durability)?;
    include(&directory, durability)?;
    if durability == Durability::Engine {
        sync_directory(&directory)?;
    }
    Ok(true)
}

/// Where git keeps where upstream's `HEAD` was.
pub const REMOTE_HEAD: &[u8] = b"refs/remotes/origin/HEAD";

/// Makes a new clone's branch one that follows upstream's of the same name, as `git clone` does, and says that upstream's
/// `HEAD` is there, unless it is `unborn`. From then on it is for the users of the working tree to say, so a sync leaves both
/// alone.
///
/// # Errors
/// Those of the file system.
pub fn track_branch(repository: &Path, branch: &RefName, unborn: bool) -> Result<()> {
    let directory = git_directory(repository);
    let quoted = |name: &[u8]| -> Vec<u8> {
        let escaped = name.iter().flat_map(|byte| if *byte == b'"' { vec![b'\\', b'"'] } else { vec![*byte] });
        [b'"'].into_iter().chain(escaped).chain([b'"']).collect()
    };
    let short = quoted(branch.short());
    let section = [b"[branch ", &short[..], b"]\n\tremote = origin\n\tmerge = ", &quoted(branch.as_bytes()), b"\n"];
    let mut config = fs::File::options().append(true).create(true).open(directory.join("config"))?;
    config.write_all(&section.concat())?;

    if unborn {
        return Ok(());
    }
    let head = directory.join(OsStr::from_bytes(REMOTE_HEAD));
    if let Some(parent) = head.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(head, [b"ref: refs/remotes/origin/", branch.short(), b"\n"].concat())?)
}

/// Makes git's configuration include ours, once.
fn include(directory: &Path, durability: Durability) -> Result<()> {
    let path = directory.join("config");
    let section = format!("[include]\n\tpath = {FILE_NAME}\n");
    if fs::read_to_string(&path).is_ok_and(|config| config.contains(&section)) {
        return Ok(());
    }
    let mut file = fs::File::options().append(true).create(true).open(&path)?;
    file.write_all(section.as_bytes())?;
    sync_file(&file, durability)
}

fn sync_file(file: &fs::File, durability: Durability) -> Result<()> {
    match durability {
        Durability::Engine => Ok(file.sync_all()?),
        Durability::Caller => Ok(()),
    }
}

fn text(upstream: Option<(&SourceUrl, &RefMapping)>) -> String {
    let mut text = String::from(ALWAYS);
    let Some((source, mapping)) = upstream else { return text };
    let refspecs: &[&str] = match mapping.kind {
        MirrorKind::Mirror => &["+refs/*:refs/*"],
        MirrorKind::Bare => &["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"],
        MirrorKind::Regular => &["+refs/heads/*:refs/remotes/origin/*"],
    };
    // A string takes everything, so these cannot fail.
    let _ = write!(text, "[remote \"origin\"]\n\turl = {}\n", quoted(&source.to_string()));
    for refspec in refspecs {
        let _ = writeln!(text, "\tfetch = {refspec}");
    }
    let _ = writeln!(text, "\tfetch = ^refs/gitsync/*");
    for pattern in &mapping.exclude {
        let _ = writeln!(text, "\tfetch = {}", quoted(&format!("^{}", pattern.as_str())));
    }
    if mapping.kind != MirrorKind::Regular {
        text.push_str("\ttagOpt = --no-tags\n");
    }
    text
}

fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::plan::RefPattern;

    fn git(directory: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null").arg("-C").arg(directory);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    #[test]
    fn git_reads_what_was_written_and_it_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet", "--bare", "."]);
        let source = SourceUrl::parse("https://host/a%22;%23b.git").unwrap().url;
        let exclude = vec![RefPattern::new("refs/pull/*").unwrap()];
        let mapping = RefMapping { kind: MirrorKind::Mirror, exclude };
        assert!(write_git_config(dir.path(), Some((&source, &mapping)), Durability::Engine).unwrap());
        assert!(!write_git_config(dir.path(), Some((&source, &mapping)), Durability::Engine).unwrap());
        assert_eq!(git(dir.path(), &["config", "remote.origin.url"]), source.to_string());
        let fetch = git(dir.path(), &["config", "--get-all", "remote.origin.fetch"]);
        assert_eq!(fetch, "+refs/*:refs/*\n^refs/gitsync/*\n^refs/pull/*");
        assert_eq!(git(dir.path(), &["config", "transfer.hideRefs"]), "refs/gitsync");

        let bare = RefMapping { kind: MirrorKind::Bare, exclude: Vec::new() };
        assert!(write_git_config(dir.path(), Some((&source, &bare)), Durability::Engine).unwrap());
        let fetch = git(dir.path(), &["config", "--get-all", "remote.origin.fetch"]);
        assert_eq!(fetch.lines().next(), Some("+refs/heads/*:refs/heads/*"), "the old refspec is gone");
        let regular = RefMapping { kind: MirrorKind::Regular, ..bare };
        assert!(write_git_config(dir.path(), Some((&source, &regular)), Durability::Engine).unwrap());
        let fetch = git(dir.path(), &["config", "--get-all", "remote.origin.fetch"]);
        assert_eq!(fetch, "+refs/heads/*:refs/remotes/origin/*\n^refs/gitsync/*");
        assert!(write_git_config(dir.path(), None, Durability::Engine).unwrap());
        assert_eq!(git(dir.path(), &["config", "--get-all", "include.path"]), FILE_NAME, "it is included once");
    }

    #[test]
    fn no_push_is_followed_by_upkeep_of_gits_own() {
        let packs_after_pushes = |is_ours: bool| {
            let dir = tempfile::tempdir().unwrap();
            let (here, there) = (dir.path().join("here"), dir.path().join("there.git"));
            for (path, kind) in [(&here, None), (&there, Some("--bare"))] {
                fs::create_dir(path).unwrap();
                git(path, &["init", "--quiet", "-b", "main"].into_iter().chain(kind).collect::<Vec<_>>());
            }
            // Each push comes as a pack, and two are too many.
            for (key, value) in [("receive.unpackLimit", "1"), ("gc.autoPackLimit", "1"), ("gc.autoDetach", "false")] {
                git(&there, &["config", key, value]);
            }
            if is_ours {
                write_git_config(&there, None, Durability::Caller).unwrap();
            }
            for message in ["a", "b", "c"] {
                let person = ["-c", "user.name=n", "-c", "user.email=e"];
                let commit = ["commit", "--quiet", "--allow-empty", "-m", message];
                git(&here, &[&person[..], &commit].concat());
                git(&here, &["push", "--quiet", "../there.git", "main"]);
            }
            let files = fs::read_dir(there.join("objects/pack")).unwrap();
            files.filter(|file| file.as_ref().unwrap().path().extension() == Some(OsStr::new("pack"))).count()
        };
        assert!(packs_after_pushes(false) < 3, "git does it where nobody says otherwise");
        assert_eq!(packs_after_pushes(true), 3);
    }

    #[test]
    fn git_knows_what_the_branch_of_a_clone_follows() {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "--quiet", "."]);
        let branch = RefName::branch("odd/\"name\"#;=").unwrap();
        track_branch(dir.path(), &RefName::branch("unborn").unwrap(), true).unwrap();
        assert_eq!(git(dir.path(), &["config", "branch.unborn.merge"]), "refs/heads/unborn");
        assert!(!dir.path().join(".git/refs/remotes").exists());
        track_branch(dir.path(), &branch, false).unwrap();
        assert_eq!(git(dir.path(), &["config", "branch.odd/\"name\"#;=.merge"]), branch.to_string());
        assert_eq!(git(dir.path(), &["config", "branch.odd/\"name\"#;=.remote"]), "origin");
        let head = git(dir.path(), &["symbolic-ref", "refs/remotes/origin/HEAD"]);
        assert_eq!(head, "refs/remotes/origin/odd/\"name\"#;=");
    }
}
