//! What an error of gix means.

use std::io;

use gitsync_core::source::redact;
use gitsync_core::transport::said_by_upstream;
use gitsync_core::{Error, ErrorKind};
use gitsync_repository::upstream::Call;
use gix_transport::packetline::read::Error as ErrorLine;

/// Returns why a call failed: what was kept aside, or what the limits say, or else what can be made of gix's error.
pub(crate) fn explain(call: &Call, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    if let Some(kept) = call.failure.take() {
        return kept;
    }
    if let Err(ended) = call.limits.check() {
        return ended;
    }
    classified(call, gix::Error::from_error(error)).with("source", &call.source)
}

fn classified(call: &Call, error: gix::Error) -> Error {
    // The remark of a server that gave up explains more than how the stream then ended.
    let said = error.downcast_any_ref::<ErrorLine>().map(|line| line.message.to_string());
    if let Some(said) = said.or_else(|| call.failure.take_said()) {
        return said_by_upstream(&call.hide_secrets(&said));
    }
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::PermissionDenied];
    if let Some(local) = error.downcast_any_ref::<io::Error>().filter(|error| full.contains(&error.kind())) {
        return io::Error::new(local.kind(), local.to_string()).into();
    }
    let ended = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
    let (kind, what) = if error.is_resource_exhausted() {
        (ErrorKind::LimitExceeded, "an object is larger than allowed")
    } else if error.is_unsupported() {
        (ErrorKind::Unsupported, "the upstream lacks what is needed to fetch from it")
    } else if error.downcast_any_ref::<io::Error>().is_some_and(ended) {
        (ErrorKind::SourceUnreachable, "the upstream's answer ended early")
    } else {
        (ErrorKind::Corrupt, "the upstream's answer makes no sense")
    };
    let mut texts: Vec<String> =
        error.iter_errors().map(|error| redact(&call.hide_secrets(&error.to_string()))).collect();
    texts.dedup();
    Error::new(kind, format!("{what}: {}", texts.join(": "))).caused_by(error)
}
