//! Where `HEAD` points, and what it is when there is nothing.

use super::{Need, Situation, commits};

pub(super) const SITUATIONS: &[Situation] = &[
    Situation::new("nothing at all, then a first commit", |_| {}, commits).needs(Need::UnbornHead),
    Situation::new("nothing at all, and `HEAD` somewhere else", |it| it.set_head("trunk"), |it| it.set_head("other"))
        .needs(Need::UnbornHead),
    Situation::new(
        "`HEAD` to a branch that is not there",
        |it| {
            it.commit("main");
            it.set_head("nowhere");
        },
        commits,
    )
    .needs(Need::UnbornHead),
    Situation::new(
        "`HEAD` detached, then at another commit",
        |it| {
            it.history("main", 3);
            it.detach_head(it.git().id("main~1"));
        },
        |it| it.detach_head(it.git().id("main")),
    ),
    Situation::new(
        "`HEAD` detached where no branch leads",
        |it| {
            let tip = it.commit("main");
            it.detach_head(it.commit_on(&[tip]));
        },
        |it| it.set_head("main"),
    ),
    Situation::new(
        "`HEAD` moves to another branch",
        |it| {
            it.commit("main");
            it.commit("other");
        },
        |it| it.set_head("other"),
    ),
    Situation::new(
        "the default branch is renamed",
        |it| {
            it.history("main", 3);
            it.commit("other");
        },
        |it| {
            it.git().run(&["branch", "-m", "main", "trunk"]);
        },
    ),
    Situation::new(
        "the only branch is renamed",
        |it| {
            it.history("main", 3);
        },
        |it| {
            it.git().run(&["branch", "-m", "main", "trunk"]);
        },
    ),
    Situation::new(
        "the default branch is deleted",
        |it| {
            it.commit("main");
            it.commit("other");
        },
        |it| it.delete("refs/heads/main"),
    )
    .needs(Need::UnbornHead),
    Situation::new(
        "a branch named `HEAD`",
        |it| {
            let tip = it.commit("main");
            it.branch("HEAD", tip);
            it.set_head("HEAD");
        },
        commits,
    ),
];
