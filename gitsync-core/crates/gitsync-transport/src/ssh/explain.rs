//! What the complaints of the ssh program mean, and of what it started on the other machine.

use gitsync_core::source::{SourceUrl, redact};
use gitsync_core::transport::said_by_upstream;
use gitsync_core::{Error, ErrorKind};

use super::known_hosts::name_of;

/// How the program begins the line that names the host key it was offered. It comes before anything the server could write.
const OFFERED: &str = "debug1: Server host key: ";

/// How the line begins after which the other machine speaks; older programs and newer ones.
const LET_IN: [&str; 2] = ["debug1: Authentication succeeded", "Authenticated to "];

/// Lines that tell of the progress, and only because the fingerprint is asked for.
const PROGRESS: [&str; 5] = ["debug1: ", "OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: "];

/// How much of the text is repeated; its end says what was fatal.
const MAX_REASON: usize = 480;

/// Says why the program ended, given its standard error and whether it had a key.
pub(super) fn explain(complaint: &str, url: &SourceUrl, has_key: bool) -> Error {
    let lines = || complaint.lines().map(str::trim_end);
    let told = |line: &&str| !line.is_empty() && !PROGRESS.iter().any(|start| line.starts_with(start));
    let let_in = |line: &str| LET_IN.iter().any(|start| line.starts_with(start));
    if let Some(at) = lines().position(let_in) {
        // What speaks from then on is the other machine.
        let said: Vec<&str> = lines().skip(at).filter(told).collect();
        return said_by_upstream(&said.join("\n")).with("url", url);
    }
    let said = redact(&lines().filter(told).collect::<Vec<_>>().join("\n"));
    let reason = &said[said.ceil_char_boundary(said.len().saturating_sub(MAX_REASON))..];
    let lower = said.to_ascii_lowercase();
    let about = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let new = |kind, message: &str| Error::new(kind, message).with("url", url);
    if about(&["host key verification failed", "host key for", "host key is known"]) {
        let (message, hint) = if lower.contains("revoked host key") {
            ("the key of the host is marked as revoked", "the host must not be trusted; see known_hosts")
        } else if lower.contains("has changed") {
            (
                "the key of the host is not the one that is known",
                "somebody may be in between; if the operator of the host confirms the fingerprint, replace the line in \
                 known_hosts",
            )
        } else {
            (
                "the key of the host is not known",
                "if the operator of the host confirms the fingerprint, add the line that ssh-keyscan prints to known_hosts",
            )
        };
        let error = new(ErrorKind::SourceRefused, message).with("known_as", name_of(url)).hint(hint);
        let offered = lines().find_map(|line| line.strip_prefix(OFFERED));
        return match offered.and_then(|offered| offered.split_once(' ')) {
            Some((kind, fingerprint)) => error.with("key", kind).with("fingerprint", fingerprint),
            None => error,
        };
    }
    let (kind, message, hint) = if about(&["load key", "permissions for"]) && has_key {
        (
            ErrorKind::Unauthenticated,
            "the configured key cannot be read",
            "it has to be a private key in the format of OpenSSH or PEM",
        )
    } else if about(&["permission denied (", "too many authentication failures"]) {
        if has_key {
            (
                ErrorKind::Unauthenticated,
                "the server refused the configured key",
                "check the user of the source, and whether the public key is known to the server",
            )
        } else {
            (ErrorKind::Unauthenticated, "the server asks for a key", "configure a private key for the host")
        }
    } else if about(&["unable to negotiate", "no matching "]) {
        (
            ErrorKind::Unsupported,
            "the server and the ssh program know no algorithm in common",
            "the server is too old; use an https source",
        )
    } else if about(&["bad configuration option", "unsupported option", "no user exists"]) {
        (
            ErrorKind::Unsupported,
            "the ssh program cannot be used",
            "a newer OpenSSH, and a user with a name, are needed",
        )
    } else if lower.contains("connection refused") {
        (ErrorKind::SourceUnreachable, "the server refuses connections", "check host and port")
    } else if lower.contains("timed out") {
        (ErrorKind::SourceUnreachable, "the server does not answer", "check host and port, and firewalls on the way")
    } else if about(&["connection closed by", "connection reset by", "closed by remote host", "disconnected from"]) {
        (
            ErrorKind::SourceUnreachable,
            "the server ended the connection early",
            "the server or the network is overloaded; it will be tried again",
        )
    } else {
        (
            ErrorKind::SourceUnreachable,
            "the server cannot be reached",
            "check host and port, and the network of this machine",
        )
    };
    new(kind, message).with("reason", reason).hint(hint)
}
