//! Git replaces packs by others while an engine reads, and leaves files that the engine did not write.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::poll_fn;

use super::mirror::collect;
use super::{Mirror, Subject};
use crate::backend::CommitWalk;
use crate::testing::Git;
use crate::testing::http_server::{Behaviour, Endpoint};

/// Puts all objects into one pack, removes all others, and writes what git has to find them sooner.
fn repack(git: &Git) {
    git.run(&["repack", "-a", "-d", "-q", "--write-midx"]);
    git.run(&["commit-graph", "write", "--reachable", "--split", "--no-progress"]);
}

/// Everything is answered as before, and the next fetch finds what is there.
pub async fn upkeep_changes_no_answer(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    for _ in 0..3 {
        mirror.upstream.history("main", 10);
        mirror.upstream.annotated_tag("v1", mirror.upstream.git().id("main~3"));
        mirror.sync_and_compare().await;
        mirror.git().run(&["repack", "--geometric=2", "-d", "-q", "--write-midx"]);
        mirror.git().run(&["commit-graph", "write", "--reachable", "--split", "--no-progress"]);
        let tips = vec![mirror.upstream.git().id("main")];
        let walked = mirror.walk(CommitWalk { tips: tips.clone(), ..CommitWalk::default() }).await.expect("walked");
        assert_eq!(walked.iter().map(|commit| commit.id).collect::<BTreeSet<_>>(), mirror.rev_list(&tips, &[]));
    }
    repack(&mirror.git());
    let [old, new] = ["main~25", "main"].map(|revision| mirror.upstream.git().id(revision));
    let pairs = [(old, new), (new, old)];
    let answers = mirror.subject.backend.is_ancestor(mirror.dir(), &pairs, &mirror.subject.context()).await;
    assert_eq!(answers.expect("answered"), [true, false]);
    mirror.upstream.branch("main", old);
    mirror.upstream.commit("main");
    mirror.sync_and_compare().await;
}

/// The walk is far behind when the packs it has yet to read are replaced.
pub async fn a_walk_goes_on_while_packs_are_replaced(subject: Subject) {
    let mirror = Mirror::new(subject).await;
    let (packs, commits) = (8, 40);
    // Batches are bounded by bytes, so a walk over long messages waits for its reader early.
    let message = "long ".repeat(12_000);
    for pack in 0..packs {
        let mut stream = String::new();
        for number in 0..commits {
            let from = if pack > 0 && number == 0 { "from refs/heads/main^0\n" } else { "" };
            let date = pack * commits + number;
            let size = message.len();
            write!(stream, "commit refs/heads/main\ncommitter A <a> {date} +0000\ndata {size}\n{message}\n{from}\n")
                .expect("a string takes everything");
        }
        mirror.git().feed(&["-c", "fastimport.unpackLimit=1", "fast-import", "--quiet"], stream.as_bytes());
    }
    let tips = mirror.git().ids(&["rev-parse", "main"]);
    let listed = mirror.rev_list(&tips, &[]);
    let context = mirror.subject.context();
    let walk = CommitWalk { tips, ..CommitWalk::default() };
    let mut walk = mirror.subject.backend.walk_commits(mirror.dir(), walk, &context).await.expect("it begins");
    let first = poll_fn(|context| walk.as_mut().poll_next(context)).await.expect("a batch").expect("commits");
    let before = mirror.object_files();
    repack(&mirror.git());
    assert!(before.iter().filter(|file| file.extension().is_some_and(|e| e == "pack")).all(|pack| !pack.exists()));
    let rest = collect(walk).await.expect("the rest of the commits");
    assert!(first.len() + 100 < listed.len(), "most of it was not read yet");
    assert_eq!(first.iter().chain(&rest).map(|commit| commit.id).collect::<BTreeSet<_>>(), listed);
}

/// Upstream answers once the packs are replaced that the answer builds upon.
pub async fn a_fetch_goes_on_while_packs_are_replaced(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    mirror.upstream.history("main", 30);
    mirror.sync_and_compare().await;
    mirror.upstream.history("main", 5);
    mirror.server.answer(Endpoint::Command, Behaviour::Hold);
    mirror.server.take_requests();
    let wants = [mirror.upstream.git().id("main")];
    let (request, context) = (mirror.request(&wants), mirror.subject.context());
    let meanwhile = async {
        while !mirror.server.take_requests().iter().any(|request| request.endpoint == Endpoint::Command) {
            tokio::task::yield_now().await;
        }
        repack(&mirror.git());
        mirror.server.answer(Endpoint::Command, Behaviour::Serve);
    };
    let (fetched, ()) = tokio::join!(mirror.subject.backend.fetch(mirror.dir(), &request, &context), meanwhile);
    fetched.expect("it goes on with the new pack");
    mirror.sync_and_compare().await;
}
