//! Tags.

use super::{Situation, commits, object};
use crate::testing::upstream::Upstream;

fn raw_tag(upstream: &Upstream, name: &str, rest: &str) {
    let tip = upstream.commit("main");
    let id = object(upstream, "tag", format!("object {tip}\ntype commit\ntag {name}\n{rest}").as_bytes());
    upstream.tag(name, id);
}

pub(super) const SITUATIONS: &[Situation] = &[
    Situation::new(
        "lightweight and annotated tags",
        |it| {
            let tip = it.commit("main");
            it.tag("light", tip);
            it.annotated_tag("heavy", tip);
        },
        commits,
    ),
    Situation::new(
        "tags of tags",
        |it| {
            let mut id = it.commit("main");
            for depth in 0..20 {
                id = it.annotated_tag(&format!("t{depth}"), id);
            }
        },
        |it| it.delete("refs/tags/t5"),
    ),
    Situation::new(
        "tags of trees and blobs",
        |it| {
            it.commit("main");
            it.annotated_tag("tree", it.git().id("main^{tree}"));
            it.annotated_tag("blob", it.git().id("main:file"));
            it.tag("light", it.git().id("main:file"));
        },
        commits,
    ),
    Situation::new(
        "a branch and a tag of the same name",
        |it| {
            let tip = it.commit("main");
            it.tag("main", tip);
        },
        commits,
    ),
    Situation::new(
        "a tag moves forward, backward and sideways",
        |it| {
            it.history("main", 5);
            it.tag("v1", it.git().id("main~2"));
            it.annotated_tag("v2", it.git().id("main~2"));
        },
        |it| {
            it.tag("v1", it.git().id("main"));
            it.annotated_tag("v2", it.git().id("main~4"));
        },
    ),
    Situation::new(
        "a lightweight tag becomes an annotated one",
        |it| {
            let tip = it.commit("main");
            it.tag("v1", tip);
            it.annotated_tag("v2", tip);
        },
        |it| {
            let tip = it.git().id("main");
            it.annotated_tag("v1", tip);
            it.tag("v2", tip);
        },
    ),
    Situation::new(
        "a tag that alone leads to a commit",
        |it| {
            let tip = it.commit("main");
            it.annotated_tag("v1", it.commit_on(&[tip]));
        },
        |it| it.delete("refs/tags/v1"),
    ),
    Situation::new(
        "tags are deleted",
        |it| {
            let tip = it.commit("main");
            for n in 0..10 {
                it.annotated_tag(&format!("v{n}"), tip);
            }
        },
        |it| {
            for n in 0..9 {
                it.delete(&format!("refs/tags/v{n}"));
            }
        },
    ),
    Situation::new("a tag without a tagger", |it| raw_tag(it, "old", "\nold\n"), commits),
    Situation::new(
        "a signed tag",
        |it| {
            raw_tag(
                it,
                "signed",
                "tagger A <a@b> 1700000000 +0000\n\nsigned\n-----BEGIN PGP SIGNATURE-----\n\nxxx\n-----END PGP SIGNATURE-----\n",
            );
        },
        commits,
    ),
    Situation::new(
        "an annotated tag as a branch's neighbour in packed references",
        |it| {
            let tip = it.commit("main");
            it.annotated_tag("v1", tip);
            it.git().run(&["pack-refs", "--all"]);
        },
        commits,
    ),
];
