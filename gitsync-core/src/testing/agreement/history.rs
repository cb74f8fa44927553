//! Shapes of history.

use super::{Situation, commits, raw_commit};
use crate::model::ObjectId;
use crate::testing::upstream::Upstream;

/// A line of commits whose dates go backwards.
fn backwards(upstream: &Upstream) {
    for at in 0..30_u64 {
        let person = format!("A <a@b> {} +0000", 1_700_000_000 - at * 86_400);
        raw_commit(
            upstream,
            "main",
            &[format!("author {person}").as_bytes(), format!("committer {person}").as_bytes()],
            b"back\n",
        );
    }
}

pub(super) const SITUATIONS: &[Situation] = &[
    Situation::new(
        "a long line",
        |it| {
            it.history("main", 2_000);
        },
        |it| {
            it.history("main", 10);
        },
    ),
    Situation::new(
        "an octopus",
        |it| {
            let parents: Vec<ObjectId> = (0..24).map(|_| it.commit_on(&[])).collect();
            it.branch("main", it.commit_on(&parents));
        },
        commits,
    ),
    Situation::new(
        "criss-cross merges",
        |it| {
            it.commit("main");
            let tip = it.git().id("main");
            it.branch("other", tip);
            for _ in 0..10 {
                let (a, b) = (it.commit("main"), it.commit("other"));
                it.branch("main", it.commit_on(&[a, b]));
                it.branch("other", it.commit_on(&[b, a]));
            }
        },
        |it| {
            it.merge("main", "other");
        },
    ),
    Situation::new(
        "many roots",
        |it| {
            for n in 0..30 {
                it.branch(&format!("r{n}"), it.commit_on(&[]));
            }
        },
        |it| it.branch("r30", it.commit_on(&[])),
    ),
    Situation::new(
        "the same parent twice",
        |it| {
            let tip = it.commit("main");
            it.branch("main", raw_twice(it, tip));
        },
        commits,
    ),
    Situation::new(
        "the same change twice",
        |it| {
            let tip = it.commit("main");
            it.branch("a", it.commit_on(&[tip]));
            it.branch("b", it.commit_on(&[tip]));
        },
        |it| it.branch("a", it.git().id("b")),
    ),
    Situation::new("dates that go backwards", backwards, |it| {
        let old = it.git().id("main~20");
        it.branch("old", it.commit_on(&[old]));
        it.branch("main", it.git().id("main~5"));
    }),
    Situation::new(
        "unrelated histories merged",
        |it| {
            it.history("main", 10);
            it.history("other", 10);
        },
        |it| {
            it.merge("main", "other");
        },
    ),
    Situation::new(
        "one commit under many names",
        |it| {
            let tip = it.commit("main");
            for n in 0..50 {
                it.branch(&format!("same/{n}"), tip);
            }
        },
        commits,
    ),
];

fn raw_twice(upstream: &Upstream, parent: ObjectId) -> ObjectId {
    let tree = upstream.git().id(&format!("{parent}^{{tree}}"));
    let person = "A <a@b> 1700000000 +0000";
    super::object(
        upstream,
        "commit",
        format!("tree {tree}\nparent {parent}\nparent {parent}\nauthor {person}\ncommitter {person}\n\ntwice\n")
            .as_bytes(),
    )
}
