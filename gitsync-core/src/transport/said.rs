//! What a server says when it gives up.

use crate::error::{Error, ErrorKind};
use crate::source::redact;

/// How much of it is repeated.
const MAX_CHARS: usize = 500;

/// How git and the hosts say that a repository is not there, or not shown.
const NOT_THERE: [&str; 8] = [
    "not exported",
    "not found",
    "not be found",
    "cannot find repository",
    "does not exist",
    "no such",
    "not appear to be a git repository",
    "not a git repository",
];

/// How they say that it is there, and not for those who ask.
const NOT_ALLOWED: [&str; 9] = [
    "permission denied",
    "permission to",
    "access denied",
    "denied by",
    "not authorized",
    "not allowed",
    "not granted",
    "read only",
    "dubious ownership",
];

/// Understands the message of a server that gives up, be it git's or that of a host of repositories.
///
/// ```
/// use gitsync_core::ErrorKind;
/// use gitsync_core::transport::said_by_upstream;
///
/// let error = said_by_upstream("access denied or repository not exported: /a.git");
/// assert_eq!(error.kind(), ErrorKind::SourceNotFound);
/// ```
pub fn said_by_upstream(said: &str) -> Error {
    let mut said = redact(said);
    if let Some((at, _)) = said.char_indices().nth(MAX_CHARS) {
        said.truncate(at);
    }
    let lower = said.to_ascii_lowercase();
    let about = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if lower.contains("not our ref") {
        // Between the listing and the fetch a branch was forced or deleted.
        Error::new(ErrorKind::SourceUnreachable, "the upstream changed while it was fetched from")
            .with("answer", said)
            .hint("nothing is wrong: it is listed and fetched again with the next attempt")
    } else if about(&NOT_THERE) {
        Error::new(ErrorKind::SourceNotFound, "the upstream has no such repository, or does not show it")
            .with("answer", said)
            .hint("check the spelling, and what the configured credentials may see")
    } else if about(&NOT_ALLOWED) {
        Error::new(ErrorKind::PermissionDenied, "the upstream does not allow it")
            .with("answer", said)
            .hint("check what the configured credentials may do")
    } else {
        Error::new(ErrorKind::SourceUnreachable, "the upstream gave up").with("answer", said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_has_a_kind() {
        let table = [
            ("upload-pack: not our ref 0123", ErrorKind::SourceUnreachable),
            ("access denied or repository not exported: /a", ErrorKind::SourceNotFound),
            ("fatal: '/a' does not appear to be a git repository", ErrorKind::SourceNotFound),
            ("ERROR: Repository not found.", ErrorKind::SourceNotFound),
            (
                "The project you were looking for could not be found or you don't have permission",
                ErrorKind::SourceNotFound,
            ),
            ("Cannot find repository: me/a", ErrorKind::SourceNotFound),
            ("ERROR: Permission to me/a.git denied to deploy key", ErrorKind::PermissionDenied),
            ("ERROR: The key you are authenticating with has been marked as read only.", ErrorKind::PermissionDenied),
            ("User 1 with key 2 is not authorized to write to me/a", ErrorKind::PermissionDenied),
            ("You are not allowed to push code to this project.", ErrorKind::PermissionDenied),
            ("out of memory", ErrorKind::SourceUnreachable),
            ("", ErrorKind::SourceUnreachable),
        ];
        for (said, expected) in table {
            assert_eq!(said_by_upstream(said).kind(), expected, "{said}");
        }
        assert!(!said_by_upstream("no https://me:s3cret@host/a").to_string().contains("s3cret"));
    }
}
