//! What the failure of a connection means.

use std::io;

use gitsync_core::source::{SourceUrl, redact};
use gitsync_core::{Error, ErrorKind};

use crate::limits::from_io;
use crate::tls;

/// Returns the error of ours that is inside, or says what the operating system's means.
pub(crate) fn io_error(error: &io::Error, source: &SourceUrl) -> Error {
    if let Some(error) = from_io(error) {
        return if error.context().any(|(key, _)| key == "url") { error } else { error.with("url", source) };
    }
    if let Some(error) = tls::explain(error) {
        return error.with("url", source);
    }
    let (message, hint) = match error.kind() {
        io::ErrorKind::ConnectionRefused => ("the server refuses connections", "check host and port"),
        io::ErrorKind::TimedOut => ("the server does not answer", "check host and port, and firewalls on the way"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            ("the server ended the connection early", "the server or the network is overloaded; it will be tried again")
        }
        _ => ("the server cannot be reached", "check host and port, and the network of this machine"),
    };
    Error::new(ErrorKind::SourceUnreachable, message)
        .with("url", source)
        .with("reason", redact(&error.to_string()))
        .hint(hint)
}

/// The credentials are not of a kind that such sources take.
pub(crate) fn unusable(url: &SourceUrl, hint: &str) -> Error {
    Error::new(ErrorKind::Unauthenticated, "the configured credentials cannot be used for this source")
        .with("url", url)
        .hint(hint)
}
