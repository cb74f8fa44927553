use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Instant;

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;
use crate::engine::metrics::THREADS_ABANDONED;
use crate::model::{Commit, ObjectId};

fn limits(within: Duration) -> CallLimits {
    CallLimits { cancellation: Cancellation::new(), deadline: Instant::now() + within, max_response_bytes: 0 }
}

fn minute() -> CallLimits {
    limits(Duration::from_secs(60))
}

fn commit(number: u8) -> Commit {
    crate::model::CommitObject::new(b"tree x\n\nmessage").decode(ObjectId::Sha1([number; 20]))
}

async fn next(stream: &mut CommitStream) -> Option<Result<Vec<Commit>>> {
    std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..500 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come true");
}

#[tokio::test]
async fn a_panic_is_an_error_and_frees_the_place() {
    let pool = BlockingPool::new(1);
    for _ in 0..2 {
        let error = pool.run(|| -> Result<()> { panic!("ouch {}", 7) }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("ouch 7"), "{error}");
    }
    let error = pool.run_within(&minute(), |_| -> Result<()> { panic!("ouch") }).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert_eq!(pool.abandoned(), 0);
}

#[tokio::test]
async fn work_that_listens_ends_with_the_error_of_what_ended_it() {
    let pool = BlockingPool::new(1);
    let listens = |limits: &CallLimits| -> Result<()> {
        loop {
            limits.check()?;
            thread::sleep(Duration::from_millis(5));
        }
    };
    let error = pool.run_within(&limits(Duration::from_millis(50)), listens).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let limits = minute();
    let cancel = limits.cancellation.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        cancel.cancel();
    });
    assert_eq!(pool.run_within(&limits, listens).await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(pool.abandoned(), 0);
    // Dropping the call ends the work, too.
    let dropped = tokio::time::timeout(Duration::from_millis(20), pool.run_within(&minute(), listens)).await;
    assert!(dropped.is_err());
    pool.run(|| Ok(())).await.unwrap();
}

#[tokio::test]
async fn work_that_does_not_listen_is_abandoned_and_keeps_its_place() {
    let recorder = DebuggingRecorder::new();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let pool = BlockingPool::new(1).with_grace(Duration::from_millis(20));
    let (release, released) = mpsc::channel::<()>();
    let deaf = move |_: &CallLimits| {
        released.recv().ok();
        Ok(())
    };
    let begun = Instant::now();
    let error = pool.run_within(&limits(Duration::from_millis(20)), deaf).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(pool.abandoned(), 1);
    let measured = recorder.snapshotter().snapshot().into_vec();
    let measured: Vec<_> =
        measured.into_iter().map(|(key, _, _, value)| (key.key().name().to_owned(), value)).collect();
    assert_eq!(measured, [(THREADS_ABANDONED.to_owned(), DebugValue::Gauge(1.0.into()))]);
    let error = pool.run_within(&limits(Duration::from_millis(20)), |_| Ok(())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "there is no place");
    release.send(()).unwrap();
    pool.run_within(&minute(), |_| Ok(())).await.unwrap();
    until(|| pool.abandoned() == 0).await;
}

#[tokio::test]
async fn a_walk_comes_in_batches_and_ends_when_it_is_dropped() {
    let pool = BlockingPool::new(1);
    let batch = BatchLimits { commits: 3, bytes: usize::MAX };
    let walk = |_: &CallLimits, sink: &mut CommitSink| {
        (0..7).for_each(|number| assert!(sink.push(commit(number))));
        Ok(())
    };
    let mut stream = pool.walk(&minute(), batch, walk).await.unwrap();
    let mut sizes = Vec::new();
    while let Some(batch) = next(&mut stream).await {
        sizes.push(batch.unwrap().len());
    }
    assert_eq!(sizes, [3, 3, 1]);
    assert!(next(&mut stream).await.is_none());
    let small = BatchLimits { commits: 100, bytes: 1 };
    let mut stream = pool.walk(&minute(), small, walk).await.unwrap();
    assert_eq!(next(&mut stream).await.unwrap().unwrap().len(), 1, "a batch is bounded by bytes as well");
    // The place is given back although most was never read.
    drop(stream);
    let endless = |_: &CallLimits, sink: &mut CommitSink| {
        while sink.push(commit(1)) {}
        Ok(())
    };
    drop(pool.walk(&minute(), batch, endless).await.unwrap());
    drop(pool.walk(&minute(), batch, endless).await.unwrap());
}

#[tokio::test]
async fn a_walk_ends_with_its_error_its_panic_or_its_limits() {
    let pool = BlockingPool::new(1).with_grace(Duration::from_millis(50));
    let batch = BatchLimits { commits: 1, bytes: usize::MAX };
    let fails = |_: &CallLimits, sink: &mut CommitSink| {
        sink.push(commit(1));
        Err(Error::new(ErrorKind::Corrupt, "missing"))
    };
    let mut stream = pool.walk(&minute(), batch, fails).await.unwrap();
    assert_eq!(next(&mut stream).await.unwrap().unwrap().len(), 1);
    assert_eq!(next(&mut stream).await.unwrap().unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(next(&mut stream).await.is_none());

    let mut stream = pool.walk(&minute(), batch, |_, _| panic!("ouch")).await.unwrap();
    assert_eq!(next(&mut stream).await.unwrap().unwrap_err().kind(), ErrorKind::Internal);

    let busy = |limits: &CallLimits, sink: &mut CommitSink| {
        while sink.push(commit(1)) {
            limits.check()?;
        }
        Ok(())
    };
    let mut stream = pool.walk(&limits(Duration::from_millis(50)), batch, busy).await.unwrap();
    let error = loop {
        if let Err(error) = next(&mut stream).await.unwrap() {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Timeout);

    let deaf = |_: &CallLimits, _: &mut CommitSink| {
        thread::sleep(Duration::from_millis(400));
        Ok(())
    };
    let limits = minute();
    let mut stream = pool.walk(&limits, batch, deaf).await.unwrap();
    limits.cancellation.cancel();
    assert_eq!(next(&mut stream).await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(stream);
    assert_eq!(pool.abandoned(), 1);
    until(|| pool.abandoned() == 0).await;
}

#[tokio::test]
async fn a_stream_is_polled_without_a_result_until_there_is_one() {
    let pool = BlockingPool::new(1);
    let (release, released) = mpsc::channel::<()>();
    let mut stream = pool
        .walk(&minute(), BatchLimits::default(), move |_, sink| {
            released.recv().ok();
            sink.push(commit(1));
            Ok(())
        })
        .await
        .unwrap();
    let first = std::future::poll_fn(|context| Poll::Ready(stream.as_mut().poll_next(context).is_pending())).await;
    assert!(first);
    release.send(()).unwrap();
    assert_eq!(next(&mut stream).await.unwrap().unwrap().len(), 1);
}
