//! Changes of references while git is at work in the same repository.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use gitsync_core::backend::{Durability, InitOptions, RefEdit, RefTransaction};
use gitsync_core::model::{ObjectFormat, ObjectId, RefName};
use gitsync_repository::init;
use gitsync_repository::refs::{apply, read};

fn git(dir: &Path, args: &[&str]) -> (bool, String) {
    let out = Command::new("git")
        .args(["-c", "user.name=T", "-c", "user.email=t@example.com", "-c", "core.packedRefsTimeout=5000", "-C"])
        .arg(dir)
        .args(args)
        .output()
        .unwrap();
    (
        out.status.success(),
        String::from_utf8_lossy(&out.stdout).trim().to_owned() + &String::from_utf8_lossy(&out.stderr),
    )
}

#[test]
fn nothing_is_lost_beside_pack_refs_and_update_ref() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_owned();
    let head = RefName::new("refs/heads/main").unwrap();
    init(&dir, &InitOptions { bare: true, format: ObjectFormat::Sha1, head, durability: Durability::Engine }).unwrap();
    let tree = git(&dir, &["hash-object", "-t", "tree", "-w", "/dev/null"]).1;
    let ids: Vec<ObjectId> =
        (0..2).map(|n| git(&dir, &["commit-tree", "-m", &n.to_string(), &tree]).1.parse().unwrap()).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let hand = |work: fn(&Path, usize, &str)| {
        let (dir, stop, id) = (dir.clone(), Arc::clone(&stop), ids[0].to_string());
        thread::spawn(move || {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                work(&dir, n, &id);
                n += 1;
            }
            n
        })
    };
    let packs = hand(|dir, _, _| {
        let _ = git(dir, &["pack-refs", "--all", "--prune"]);
    });
    // Each of these is made once and must be there at the end.
    let makes = hand(|dir, n, id| {
        let (ok, text) = git(dir, &["update-ref", &format!("refs/heads/hand/{n}"), id]);
        assert!(ok, "{text}");
        if n >= 3 {
            let (ok, text) = git(dir, &["update-ref", "-d", &format!("refs/heads/hand/{}", n - 3)]);
            assert!(ok, "{text}");
        }
    });
    let names = ["refs/heads/a", "refs/heads/d/x", "refs/tags/t"];
    let rounds = std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut current: Option<ObjectId> = None;
    for round in 0..rounds {
        let new = if round % 7 == 6 { None } else { Some(ids[round % 2]) };
        let edits =
            names.iter().map(|name| RefEdit { name: RefName::new(*name).unwrap(), old: current, new }).collect();
        let applied = apply(
            &gitsync_gix::open(&dir).unwrap(),
            &RefTransaction { edits, ..RefTransaction::default() },
            Durability::Engine,
        )
        .unwrap();
        assert!(applied.raced.is_empty());
        current = new;
        for name in names {
            let (_, seen) = git(&dir, &["for-each-ref", "--format=%(objectname)", name]);
            assert_eq!(seen, new.map(|id| id.to_string()).unwrap_or_default(), "round {round} {name}");
        }
        let ours = read(&gitsync_gix::open(&dir).unwrap()).unwrap();
        for name in names {
            let seen = ours.refs.iter().find(|(other, _)| other.as_bytes() == name.as_bytes()).map(|(_, id)| *id);
            assert_eq!(seen, new, "round {round} {name}, read by us");
        }
        if round % 3 == 0 && current.is_some() {
            // Now it is loose as well.
            for name in names {
                let id = current.unwrap().to_string();
                let (ok, text) = git(&dir, &["update-ref", "--no-deref", name, &ids[1 - round % 2].to_string(), &id]);
                assert!(ok, "{text}");
            }
            current = Some(ids[1 - round % 2]);
        }
    }
    stop.store(true, Ordering::Relaxed);
    let (packs, makes) = (packs.join().unwrap(), makes.join().unwrap());
    println!("{packs} pack-refs, {makes} made");
    for n in makes.saturating_sub(3)..makes {
        let (_, seen) = git(&dir, &["for-each-ref", "--format=%(objectname)", &format!("refs/heads/hand/{n}")]);
        assert_eq!(seen, ids[0].to_string(), "hand/{n} is lost");
    }
    let (_, left) = git(&dir, &["for-each-ref", "--format=%(refname)", "refs/heads/hand"]);
    assert_eq!(left.lines().count(), 3.min(makes), "{left}");
}
