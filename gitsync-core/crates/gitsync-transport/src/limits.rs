//! Makes blocking calls end.
//!
//! Pooled connections outlive the calls that use them, and the HTTP client between us and the socket knows nothing of
//! cancellation. So the thread that carries out a call remembers its limits, and whatever blocks beneath (resolving,
//! connecting, reading, writing) does so in slices and looks at the limits between them.

use std::cell::RefCell;
use std::io;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use gitsync_core::transport::{CallLimits, IDLE_SECONDS};
use gitsync_core::{Error, ErrorKind, Result};

/// How long anything blocks before it looks at the limits again.
pub(crate) const SLICE: Duration = Duration::from_millis(200);

thread_local! {
    static CURRENT: RefCell<Option<Guard>> = const { RefCell::new(None) };
}

/// The limits of a call, and how long its upstream may be silent.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) limits: CallLimits,
    pub(crate) idle: Duration,
}

impl Guard {
    /// Does something under these limits.
    pub(crate) fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Puts the former limits back, also when the work panics.
        struct Restore(Option<Guard>);
        impl Drop for Restore {
            fn drop(&mut self) {
                let _ = CURRENT.try_with(|current| current.replace(self.0.take()));
            }
        }
        let _restore = Restore(CURRENT.try_with(|current| current.replace(Some(self.clone()))).ok().flatten());
        work()
    }
}

/// Returns an error once the current call has to end.
fn check(silent_since: Instant) -> io::Result<()> {
    let guard = CURRENT.try_with(|current| current.borrow().clone()).ok().flatten();
    let Some(guard) = guard else {
        return Ok(());
    };
    guard.limits.check().map_err(into_io)?;
    check_idle(silent_since, guard.idle).map_err(into_io)
}

/// Returns an error once an upstream was silent for too long.
pub(crate) fn check_idle(silent_since: Instant, idle: Duration) -> Result<()> {
    if silent_since.elapsed() < idle {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Timeout, "the upstream stopped answering")
        .with(IDLE_SECONDS, idle.as_secs())
        .hint("the server or the network is overloaded; it will be tried again"))
}

/// Repeats an attempt that blocks for at most a [`SLICE`] until it gets anywhere.
pub(crate) fn in_slices<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let started = Instant::now();
    loop {
        check(started)?;
        match attempt() {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            done => return done,
        }
    }
}

/// Does something that cannot block in slices on a thread of its own, which is left alone if the call ends before.
///
/// Such threads end by themselves: the operating system bounds how long it resolves and connects.
pub(crate) fn on_a_thread<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::Builder::new().name("gitsync-net".to_owned()).spawn(move || {
        // Nobody listens any more if the call ended.
        let _ = sender.send(work());
    })?;
    let started = Instant::now();
    loop {
        check(Instant::now())?;
        match receiver.recv_timeout(SLICE.min(limit.saturating_sub(started.elapsed()))) {
            Ok(done) => return done,
            Err(RecvTimeoutError::Timeout) if started.elapsed() < limit => {}
            Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
            Err(RecvTimeoutError::Disconnected) => return Err(io::Error::other("a network thread panicked")),
        }
    }
}

/// Counts what an upstream sends.
#[derive(Debug)]
pub(crate) struct Meter {
    left: u64,
}

impl Meter {
    pub(crate) fn new(limits: &CallLimits) -> Self {
        Meter { left: limits.max_response_bytes }
    }

    /// Counts so many bytes, or says that they are too many.
    pub(crate) fn add(&mut self, bytes: u64) -> Result<()> {
        self.left = self.left.checked_sub(bytes).ok_or_else(too_large)?;
        Ok(())
    }

    /// Tells early what a declared length will come to.
    pub(crate) fn expect(&self, bytes: u64) -> Result<()> {
        if bytes > self.left { Err(too_large()) } else { Ok(()) }
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::LimitExceeded, "the upstream sends more than the limit allows")
        .hint("raise the limit on bytes if the repository is really that large")
}

/// Wraps an error so that it can travel through `std::io`.
pub(crate) fn into_io(error: Error) -> io::Error {
    io::Error::other(error)
}

/// Finds the error of ours inside.
pub(crate) fn from_io(error: &io::Error) -> Option<Error> {
    inside(error).cloned()
}

/// Finds an error of this type inside, however often it was wrapped.
pub(crate) fn inside<E: std::error::Error + 'static>(error: &io::Error) -> Option<&E> {
    let inner = error.get_ref()?;
    if let Some(error) = inner.downcast_ref::<E>() {
        return Some(error);
    }
    if let Some(error) = inner.downcast_ref::<io::Error>() {
        return inside(error);
    }
    match inner.downcast_ref::<ureq::Error>()? {
        ureq::Error::Io(error) => inside(error),
        _ => None,
    }
}
