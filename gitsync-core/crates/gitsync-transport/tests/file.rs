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
use gitsync_core::{Error, ErrorKind, Result};
use gitsync_transport::{NetOptions, NetTransport};
use support::limits;

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

fn typed(error: &std::io::Error) -> Error {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).expect("a typed error").clone()
}

/// Says goodbye after the listing, and returns it.
fn listing(mut connection: Connection) -> std::io::Result<String> {
    connection.writer.write_all(b"0000")?;
    drop(connection.writer);
    let mut text = String::new();
    connection.reader.read_to_string(&mut text)?;
    Ok(text)
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
    let push = transport.connect(&url, Service::ReceivePack, 1, &limits());
    assert_eq!(kind(push), ErrorKind::Unsupported);
}

/// Whoever may write below a root makes a repository there whose parts are elsewhere: git follows all of them.
#[test]
#[ignore = "only the directory itself is checked yet"]
fn a_repository_inside_whose_parts_are_outside_is_not_read() {
    let place = Place::new();
    let transport = place.transport(NetOptions::default());
    let secret = place.outside.join("bare.git");
    let evil = |name: &str| {
        let path = place.root.join(name);
        fs::create_dir_all(path.join("objects/info")).unwrap();
        fs::create_dir_all(path.join("refs")).unwrap();
        fs::write(path.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        path
    };
    let linked = evil("linked-parts.git");
    for part in ["objects", "refs"] {
        fs::remove_dir_all(linked.join(part)).unwrap();
    }
    for part in ["objects", "refs", "packed-refs"] {
        symlink(secret.join(part), linked.join(part)).unwrap();
    }
    let common = evil("common.git");
    fs::write(common.join("commondir"), format!("{}\n", secret.display())).unwrap();
    let borrowing = evil("alternates.git");
    fs::write(borrowing.join("objects/info/alternates"), format!("{}\n", secret.join("objects").display())).unwrap();
    fs::copy(secret.join("packed-refs"), borrowing.join("packed-refs")).unwrap();
    let read: Vec<_> = [linked, common, borrowing]
        .into_iter()
        .filter(|path| {
            let text = connect(&transport, path, &limits()).ok().and_then(|connection| listing(connection).ok());
            text.is_some_and(|text| text.contains("refs/heads/main\n"))
        })
        .collect();
    assert!(read.is_empty(), "what is outside of the roots was read through {read:?}");
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
