//! How upstreams move on.

use super::{Need, Situation, stays};

pub(super) const SITUATIONS: &[Situation] = &[
    Situation::new(
        "nothing moves",
        |it| {
            it.history("main", 5);
        },
        stays,
    ),
    Situation::new(
        "a branch is forced back",
        |it| {
            it.history("main", 5);
        },
        |it| it.branch("main", it.git().id("main~2")),
    ),
    Situation::new(
        "a branch is forced sideways",
        |it| {
            it.history("main", 5);
        },
        |it| {
            let old = it.git().id("main~2");
            it.branch("main", it.commit_on(&[old]));
        },
    ),
    Situation::new(
        "a branch is forced to an unrelated history",
        |it| {
            it.history("main", 5);
        },
        |it| it.branch("main", it.commit_on(&[])),
    ),
    Situation::new(
        "a branch is forced, and what it was is gone",
        |it| {
            it.history("main", 5);
        },
        |it| {
            it.branch("main", it.git().id("main~2"));
            it.git().run(&["prune", "--expire=now"]);
            it.commit("main");
        },
    ),
    Situation::new(
        "branches change places",
        |it| {
            it.commit("a");
            it.commit("b");
            it.set_head("a");
        },
        |it| {
            let (a, b) = (it.git().id("a"), it.git().id("b"));
            it.branch("a", b);
            it.branch("b", a);
        },
    ),
    Situation::new(
        "a branch goes and another comes with its commits",
        |it| {
            it.commit("main");
            it.history("topic", 3);
        },
        |it| {
            let tip = it.git().id("topic");
            it.delete("refs/heads/topic");
            it.branch("renamed", tip);
        },
    ),
    Situation::new(
        "a branch is merged and deleted",
        |it| {
            let tip = it.commit("main");
            it.branch("topic", tip);
            it.commit("topic");
            it.commit("main");
        },
        |it| {
            it.merge("main", "topic");
            it.delete("refs/heads/topic");
        },
    ),
    Situation::new(
        "half of all branches go",
        |it| {
            it.commit("main");
            for n in 0..40 {
                it.commit(&format!("b{n}"));
            }
        },
        |it| {
            for n in 0..20 {
                it.delete(&format!("refs/heads/b{n}"));
            }
        },
    ),
    Situation::new(
        "everything goes",
        |it| {
            it.commit("main");
            it.commit("topic");
            it.annotated_tag("v1", it.git().id("main"));
        },
        |it| {
            it.delete("refs/heads/main");
            it.delete("refs/heads/topic");
            it.delete("refs/tags/v1");
        },
    )
    .needs(Need::UnbornHead),
];
