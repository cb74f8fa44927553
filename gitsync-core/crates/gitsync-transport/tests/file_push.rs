//! Pushing to repositories on this machine, with the real `git` program.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
use gitsync_core::testing::{Git, Upstream};
use gitsync_core::transport::{Connection, Service, Transport};
use gitsync_core::{ErrorKind, Result};
use gitsync_transport::{NetOptions, NetTransport};
use support::limits;

/// Everything below the target's directory may be pushed to, and what the other directories hold may be read.
fn transport(target: &Upstream, readable: &Path) -> NetTransport {
    let policy = SourcePolicy::builder().schemes([Scheme::File]).file_root(readable).push_root(target.root());
    NetTransport::new(policy.build().unwrap(), NetOptions::default())
}

fn connect(transport: &NetTransport, path: &Path) -> Result<Connection> {
    let url: SourceUrl = path.to_str().unwrap().parse().unwrap();
    transport.connect(&url, Service::ReceivePack, 1, &limits())
}

/// Deletes a branch by hand, and returns all that the service said.
fn delete(transport: &NetTransport, target: &Upstream, branch: &str) -> std::io::Result<String> {
    let old = target.tip(branch).unwrap();
    let line = format!("{old} {} refs/heads/{branch}\0 report-status", "0".repeat(40));
    let Connection { mut reader, mut writer, guard } = connect(transport, target.dir()).unwrap();
    writer.write_all(format!("{:04x}{line}0000", line.len() + 4).as_bytes())?;
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said)?;
    drop(guard);
    Ok(said)
}

fn refused(transport: &NetTransport, path: &Path) -> ErrorKind {
    connect(transport, path).map(|_| ()).expect_err("it is refused").kind()
}

#[test]
fn a_repository_is_pushed_to_where_that_is_allowed() {
    let (target, readable) = (Upstream::new(), Upstream::new());
    let tip = target.commit("main");
    target.branch("gone", tip);
    let transport = transport(&target, readable.root());
    let said = delete(&transport, &target, "gone").unwrap();
    assert!(said.contains("ok refs/heads/gone"), "{said}");
    assert_eq!(target.tip("gone"), None);
    assert_eq!(refused(&transport, readable.dir()), ErrorKind::SourceRefused);
    assert_eq!(refused(&transport, &target.root().join("absent.git")), ErrorKind::SourceNotFound);
    let read = transport.connect(&target.file_source(), Service::UploadPack, 1, &limits());
    assert_eq!(read.map(|_| ()).unwrap_err().kind(), ErrorKind::SourceRefused);
}

/// Whoever may write in the target must not decide what this user runs.
#[test]
fn nothing_runs_that_the_target_says() {
    let (target, other) = (Upstream::new(), Upstream::new());
    let tip = target.commit("main");
    target.branch("gone", tip);
    let ran = target.root().join("ran");
    let script = format!("#!/bin/sh\necho $0 >> {}\n", ran.display());
    let program: PathBuf = target.root().join("program");
    for path in ["pre-receive", "update", "post-receive", "reference-transaction"]
        .map(|hook| target.dir().join("hooks").join(hook))
        .iter()
        .chain([&program])
    {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let program = program.to_str().unwrap();
    for (key, value) in [
        ("core.hooksPath", target.dir().join("hooks").to_str().unwrap()),
        ("core.alternateRefsCommand", program),
        ("gc.recentObjectsHook", program),
        ("receive.autogc", "true"),
        ("gc.auto", "1"),
        ("gc.autoDetach", "false"),
    ] {
        target.git().run(&["config", key, value]);
    }
    // An object directory to borrow from, whose references would be asked for.
    fs::create_dir_all(target.root().join("lender/objects")).unwrap();
    let alternates = target.dir().join("objects/info/alternates");
    fs::create_dir_all(alternates.parent().unwrap()).unwrap();
    fs::write(alternates, format!("{}\n", target.root().join("lender/objects").display())).unwrap();
    let said = delete(&transport(&target, other.root()), &target, "gone").unwrap();
    assert!(said.contains("ok refs/heads/gone"), "{said}");
    assert_eq!(fs::read_to_string(&ran).unwrap_or_default(), "");
}

/// Parts that lead out, among them those that are only written.
#[test]
fn a_repository_whose_parts_are_outside_is_not_pushed_to() {
    for part in ["logs", "refs/heads", "objects/pack"] {
        let (target, outside) = (Upstream::new(), Upstream::new());
        target.commit("main");
        let place = target.dir().join(part);
        fs::remove_dir_all(&place).ok();
        symlink(outside.dir(), &place).unwrap();
        assert_eq!(refused(&transport(&target, outside.root()), target.dir()), ErrorKind::SourceRefused, "{part}");
    }
    // Git would take the inner one, and that leads anywhere.
    let (target, outside) = (Upstream::new(), Upstream::new());
    let work = target.root().join("work");
    Git::at(target.root()).run(&["init", "--quiet", work.to_str().unwrap()]);
    let transport = transport(&target, outside.root());
    drop(connect(&transport, &work).unwrap());
    fs::write(work.join(".git/.git"), format!("gitdir: {}\n", outside.dir().display())).unwrap();
    assert_eq!(refused(&transport, &work), ErrorKind::SourceNotFound);
}

/// A branch that is checked out stays as it is.
#[test]
fn a_working_tree_is_not_touched() {
    let (target, other) = (Upstream::new(), Upstream::new());
    target.commit("main");
    let transport = transport(&target, other.root());
    target.git().run(&["config", "receive.denyDeleteCurrent", "ignore"]);
    target.git().run(&["config", "receive.denyCurrentBranch", "updateInstead"]);
    target.git().run(&["config", "core.bare", "false"]);
    target.git().run(&["config", "core.worktree", target.root().join("tree").to_str().unwrap()]);
    fs::create_dir(target.root().join("tree")).unwrap();
    let said = delete(&transport, &target, "main").unwrap();
    assert!(said.contains("main"), "{said}");
    assert_eq!(fs::read_dir(target.root().join("tree")).unwrap().count(), 0);
}
