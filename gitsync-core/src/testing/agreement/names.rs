//! Names of references, and how references are kept.

use super::{Situation, commits, stays};
use crate::testing::upstream::Upstream;

/// Many references to few commits.
fn many(upstream: &Upstream, count: usize, name: impl Fn(usize) -> String) {
    upstream.history("main", 50);
    let commits = upstream.git().ids(&["rev-list", "main"]);
    let refs: Vec<_> = (0..count).map(|at| (name(at).into_bytes(), commits[at % commits.len()])).collect();
    upstream.references(refs.iter().map(|(name, id)| (name.as_slice(), *id)));
}

fn named(upstream: &Upstream, names: &[&[u8]]) {
    let tip = upstream.commit("main");
    upstream.references(names.iter().map(|name| (*name, tip)));
}

pub(super) const SITUATIONS: &[Situation] = &[
    Situation::new(
        "`a` becomes `a/b`",
        |it| {
            it.commit("main");
            it.commit("a");
        },
        |it| {
            it.delete("refs/heads/a");
            it.commit("a/b");
        },
    ),
    Situation::new(
        "`a/b` becomes `a`",
        |it| {
            it.commit("main");
            it.commit("a/b");
            it.commit("a/c");
        },
        |it| {
            it.delete("refs/heads/a/b");
            it.delete("refs/heads/a/c");
            it.commit("a");
        },
    ),
    Situation::new(
        "10,000 references, of which some move",
        |it| many(it, 10_000, |at| format!("refs/heads/n/{}/{at}", at % 97)),
        |it| {
            it.commit("n/0/0");
            it.delete("refs/heads/n/1/1");
            it.commit("n/2/2");
        },
    ),
    Situation::new("deep names", |it| named(it, &[format!("refs/heads/{}x", "d/".repeat(60)).as_bytes()]), commits),
    Situation::new("long names", |it| named(it, &[format!("refs/heads/{}", "n".repeat(240)).as_bytes()]), commits),
    Situation::new(
        "names that are not UTF-8",
        |it| named(it, &[b"refs/heads/\xff\xfe", b"refs/tags/\xc3\x28/x"]),
        |it| {
            let tip = it.commit("main");
            it.references([(&b"refs/heads/\xff\xfe"[..], tip)]);
        },
    ),
    Situation::new(
        "names in many scripts",
        |it| {
            named(it, &["refs/heads/ünïcödé".as_bytes(), "refs/heads/中文/分支".as_bytes(), "refs/tags/🚀".as_bytes()]);
        },
        commits,
    ),
    Situation::new(
        "the same name composed and decomposed",
        |it| named(it, &["refs/heads/\u{e9}".as_bytes(), "refs/heads/e\u{301}".as_bytes()]),
        commits,
    ),
    Situation::new(
        "names that differ in case only",
        |it| named(it, &[b"refs/heads/Topic", b"refs/heads/topic", b"refs/heads/TOPIC"]),
        commits,
    ),
    Situation::new(
        "names that look like ids",
        |it| named(it, &[format!("refs/heads/{}", "a".repeat(40)).as_bytes(), b"refs/tags/deadbeef"]),
        commits,
    ),
    Situation::new(
        "names that look like names",
        |it| named(it, &[b"refs/heads/refs/heads/main", b"refs/heads/heads/main", b"refs/tags/main"]),
        commits,
    ),
    Situation::new(
        "names with quotes, blanks of other kinds and dashes",
        |it| {
            named(
                it,
                &[
                    b"refs/heads/-x",
                    b"refs/heads/@",
                    b"refs/tags/a'b\"c$d",
                    b"refs/heads/{a}",
                    "refs/heads/\u{a0}x".as_bytes(),
                ],
            );
        },
        commits,
    ),
    Situation::new(
        "references outside of branches and tags",
        |it| named(it, &[b"refs/pull/1/head", b"refs/notes/commits", b"refs/remotes/origin/x", b"refs/x"]),
        |it| it.delete("refs/pull/1/head"),
    ),
    Situation::new(
        "references in our own namespace",
        |it| named(it, &[b"refs/gitsync/kept/20260101/x", b"refs/gitsync/y"]),
        commits,
    ),
    Situation::new("all references loose", |it| many(it, 100, |at| format!("refs/heads/l/{at}")), commits),
    Situation::new(
        "all references packed",
        |it| {
            many(it, 100, |at| format!("refs/heads/p/{at}"));
            it.git().run(&["pack-refs", "--all", "--prune"]);
        },
        commits,
    ),
    Situation::new(
        "packed references that loose ones hide",
        |it| {
            it.history("main", 3);
            it.git().run(&["pack-refs", "--all"]);
            it.commit("main");
        },
        |it| {
            it.git().run(&["pack-refs", "--all"]);
        },
    ),
    Situation::new(
        "symbolic references",
        |it| {
            it.commit("main");
            it.git().run(&["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
        },
        commits,
    ),
    Situation::new(
        "a symbolic reference to nothing",
        |it| {
            it.commit("main");
            it.git().run(&["symbolic-ref", "refs/heads/alias", "refs/heads/none"]);
        },
        stays,
    ),
];
