//! Objects, and how an upstream keeps them.

use super::{Need, Situation, commits};
use crate::error::ErrorKind;
use crate::testing::Git;

pub(super) const SITUATIONS: &[Situation] = &[
    Situation::new(
        "all objects loose",
        |it| {
            for _ in 0..20 {
                it.commit("main");
            }
        },
        commits,
    ),
    Situation::new(
        "one pack with long chains of deltas",
        |it| {
            it.history("main", 200);
            it.git().run(&["repack", "-adfq", "--depth=250", "--window=50"]);
        },
        commits,
    ),
    Situation::new(
        "many packs",
        |it| {
            for _ in 0..5 {
                it.history("main", 10);
                it.git().run(&["repack", "-dq"]);
            }
        },
        commits,
    ),
    Situation::new(
        "objects in an alternate",
        |it| {
            it.history("main", 20);
            let other = it.root().join("other.git");
            Git::at(it.root()).run(&["init", "--quiet", "--bare", "other.git"]);
            it.git().run(&["repack", "-adq"]);
            for entry in std::fs::read_dir(it.dir().join("objects/pack")).expect("packs") {
                let from = entry.expect("a pack").path();
                std::fs::rename(&from, other.join("objects/pack").join(from.file_name().expect("a name")))
                    .expect("moved");
            }
            std::fs::write(
                it.dir().join("objects/info/alternates"),
                format!("{}/objects\n", other.canonicalize().expect("there").display()),
            )
            .expect("written");
        },
        commits,
    ),
    Situation::new(
        "replacements",
        |it| {
            it.history("main", 5);
            let other = it.commit_on(&[]);
            it.git().run(&["replace", "main~2", &other.to_string()]);
        },
        commits,
    ),
    Situation::new(
        "bitmaps, a commit graph and a multi-pack index",
        |it| {
            it.history("main", 100);
            it.git().run(&["repack", "-adbq"]);
            it.git().run(&["commit-graph", "write", "--reachable"]);
            it.git().run(&["multi-pack-index", "write"]);
        },
        commits,
    ),
    Situation::new(
        "garbage is collected upstream",
        |it| {
            it.history("main", 20);
            it.commit("topic");
        },
        |it| {
            it.delete("refs/heads/topic");
            it.git().run(&["gc", "--quiet", "--prune=now"]);
            it.commit("main");
        },
    ),
    Situation::new(
        "a submodule and an empty tree",
        |it| {
            let stranger = "1".repeat(40);
            let tree = it.git().feed(&["mktree", "--missing"], format!("160000 commit {stranger}\tsub\n").as_bytes());
            let tree = String::from_utf8(tree).expect("an id");
            let first = it.git().ids(&["commit-tree", tree.trim(), "-m", "sub"])[0];
            let empty = it.git().feed(&["mktree"], b"");
            let empty = String::from_utf8(empty).expect("an id");
            let second = it.git().ids(&["commit-tree", empty.trim(), "-p", &first.to_string(), "-m", "empty"])[0];
            it.branch("main", second);
        },
        commits,
    ),
    Situation::new(
        "a large file",
        |it| {
            let content: Vec<u8> = (0..3_000_000_u32)
                .flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 24).to_le_bytes())
                .take(4_000_000)
                .collect();
            let blob = String::from_utf8(it.git().feed(&["hash-object", "-w", "--stdin"], &content)).expect("an id");
            let tree =
                String::from_utf8(it.git().feed(&["mktree"], format!("100644 blob {}\tbig\n", blob.trim()).as_bytes()))
                    .expect("an id");
            it.branch("main", it.git().ids(&["commit-tree", tree.trim(), "-m", "big"])[0]);
        },
        commits,
    ),
    Situation::new(
        "SHA-256",
        |it| {
            it.history("main", 5);
            it.annotated_tag("v1", it.git().id("main"));
        },
        commits,
    )
    .needs(Need::Sha256),
    Situation::new(
        "a shallow clone",
        |it| {
            it.history("main", 5);
            let old = it.git().id("main~3");
            std::fs::write(it.dir().join("shallow"), format!("{old}\n")).expect("written");
        },
        commits,
    )
    .is_refused(ErrorKind::Unsupported),
];
