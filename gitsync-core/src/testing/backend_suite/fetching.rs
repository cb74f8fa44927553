//! Fetches that fail, and what they leave: nothing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Mirror, Subject, Via};
use crate::backend::{FetchRequest, ProgressSink};
use crate::error::ErrorKind;
use crate::testing::http_server::{Behaviour, Endpoint};

/// How much of a pack is sent before a server misbehaves.
const SOME: usize = 20_000;

/// A mirror that has something, and an upstream that has much more.
async fn behind(subject: &Subject) -> Mirror {
    let mut mirror = Mirror::new(subject.clone()).await;
    mirror.upstream.history("main", 5);
    mirror.sync_and_compare().await;
    mirror.upstream.history("main", 500);
    mirror
}

/// Cancelled while the pack comes in.
pub async fn a_cancelled_fetch_leaves_nothing(subject: Subject) {
    let mut mirror = behind(&subject).await;
    let before = mirror.object_files();
    let tip = mirror.upstream.tip("main").expect("a tip");
    mirror.server.answer(Endpoint::Command, Behaviour::StallAfter(SOME));
    let (context, request) = (subject.context(), mirror.request(&[tip]));
    let cancellation = context.limits.cancellation.clone();
    let (fetched, ()) = tokio::join!(subject.backend.fetch(mirror.dir(), &request, &context), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancellation.cancel();
    });
    assert_eq!(fetched.expect_err("it was cancelled").kind(), ErrorKind::Cancelled);
    assert_eq!(mirror.object_files(), before);
    mirror.server.answer(Endpoint::Command, Behaviour::Serve);
    mirror.sync_and_compare().await;
}

/// Too late while the pack comes in.
pub async fn a_fetch_past_its_deadline_leaves_nothing(subject: Subject) {
    let mirror = behind(&subject).await;
    let before = mirror.object_files();
    let tip = mirror.upstream.tip("main").expect("a tip");
    for behaviour in [Behaviour::Stall, Behaviour::StallAfter(SOME)] {
        mirror.server.answer(Endpoint::Command, behaviour);
        let context = subject.context_within(Duration::from_millis(400));
        let fetched = subject.backend.fetch(mirror.dir(), &mirror.request(&[tip]), &context).await;
        assert_eq!(fetched.expect_err("it is late").kind(), ErrorKind::Timeout);
        assert_eq!(mirror.object_files(), before);
    }
}

/// More bytes or objects than allowed. The objects are counted before they come in, so that a short answer is too long.
pub async fn a_fetch_past_a_bound_leaves_nothing(subject: Subject) {
    for via in Via::ALL {
        let mut mirror = behind(&subject).await;
        mirror.reach(via);
        let before = mirror.object_files();
        let request = mirror.request(&[mirror.upstream.tip("main").expect("a tip")]);
        // 500 commits with a tree and a blob each.
        for (what, request) in [
            ("bytes", FetchRequest { max_pack_bytes: 10_000, ..request.clone() }),
            ("objects", FetchRequest { max_pack_objects: 1_499, ..request.clone() }),
        ] {
            let fetched = subject.backend.fetch(mirror.dir(), &request, &subject.context()).await;
            let error = fetched.expect_err("it is too much");
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{what} by {via:?}: {error}");
            assert!(error.hint_text().is_some(), "{what} by {via:?}: {error}");
            assert_eq!(mirror.object_files(), before, "{what} by {via:?}");
        }
        let exact = FetchRequest { max_pack_objects: 1_500, ..request };
        subject.backend.fetch(mirror.dir(), &exact, &subject.context()).await.expect("it is not too much");
        mirror.sync_and_compare().await;
    }
}

/// Less room than is to stay free, before anything came in.
pub async fn a_fetch_onto_a_full_disk_asks_for_nothing(subject: Subject) {
    let mut mirror = behind(&subject).await;
    let before = mirror.object_files();
    let mut request = mirror.request(&[mirror.upstream.tip("main").expect("a tip")]);
    request.min_free_bytes = u64::MAX;
    mirror.server.answer(Endpoint::Command, Behaviour::Stall);
    let fetched = subject.backend.fetch(mirror.dir(), &request, &subject.context()).await;
    let error = fetched.expect_err("there is never as much room");
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    assert!(error.is_retryable());
    assert_eq!(mirror.object_files(), before);
    mirror.server.answer(Endpoint::Command, Behaviour::Serve);
    mirror.sync_and_compare().await;
}

/// Room that goes while a pack comes in.
pub async fn a_fetch_that_fills_the_disk_leaves_nothing(subject: Subject) {
    const ROOM: u64 = 64 << 20;
    for via in Via::ALL {
        let mut mirror = behind(&subject).await;
        mirror.reach(via);
        mirror.upstream.noise("main", 5 << 18);
        let before = mirror.object_files();
        let elsewhere =
            tempfile::tempdir_in(mirror.dir().parent().expect("it is in a directory")).expect("a directory");
        let filler = Arc::new(Filler { file: elsewhere.path().join("filler"), bytes: 4 * ROOM });
        let mut context = subject.context();
        context.progress = Arc::clone(&filler) as Arc<dyn ProgressSink>;
        let mut request = mirror.request(&[mirror.upstream.tip("main").expect("a tip")]);
        request.min_free_bytes = free_bytes(mirror.dir()).checked_sub(ROOM).expect("there is some room");
        let fetched = subject.backend.fetch(mirror.dir(), &request, &context).await;
        let error = fetched.expect_err("the room is gone");
        assert_eq!(error.kind(), ErrorKind::DiskFull, "{via:?}: {error}");
        assert!(filler.file.exists(), "it began to come in");
        assert_eq!(mirror.object_files(), before, "{via:?}");
        drop(elsewhere);
        mirror.sync_and_compare().await;
    }
}

/// Takes up room on a disk as soon as something was received.
struct Filler {
    file: PathBuf,
    bytes: u64,
}

impl ProgressSink for Filler {
    fn received(&self, _objects: u64, _bytes: u64) {
        if let Ok(file) = File::create_new(&self.file) {
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, self.bytes).expect("there is room");
        }
    }
}

fn free_bytes(dir: &Path) -> u64 {
    let room = rustix::fs::statvfs(dir).expect("the disk tells");
    room.f_bavail * room.f_frsize
}

/// A pack that ends early, and one that is none.
pub async fn a_cut_or_garbled_pack_leaves_nothing(subject: Subject) {
    let mut mirror = behind(&subject).await;
    let before = mirror.object_files();
    let request = mirror.request(&[mirror.upstream.tip("main").expect("a tip")]);
    let result = |text: &[u8]| Behaviour::Body("application/x-git-upload-pack-result", text.to_vec());
    let cases = [
        (Behaviour::CutAfter(SOME), true),
        (Behaviour::Status(503, Vec::new()), true),
        (result(b"0008NAK\n0011\x01not a pack!0000"), false),
        (result(b"0008NAK\n0025\x01PACK\0\0\0\x02\0\0\0\x01xxxxxxxxxxxxxxxxxxxx0000"), false),
        // A complete pack, with nothing in it.
        (
            result(
                b"0008NAK\n0025\x01PACK\0\0\0\x02\0\0\0\0\
                  \x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e0000",
            ),
            false,
        ),
        (Behaviour::Body("text/plain", b"hello".to_vec()), false),
    ];
    for (behaviour, retryable) in cases {
        let told = format!("{behaviour:?}");
        mirror.server.answer(Endpoint::Command, behaviour);
        let fetched = subject.backend.fetch(mirror.dir(), &request, &subject.context()).await;
        let error = fetched.expect_err(&told);
        assert_eq!(error.is_retryable(), retryable, "{told}: {error:?}");
        assert!(retryable || error.kind() == ErrorKind::Corrupt, "{told}: {error:?}");
        assert_eq!(mirror.object_files(), before, "{told}");
    }
    mirror.server.answer(Endpoint::Command, Behaviour::Serve);
    mirror.sync_and_compare().await;
}

/// A branch is forced between the listing and the fetch.
pub async fn an_upstream_that_moves_meanwhile_is_worth_another_try(subject: Subject) {
    let mut mirror = behind(&subject).await;
    let before = mirror.object_files();
    let listed = mirror.list().await.expect("listed");
    let wanted: Vec<_> = listed.refs.iter().map(|one| one.id).collect();
    let other = mirror.upstream.commit_on(&[]);
    mirror.upstream.branch("main", other);
    let git = mirror.upstream.git();
    git.run(&["reflog", "expire", "--expire=now", "--all"]);
    git.run(&["gc", "--quiet", "--prune=now"]);
    let fetched = subject.backend.fetch(mirror.dir(), &mirror.request(&wanted), &subject.context()).await;
    let error = fetched.expect_err("the commit is gone");
    assert!(error.is_retryable(), "{error:?}");
    assert_eq!(mirror.object_files(), before);
    mirror.sync_and_compare().await;
}

/// What both have is not sent again.
pub async fn incremental_fetches_are_small(subject: Subject) {
    let mut mirror = Mirror::new(subject).await;
    mirror.upstream.history("main", 300);
    for at in 0..20 {
        let base = mirror.upstream.git().id(&format!("main~{at}"));
        mirror.upstream.branch(&format!("old/{at}"), base);
    }
    mirror.sync_and_compare().await;
    mirror.upstream.commit("main");
    let tip = mirror.upstream.commit("old/7");
    mirror.upstream.branch("new", tip);
    let fetched = mirror.sync_and_compare().await.fetched.expect("something is new");
    assert_eq!(fetched.objects, 6, "two commits with a tree and a blob each");
}

/// Requests that cannot be carried out.
pub async fn nothing_wanted_or_no_repository_is_an_error(subject: Subject) {
    let mirror = behind(&subject).await;
    let tip = mirror.upstream.tip("main").expect("a tip");
    let (backend, context) = (&subject.backend, subject.context());
    let absent = mirror.dir().join("absent");
    let error = backend.fetch(&absent, &mirror.request(&[tip]), &context).await.expect_err("there is none");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = backend.fetch(mirror.dir(), &mirror.request(&[]), &context).await.expect_err("nothing is wanted");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// Progress grows, and ends with the totals.
pub async fn progress_is_reported(subject: Subject) {
    #[derive(Debug, Default)]
    struct Seen {
        last: Mutex<(u64, u64)>,
        reports: AtomicU64,
    }
    impl ProgressSink for Seen {
        fn received(&self, objects: u64, bytes: u64) {
            let mut last = self.last.lock().expect("nobody panics");
            assert!(bytes >= last.1, "it never shrinks");
            *last = (objects, bytes);
            self.reports.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mirror = behind(&subject).await;
    let tip = mirror.upstream.tip("main").expect("a tip");
    let (mut context, seen) = (subject.context(), Arc::new(Seen::default()));
    context.progress = Arc::clone(&seen) as Arc<dyn ProgressSink>;
    let fetched = subject.backend.fetch(mirror.dir(), &mirror.request(&[tip]), &context).await.expect("fetched");
    assert_eq!(*seen.last.lock().expect("nobody panics"), (fetched.objects, fetched.bytes));
    assert!(seen.reports.load(Ordering::Relaxed) > 0);
}
