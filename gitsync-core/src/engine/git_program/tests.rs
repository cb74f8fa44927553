use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::*;
use crate::cancel::Cancellation;
use crate::engine::disk::Storage;
use crate::model::RepositoryId;

/// A program that is a script, in a directory of its own.
struct Script {
    dir: TempDir,
    git: GitProgram,
}

impl Script {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("git");
        fs::write(&path, format!("#!/bin/sh\ncd {}\n{text}\n", dir.path().display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Script { git: GitProgram::new(path, 2), dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn run(&self, limits: &CallLimits) -> Result<Ended> {
        self.git.run(self.call(), limits).await
    }

    fn call(&self) -> GitCall {
        GitCall::new(&self.path("repository"), &["command"])
    }
}

fn limits() -> CallLimits {
    within(Duration::from_secs(60))
}

fn within(time: Duration) -> CallLimits {
    CallLimits { cancellation: Cancellation::new(), deadline: Instant::now() + time, max_response_bytes: 0 }
}

async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not after 10 s: {what}");
}

#[tokio::test]
async fn a_program_is_told_nothing_but_what_it_is_to_do() {
    let script = Script::new("echo \"$@\"; env | cut -d= -f1 | sort; cat");
    let ended = script.run(&limits()).await.unwrap();
    let mut lines = ended.output.lines();
    let repository = script.path("repository");
    let expected = format!(
        "--no-replace-objects -c core.hooksPath=/dev/null -c core.fsync=all --git-dir {} command",
        repository.display()
    );
    assert_eq!(lines.next(), Some(expected.as_str()));
    let known = [
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_GRAFT_FILE",
        "GIT_NO_LAZY_FETCH",
        "GIT_TERMINAL_PROMPT",
        "LC_ALL",
        "PATH",
    ];
    // Some shells set some themselves.
    let told: Vec<_> = lines.filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name)).collect();
    assert_eq!(told, known);
}

#[tokio::test]
async fn objects_of_another_repository_are_seen_wherever_it_is() {
    let script = Script::new("printf %s \"$GIT_ALTERNATE_OBJECT_DIRECTORIES\"");
    let call = script.call().seeing_objects_of(Path::new("/a:b/\"c\"\\"));
    let ended = script.git.run(call, &limits()).await.unwrap();
    assert_eq!(ended.output, r#""/a:b/\"c\"\\/objects""#);
}

#[tokio::test]
async fn a_program_reads_what_it_is_given_or_does_not() {
    let text = vec![b'x'; 1 << 20];
    let reads = Script::new("wc -c");
    let ended = reads.git.run(reads.call().reading(text.clone()), &limits()).await.unwrap();
    assert_eq!(ended.output.trim(), "1048576");
    let ends = Script::new("echo done");
    assert_eq!(ends.git.run(ends.call().reading(text), &limits()).await.unwrap().output, "done\n");
}

#[tokio::test]
async fn little_of_what_a_program_says_is_kept() {
    let script = Script::new("head -c 1000000 /dev/zero | tr '\\0' 'o'; head -c 1000000 /dev/zero >&2; exit 3");
    let ended = script.run(&limits()).await.unwrap();
    assert_eq!((ended.code, ended.output.len(), ended.complaint.len()), (3, 64 * 1024, 64 * 1024));
    assert!(ended.complaint.chars().all(|c| c == ' '), "nothing that a terminal would obey");
}

#[tokio::test]
async fn a_program_that_is_to_end_is_killed_with_all_that_it_started() {
    let endless = "trap '' TERM; sleep 1000 & echo $! > child; echo $$ > own; wait; wait; sleep 1000";
    for is_cancelled in [true, false] {
        let script = Script::new(endless);
        let limits = if is_cancelled { limits() } else { within(Duration::from_millis(500)) };
        let call = script.run(&limits);
        let cancel = async {
            eventually("it has started", || fs::read_to_string(script.path("own")).is_ok_and(|id| !id.is_empty()))
                .await;
            if is_cancelled {
                limits.cancellation.cancel();
            }
        };
        let (ended, ()) = tokio::join!(call, cancel);
        let expected = if is_cancelled { ErrorKind::Cancelled } else { ErrorKind::Timeout };
        assert_eq!(ended.unwrap_err().kind(), expected);
        for name in ["own", "child"] {
            let id = fs::read_to_string(script.path(name)).unwrap();
            // What is left of a child that nobody has reaped yet runs no more.
            let status = || fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
            eventually(name, || status().is_empty() || status().contains(") Z ")).await;
        }
    }
}

#[tokio::test]
async fn a_program_that_is_told_to_end_may_tidy_up() {
    let script = Script::new("trap 'rm tmp_pack; exit 1' TERM; touch tmp_pack; while :; do sleep 0.01; done");
    let limits = limits();
    let cancel = async {
        eventually("it has started", || script.path("tmp_pack").exists()).await;
        limits.cancellation.cancel();
    };
    let (ended, ()) = tokio::join!(script.run(&limits), cancel);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(!script.path("tmp_pack").exists());
}

#[tokio::test]
async fn the_lock_lasts_as_long_as_the_program() {
    let script = Script::new("mkfifo go; echo > started; read answer < go");
    let storage = Storage::open("default".parse().unwrap(), script.path("storage")).unwrap();
    let fence = storage.fence(RepositoryId(1));
    fence.raise(1).unwrap();
    let call = script.call().holding(fence.hold(1).unwrap());
    let limits = limits();
    let meanwhile = async {
        eventually("it has started", || script.path("started").exists()).await;
        assert!(fence.hold_for_upkeep().unwrap().is_none(), "the program has the lock");
        fs::write(script.path("go"), "go\n").unwrap();
    };
    let (ended, ()) = tokio::join!(script.git.run(call, &limits), meanwhile);
    assert_eq!(ended.unwrap().code, 0);
    assert!(fence.hold_for_upkeep().unwrap().is_some());
}

/// As when the process of the worker is killed, which takes nothing along.
#[test]
fn the_lock_lasts_as_long_as_a_program_that_nobody_waits_for() {
    let script = Script::new("mkfifo go; echo > started; read answer < go");
    let storage = Storage::open("default".parse().unwrap(), script.path("storage")).unwrap();
    let fence = storage.fence(RepositoryId(1));
    fence.raise(1).unwrap();
    let mut command = Command::new(script.path("git"));
    let mut orphan = command.stdin(fence.hold(1).unwrap().into_lock()).spawn().unwrap();
    drop(command);
    while !script.path("started").exists() {
        std::thread::yield_now();
    }
    assert!(fence.hold_for_upkeep().unwrap().is_none());
    fs::write(script.path("go"), "go\n").unwrap();
    orphan.wait().unwrap();
    assert!(fence.hold_for_upkeep().unwrap().is_some());
}

#[tokio::test]
async fn want_of_something_is_told_from_what_git_finds() {
    let kind = |text: &str| {
        let script = Script::new(text);
        async move { script.run(&limits()).await.map(|ended| ended.code).map_err(|error| error.kind()) }
    };
    assert_eq!(
        kind("echo 'fatal: write error: No space left on device' >&2; exit 128").await,
        Err(ErrorKind::DiskFull)
    );
    assert_eq!(kind("echo 'fatal: Out of memory, malloc failed' >&2; exit 128").await, Err(ErrorKind::Internal));
    assert_eq!(kind("kill -9 $$").await, Err(ErrorKind::Internal));
    assert_eq!(kind("echo 'fatal: bad object' >&2; exit 128").await, Ok(128));
    assert_eq!(kind("echo 'warning: No space left on device' >&2").await, Ok(0));
}

#[tokio::test]
async fn a_program_that_is_not_there_or_too_old_does_no_upkeep() {
    let version = |git: GitProgram| async move { git.version(&limits()).await };
    assert!(version(GitProgram::new("git".into(), 1)).await.unwrap() >= Version::OLDEST);
    let old = Script::new("echo git version 2.20.1");
    let missing = GitProgram::new(old.path("nothing"), 1);
    for git in [old.git, missing] {
        let error = version(git).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint_text().unwrap().contains("install git"));
    }
}
