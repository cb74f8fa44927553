//! File sources, read from real repositories by the real `git` program.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::transport::{CallLimits, Connection, Service, Transport};
use gitsync_core::{ErrorKind, Result};
use gitsync_transport::{NetOptions, NetTransport};
use support::{limits, listing, typed};

/// A directory with a file root, and repositories inside and outside of it.
struct Place {
    _dir: tempfile::TempDir,
    root: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        let (root, outside) = (base.join("root"), base.join("outside"));
        for path in [&root, &outside] {
            fs::create_dir(path).unwrap();
            git(path, &["init", "-q", "-b", "main", "work"]);
            git(&path.join("work"), &["commit", "-q", "--allow-empty", "-m", "first"]);
            git(path, &["clone", "-q", "--mirror", "work", "bare.git"]);
        }
        Place { _dir: dir, root, outside }
    }

    fn transport(&self, options: NetOptions) -> NetTransport {
        let policy = SourcePolicy::builder().schemes([Scheme::File]).file_root(&self.root).build().unwrap();
        NetTransport::new(policy, options)
    }
}

fn git(directory: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.templateDir="])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("install git to run this test");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn connect(transport: &NetTransport, path: &Path, limits: &CallLimits) -> Result<Connection> {
    let url: SourceUrl = path.to_str().unwrap().parse().unwrap();
    transport.connect(&url, Service::UploadPack, 1, limits)
}

fn kind(result: Result<Connection>) -> ErrorKind {
    result.map(|_| ()).expect_err("an error").kind()
}

#[test]
fn bare_and_regular_repositories_are_read() {
    let place = Place::new();
    let transport = place.transport(NetOptions::default());
    for name in ["bare.git", "work", "work/.git"] {
        let text = listing(connect(&transport, &place.root.join(name), &limits()).unwrap()).unwrap();
        assert!(text.starts_with("000eversion 1\n"), "{name}: {text}");
        assert!(text.contains("refs/heads/main"), "{name}: {text}");
    }
    let url: SourceUrl = place.root.join("bare.git").to_str().unwrap().parse().unwrap();
    let text = listing(transport.connect(&url, Service::UploadPack, 2, &limits()).unwrap()).unwrap();
    assert!(text.starts_with("000eversion 2\n"), "{text}");
}

/// Whoever may write below a root makes a repository there whose parts are elsewhere: git follows all of them.
#[test]
fn a_repository_inside_whose_parts_are_outside_is_not_read() {
    let place = Place::new();
    let transport = place.transport(NetOptions::default());
    let secret = place.outside.join("bare.git");
    git(&secret, &["repack", "-q", "-a", "-d"]);
    let evil = |name: &str| {
        let path = place.root.join(name);
        git(&place.root, &["clone", "-q", "--mirror", "bare.git", name]);
        path
    };
    let mut made = Vec::new();
    // `config` has no ids, but what git complains about in a file that is none tells its content.
    let parts =
        ["HEAD", "config", "packed-refs", "objects", "refs", "objects/pack", "refs/heads", "shallow", "info/grafts"];
    for part in parts {
        let path = evil(&format!("{}.git", part.replace('/', "-")));
        let (link, target) = (path.join(part), secret.join(part));
        if link.is_dir() {
            fs::remove_dir_all(&link).unwrap();
        } else {
            fs::remove_file(&link).unwrap_or_default();
        }
        if !target.exists() {
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::write(&target, "secret\n").unwrap();
        }
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
        made.push(path);
    }
    // A link that stays inside does not hide one behind it.
    let twice = evil("twice.git");
    fs::remove_dir_all(twice.join("objects")).unwrap();
    fs::create_dir(place.root.join("between")).unwrap();
    symlink(secret.join("objects/pack"), place.root.join("between/pack")).unwrap();
    symlink("../between", twice.join("objects")).unwrap();
    made.push(twice);
    let common = evil("common.git");
    fs::write(common.join("commondir"), format!("{}\n", secret.display())).unwrap();
    made.push(common);
    let relative = evil("relative.git");
    fs::write(relative.join("commondir"), "../../outside/bare.git\n").unwrap();
    made.push(relative);
    fs::create_dir_all(place.root.join("a/b/c")).unwrap();
    symlink("a/b/c", place.root.join("deep")).unwrap();
    let lists = [
        format!("{}\n", secret.join("objects").display()),
        "# first\n\n../../../outside/bare.git/objects".to_owned(),
        format!("\"{}\"\n", secret.join("objects").display()),
        // git resolves the dots by the text, not by where the link before them ends.
        format!("{}/deep/../../outside/bare.git/objects\n", place.root.display()),
    ];
    for (number, list) in lists.iter().enumerate() {
        let borrowing = evil(&format!("alternates{number}.git"));
        fs::create_dir_all(borrowing.join("objects/info")).unwrap();
        fs::write(borrowing.join("objects/info/alternates"), list).unwrap();
        made.push(borrowing);
    }
    // One that borrows from one that borrows from outside.
    let nested = evil("nested.git");
    fs::create_dir_all(nested.join("objects/info")).unwrap();
    fs::write(nested.join("objects/info/alternates"), "../../alternates0.git/objects\n").unwrap();
    made.push(nested);
    for path in made {
        let error = connect(&transport, &path, &limits()).map(|_| ()).expect_err(path.to_str().unwrap());
        assert_eq!(error.kind(), ErrorKind::SourceRefused, "{}: {error}", path.display());
        assert!(error.hint_text().is_some(), "{error}");
        assert!(!error.to_string().contains(secret.to_str().unwrap()), "{error}");
    }
}

#[test]
fn parts_that_stay_inside_are_read() {
    let place = Place::new();
    let transport = place.transport(NetOptions::default());
    let lists = |name: &str| {
        let text = listing(connect(&transport, &place.root.join(name), &limits()).unwrap()).unwrap();
        assert!(text.contains("refs/heads/main"), "{name}: {text}");
    };
    git(&place.root, &["clone", "-q", "--mirror", "--shared", "bare.git", "0.git"]);
    for number in 1..=5 {
        let (from, to) = (format!("{}.git", number - 1), format!("{number}.git"));
        git(&place.root, &["clone", "-q", "--mirror", "--shared", &from, &to]);
    }
    let borrowing = place.root.join("5.git");
    let list = borrowing.join("objects/info/alternates");
    let borrowed = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("# for the test\n{borrowed}../../bare.git/objects\n../../gone.git/objects\n")).unwrap();
    lists("5.git");
    // One more, and git would not follow to the end.
    git(&place.root, &["init", "-q", "--bare", "6.git"]);
    fs::write(place.root.join("6.git/objects/info/alternates"), "../../5.git/objects\n").unwrap();
    let error = connect(&transport, &place.root.join("6.git"), &limits()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceRefused, "{error}");

    // The links of `git new-workdir` and of old references, and a loop.
    let linked = place.root.join("linked.git");
    fs::create_dir(&linked).unwrap();
    for part in ["config", "objects", "packed-refs", "refs"] {
        symlink(place.root.join("bare.git").join(part), linked.join(part)).unwrap();
    }
    symlink("refs/heads/main", linked.join("HEAD")).unwrap();
    symlink(".", place.root.join("bare.git/refs/loop")).unwrap();
    lists("linked.git");
    let common = place.root.join("common.git");
    git(&place.root, &["clone", "-q", "--mirror", "bare.git", "common.git"]);
    fs::write(common.join("commondir"), "../bare.git\n").unwrap();
    lists("common.git");
}

#[test]
fn only_what_lies_inside_the_roots_is_read() {
    let place = Place::new();
    let transport = place.transport(NetOptions::default());
    symlink(place.outside.join("bare.git"), place.root.join("link.git")).unwrap();
    // A working tree whose git directory is elsewhere, by link and by file.
    fs::create_dir(place.root.join("tree")).unwrap();
    symlink(place.outside.join("work/.git"), place.root.join("tree/.git")).unwrap();
    fs::create_dir(place.root.join("linked")).unwrap();
    let target = format!("gitdir: {}\n", place.outside.join("work/.git").display());
    fs::write(place.root.join("linked/.git"), target).unwrap();
    fs::create_dir(place.root.join("empty")).unwrap();
    let table = [
        (place.outside.join("bare.git"), ErrorKind::SourceRefused),
        (place.outside.join("missing.git"), ErrorKind::SourceRefused),
        (place.root.join("link.git"), ErrorKind::SourceRefused),
        (place.root.join("tree"), ErrorKind::SourceRefused),
        (place.root.join("linked"), ErrorKind::SourceNotFound),
        (place.root.join("empty"), ErrorKind::SourceNotFound),
        (place.root.join("missing.git"), ErrorKind::SourceNotFound),
    ];
    for (path, expected) in table {
        assert_eq!(kind(connect(&transport, &path, &limits())), expected, "{}", path.display());
    }
    let closed = NetTransport::new(SourcePolicy::default(), NetOptions::default());
    assert_eq!(kind(connect(&closed, &place.root.join("bare.git"), &limits())), ErrorKind::SourceRefused);
}

#[test]
fn a_broken_repository_says_what_git_says() {
    let place = Place::new();
    fs::create_dir_all(place.root.join("broken.git/objects")).unwrap();
    fs::write(place.root.join("broken.git/HEAD"), "nonsense").unwrap();
    let transport = place.transport(NetOptions::default());
    let error = listing(connect(&transport, &place.root.join("broken.git"), &limits()).unwrap()).unwrap_err();
    let error = typed(&error);
    assert_eq!(error.kind(), ErrorKind::SourceNotFound);
    assert!(error.context().any(|(key, value)| key == "reason" && value.contains("git repository")), "{error}");
}

#[test]
fn without_the_git_program_files_are_not_supported() {
    let place = Place::new();
    let options = NetOptions { git_program: PathBuf::from("no-such-git"), ..NetOptions::default() };
    let error = connect(&place.transport(options), &place.root.join("bare.git"), &limits()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint_text().is_some());
}

#[test]
fn responses_are_bounded() {
    let place = Place::new();
    let limits = CallLimits { max_response_bytes: 10, ..limits() };
    let connection = connect(&place.transport(NetOptions::default()), &place.root.join("bare.git"), &limits).unwrap();
    assert_eq!(typed(&listing(connection).unwrap_err()).kind(), ErrorKind::LimitExceeded);
}

/// Puts a script in the place of git.
fn script(place: &Place, text: &str) -> NetOptions {
    let path = place.outside.join("git");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    NetOptions { git_program: path, ..NetOptions::default() }
}

#[test]
fn the_program_sees_nothing_of_our_environment() {
    let place = Place::new();
    // `cargo test` sets CARGO_MANIFEST_DIR for us; the shell adds PWD and the like by itself.
    let options = script(&place, "cat >/dev/null; env; echo \"$@\"");
    let text = listing(connect(&place.transport(options), &place.root.join("bare.git"), &limits()).unwrap()).unwrap();
    assert!(!text.contains("CARGO"), "{text}");
    assert!(!text.contains("HOME="), "{text}");
    let expected = format!("GIT_CONFIG_VALUE_0={}", place.root.join("bare.git").display());
    for line in [
        "GIT_PROTOCOL=version=1",
        "GIT_CONFIG_NOSYSTEM=1",
        "GIT_CONFIG_GLOBAL=/dev/null",
        "GIT_NO_LAZY_FETCH=1",
        &expected,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(text.contains("upload-pack --strict /"), "{text}");
}

#[test]
fn complaints_are_redacted_and_bounded() {
    let place = Place::new();
    let flood = "i=0; while [ $i -lt 20000 ]; do echo 'no https://me:s3cret@example.com' >&2; i=$((i+1)); done; exit 1";
    let options = script(&place, flood);
    let connection = connect(&place.transport(options), &place.root.join("bare.git"), &limits()).unwrap();
    let error = typed(&listing(connection).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::SourceUnreachable);
    assert!(!error.to_string().contains("s3cret") && error.to_string().len() < 8192, "{error}");
}

/// A program that hangs with a child that hangs, both of which hold the pipes.
const HANG: &str = "sleep 1000 & echo $! $$; wait";

/// Reads the ids of the two hanging programs, which then say no more.
fn ids(connection: &mut Connection) -> Vec<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while byte != [b'\n'] {
        connection.reader.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap().split_whitespace().map(str::to_owned).collect()
}

fn wait_until_gone(ids: &[String]) {
    for id in ids {
        // An orphan nobody has reaped yet is as dead.
        let alive = || fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
        while alive() {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_hanging_program_ends_by_cancellation_deadline_and_drop() {
    let place = Place::new();
    let transport = place.transport(script(&place, HANG));
    let path = place.root.join("bare.git");

    let cancelled = limits();
    let mut connection = connect(&transport, &path, &cancelled).unwrap();
    let running = ids(&mut connection);
    thread::scope(|scope| {
        let reader = scope.spawn(|| connection.reader.read(&mut [0]).unwrap_err());
        cancelled.cancellation.cancel();
        assert_eq!(typed(&reader.join().unwrap()).kind(), ErrorKind::Cancelled);
    });
    wait_until_gone(&running);

    let limited = CallLimits { deadline: Instant::now() + Duration::from_millis(500), ..limits() };
    let mut connection = connect(&transport, &path, &limited).unwrap();
    // The program never reads; the pipe is full at some time.
    let error = std::iter::repeat_with(|| connection.writer.write(&[0; 4096])).find_map(std::io::Result::err).unwrap();
    assert_eq!(typed(&error).kind(), ErrorKind::Timeout);

    let mut connection = connect(&transport, &path, &limits()).unwrap();
    let running = ids(&mut connection);
    drop(connection);
    wait_until_gone(&running);
}
