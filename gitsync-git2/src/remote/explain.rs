//! What an error of libgit2 means.

use git2::{ErrorClass, ErrorCode};
use gitsync_core::source::redact;
use gitsync_core::transport::said_by_upstream;
use gitsync_core::{Error, ErrorKind};
use gitsync_repository::upstream::Call;

/// How libgit2 passes on the last word of a server that gives up.
const SAID: &str = "remote error: ";

/// Returns why a call failed: what was kept aside, or what the limits say, or else what can be made of libgit2's error.
pub(crate) fn explain(call: &Call, error: git2::Error) -> Error {
    if let Some(kept) = call.failure.take() {
        return kept;
    }
    if let Err(ended) = call.limits.check() {
        return ended;
    }
    classified(call, error).with("source", &call.source)
}

fn classified(call: &Call, error: git2::Error) -> Error {
    let said = error.message().strip_prefix(SAID).map(str::to_owned);
    if let Some(said) = said.or_else(|| call.failure.take_said()) {
        return said_by_upstream(&call.hide_secrets(&said));
    }
    let text = redact(&call.hide_secrets(error.message()));
    let (kind, what) = match (error.class(), error.code()) {
        (ErrorClass::Os, _) if text.contains("No space left") => (ErrorKind::DiskFull, "the disk is full"),
        (ErrorClass::Os, _) => (ErrorKind::Internal, "the disk cannot be written"),
        (ErrorClass::NoMemory, _) => (ErrorKind::LimitExceeded, "an object is larger than allowed"),
        (_, ErrorCode::Eof) => (ErrorKind::SourceUnreachable, "the upstream's answer ended early"),
        _ => (ErrorKind::Corrupt, "the upstream's answer makes no sense"),
    };
    Error::new(kind, format!("{what}: {text}")).caused_by(error)
}
