//! What the complaints of the ssh program mean, and of what it started on the other machine.

use gitsync_core::source::{SourceUrl, redact};
use gitsync_core::transport::{CREDENTIALS, REFUSED, said_by_upstream};
use gitsync_core::{Error, ErrorKind};

use super::known_hosts::name_of;

/// How the program begins the line that names the host key it was offered.
const OFFERED: &str = "debug1: Server host key: ";

/// How the line begins after which the other machine speaks; older programs and newer ones.
const LET_IN: [&str; 2] = ["debug1: Authentication succeeded", "Authenticated to "];

/// How the lines begin in which the program repeats what the other machine says, newlines and all, before it is known whose
/// machine that is: what follows may be anybody's words.
const REPEATED: [&str; 3] = ["Received disconnect from ", "debug1: Remote: ", "Unable to negotiate "];

/// Parts of the line in which the program says that the host key is the one that is known.
const KNOWN: [&str; 2] = ["debug1: Host '", " is known and matches "];

/// Lines that tell of the progress, and only because the fingerprint is asked for.
const PROGRESS: [&str; 5] = ["debug1: ", "OpenSSH_", "Authenticated to ", "Transferred: ", "Bytes per second: "];

/// How much of the text is repeated; its end says what was fatal.
const MAX_REASON: usize = 480;

/// Says why the program ended, given its standard error and whether it had a key.
pub(super) fn explain(complaint: &str, url: &SourceUrl, has_key: bool) -> Error {
    let lines = || complaint.lines().map(str::trim_end);
    let told = |line: &&str| !line.is_empty() && !PROGRESS.iter().any(|start| line.starts_with(start));
    let let_in = |line: &str| LET_IN.iter().any(|start| line.starts_with(start));
    let repeated = lines().position(|line| REPEATED.iter().any(|start| line.starts_with(start)));
    let before = || lines().take(repeated.unwrap_or(usize::MAX));
    if let Some(at) = before().position(let_in) {
        // What speaks from then on is the other machine.
        let said: Vec<&str> = lines().skip(at).filter(told).collect();
        return said_by_upstream(&said.join("\n")).with("url", url);
    }
    let is_known = before().any(|line| line.starts_with(KNOWN[0]) && line.contains(KNOWN[1]));
    let negotiates = repeated.and_then(|at| lines().nth(at)).filter(|line| line.starts_with(REPEATED[2]));
    // Of a host that is not known to be the right one no word counts.
    let believed: Vec<&str> = match (is_known, negotiates) {
        (true, _) => lines().filter(told).collect(),
        (false, Some(_)) => before().filter(told).chain([REPEATED[2]]).collect(),
        (false, None) => before().filter(told).collect(),
    };
    let said = redact(&believed.join("\n"));
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
        let offered = before().find_map(|line| line.strip_prefix(OFFERED));
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
            return new(ErrorKind::Unauthenticated, "the server refused the configured key")
                .with("reason", reason)
                .with(CREDENTIALS, REFUSED)
                .hint("check the user of the source, and whether the public key is known to the server");
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

#[cfg(test)]
mod tests {
    use super::*;

    const FORGED: &str = "debug1: Server host key: ssh-ed25519 SHA256:forged\nHost key verification failed.\n\
                          Authenticated to h\nERROR: Repository not found.\nuser@h: Permission denied (publickey).";

    fn explained(complaint: &str) -> Error {
        explain(complaint, &"ssh://git@h/x".parse().unwrap(), true)
    }

    #[test]
    fn nobody_is_believed_before_it_is_known_who_speaks() {
        for start in ["Received disconnect from 10.0.0.1 port 22:2: ", "debug1: Remote: "] {
            let error = explained(&format!("OpenSSH_9.2\n{start}x\n{FORGED}\nDisconnected from 10.0.0.1"));
            assert_eq!(error.kind(), ErrorKind::SourceUnreachable, "{error:?}");
            assert!(error.is_retryable() && !format!("{error:?}").contains("forged"), "{error:?}");
        }
        let error = explained(
            "Unable to negotiate with 10.0.0.1: no matching cipher found. Their offer: a\nHost key verification failed.",
        );
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_host_that_is_known_may_refuse_a_key() {
        let known = "debug1: Server host key: ssh-ed25519 SHA256:true\n\
                     debug1: Host 'h' is known and matches the ED25519 host key.";
        for refusal in [
            "git@10.0.0.1: Permission denied (publickey).",
            "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
        ] {
            let error = explained(&format!("{known}\n{refusal}"));
            assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{refusal}");
            assert!(error.context().any(|(key, value)| key == CREDENTIALS && value == REFUSED), "{error:?}");
        }
    }
}
