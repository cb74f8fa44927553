//! What upstreams say of their references.

use std::time::{Duration, Instant};

use super::{Mirror, Subject, Via};
use crate::backend::Head;
use crate::error::ErrorKind;
use crate::model::RefName;
use crate::testing::Upstream;
use crate::testing::http_server::{Behaviour, Endpoint};

/// An upstream without any reference, and a mirror of it.
pub async fn an_empty_upstream_is_listed(subject: Subject) {
    for via in Via::ALL {
        let mut mirror = Mirror::of(subject.clone(), Upstream::new(), via).await;
        mirror.upstream.set_head("trunk");
        let listed = mirror.list().await.expect("listed");
        assert_eq!((listed.refs.len(), listed.refused_names), (0, 0), "{via:?}");
        if subject.backend.capabilities().unborn_head {
            assert_eq!(listed.head, Some(branch("trunk")), "{via:?}");
            mirror.sync_and_compare().await;
        } else {
            assert_eq!(listed.head, None);
        }
    }
}

/// `HEAD` at a branch, detached, and dangling beside other branches.
pub async fn heads_are_told_as_they_are(subject: Subject) {
    for via in Via::ALL {
        let mirror = Mirror::of(subject.clone(), Upstream::new(), via).await;
        let tip = mirror.upstream.commit("main");
        mirror.upstream.branch("other", tip);
        assert_eq!(mirror.list().await.expect("listed").head, Some(branch("main")));
        mirror.upstream.set_head("other");
        assert_eq!(mirror.list().await.expect("listed").head, Some(branch("other")));
        mirror.upstream.detach_head(tip);
        assert_eq!(mirror.list().await.expect("listed").head, Some(Head::Detached(tip)));
        mirror.upstream.set_head("nowhere");
        let expected = subject.backend.capabilities().unborn_head.then(|| branch("nowhere"));
        let listed = mirror.list().await.expect("listed");
        assert_eq!((listed.head, listed.refs.len()), (expected, 2), "{via:?}");
    }
}

/// Names that are not UTF-8, hold blanks of Unicode, or look like options.
pub async fn odd_names_arrive_as_bytes(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    let tip = mirror.upstream.commit("main");
    let names: [&[u8]; 7] = [
        b"refs/heads/\xff\xfe",
        "refs/heads/ü/\u{a0}x\u{2003}".as_bytes(),
        b"refs/heads/-x",
        b"refs/heads/@",
        b"refs/heads/HEAD",
        b"refs/tags/a'b\"c$d",
        b"refs/heads/{a}",
    ];
    mirror.upstream.references(names.iter().map(|name| (*name, tip)));
    let synced = mirror.sync_and_compare().await;
    for name in names {
        assert!(synced.advertised.refs.iter().any(|one| one.name.as_bytes() == name), "{}", name.escape_ascii());
    }
    assert!(synced.advertised.refs.is_sorted_by(|one, other| one.name < other.name));
}

/// Many references, of which some change.
pub async fn two_thousand_references_are_mirrored(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    mirror.upstream.history("main", 50);
    let commits = mirror.upstream.git().ids(&["rev-list", "main"]);
    let name = |at: usize| format!("refs/heads/n/{}/{at}", at % 7).into_bytes();
    let all: Vec<_> = (0..2000).map(|at| (name(at), commits[at % 50])).collect();
    mirror.upstream.references(all.iter().map(|(name, id)| (name.as_slice(), *id)));
    assert_eq!(mirror.sync_and_compare().await.advertised.refs.len(), 2001);
    mirror.upstream.commit("n/0/0");
    mirror.upstream.delete("refs/heads/n/1/1");
    let new = mirror.upstream.commit("fresh");
    mirror.upstream.branch("n/2/2", new);
    assert_eq!(mirror.sync_and_compare().await.new_commits.len(), 2);
}

/// Failures of the way there and answers that are none.
pub async fn answers_that_are_none_have_their_kinds(subject: Subject) {
    let mirror = Mirror::new(subject.clone()).await;
    mirror.upstream.commit("main");
    let status = |code| Behaviour::Status(code, Vec::new());
    let body = |text: &str| Behaviour::Body("application/x-git-upload-pack-advertisement", text.as_bytes().to_vec());
    let moved = Behaviour::Status(301, vec![("Location", "http://127.0.0.1:1/x/info/refs".to_owned())]);
    let cases = [
        (status(401), ErrorKind::Unauthenticated),
        (status(403), ErrorKind::PermissionDenied),
        (status(404), ErrorKind::SourceNotFound),
        (status(500), ErrorKind::SourceUnreachable),
        (status(429), ErrorKind::RateLimited),
        (moved, ErrorKind::SourceRedirected),
        (Behaviour::Body("text/html", b"<html>".to_vec()), ErrorKind::Corrupt),
        (body("hello"), ErrorKind::Corrupt),
        (body("001e# service=git-upload-pack\n0000000bhello!\n0000"), ErrorKind::Corrupt),
        (Behaviour::CutAfter(40), ErrorKind::SourceUnreachable),
    ];
    for (behaviour, kind) in cases {
        let told = format!("{behaviour:?}");
        mirror.server.answer(Endpoint::Greeting, behaviour);
        let error = mirror.list().await.expect_err(&told);
        assert_eq!(error.kind(), kind, "{told}: {error}");
    }
    mirror.server.answer(Endpoint::Greeting, Behaviour::Serve);
    let absent = mirror.server.source("absent.git");
    let error = subject.backend.list_remote(&absent, &subject.context()).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::SourceNotFound);
}

/// A server that accepts and says nothing, or not all.
pub async fn a_stalled_listing_ends_by_its_limits(subject: Subject) {
    let mirror = Mirror::new(subject.clone()).await;
    mirror.upstream.commit("main");
    for behaviour in [Behaviour::Stall, Behaviour::StallAfter(60)] {
        mirror.server.answer(Endpoint::Greeting, behaviour);
        let (begun, context) = (Instant::now(), subject.context_within(Duration::from_millis(300)));
        let error = subject.backend.list_remote(&mirror.source(), &context).await.expect_err("it stalls");
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let context = subject.context();
        let cancellation = context.limits.cancellation.clone();
        let source = mirror.source();
        let (listed, ()) = tokio::join!(subject.backend.list_remote(&source, &context), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            cancellation.cancel();
        });
        assert_eq!(listed.expect_err("it was cancelled").kind(), ErrorKind::Cancelled);
        assert!(begun.elapsed() < Duration::from_secs(8), "it ends soon");
    }
}

fn branch(name: &str) -> Head {
    Head::Branch(RefName::branch(name).expect("a name"))
}
