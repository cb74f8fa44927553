//! What a server says when it gives up.

use gitsync_core::source::redact;
use gitsync_core::{Error, ErrorKind};

/// Understands the message of a server that gives up.
pub fn said_by_upstream(said: &str) -> Error {
    let mut said = redact(said);
    if let Some((at, _)) = said.char_indices().nth(500) {
        said.truncate(at);
    }
    let lower = said.to_ascii_lowercase();
    let about = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if lower.contains("not our ref") {
        // Between the listing and the fetch a branch was forced or deleted.
        Error::new(ErrorKind::SourceUnreachable, "the upstream changed while it was fetched from")
            .with("answer", said)
            .hint("nothing is wrong: it is listed and fetched again with the next attempt")
    } else if about(&["not exported", "not found", "does not exist", "no such", "not appear to be a git repository"]) {
        Error::new(ErrorKind::SourceNotFound, "the upstream has no such repository, or does not show it")
            .with("answer", said)
    } else {
        Error::new(ErrorKind::SourceUnreachable, "the upstream gave up").with("answer", said)
    }
}
