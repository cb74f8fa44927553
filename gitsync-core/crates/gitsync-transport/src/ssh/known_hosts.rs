//! Which host keys are trusted.

use gitsync_core::source::{Scheme, SourceUrl};
use gitsync_core::watched_file::{Access, read_text};
use gitsync_core::{Error, ErrorKind, Result};
use secrecy::ExposeSecret as _;

use crate::NetOptions;

/// Returns what the files hold, and the further lines.
///
/// # Errors
/// [`ErrorKind::SourceRefused`] if there is nothing, or a file cannot be read, or others than its owner may write it.
pub(super) fn trusted(options: &NetOptions) -> Result<Vec<u8>> {
    let mut lines = Vec::new();
    for path in &options.known_hosts {
        let text = read_text("file of known hosts", path, Access::Read).map_err(|error| {
            let cure = error.hint_text().unwrap_or("make the file: ssh-keyscan prints its lines");
            Error::new(ErrorKind::SourceRefused, error.message())
                .with("file", path.display())
                .hint(format!("correct the setting known_hosts, or {cure}"))
        })?;
        lines.extend_from_slice(text.expose_secret().as_bytes());
        lines.push(b'\n');
    }
    for line in &options.host_keys {
        lines.extend_from_slice(line.as_bytes());
        lines.push(b'\n');
    }
    if lines.trim_ascii().is_empty() {
        return Err(Error::new(ErrorKind::SourceRefused, "no host key is trusted, so no ssh source is asked")
            .hint("list files with the keys of hosts in the setting known_hosts"));
    }
    Ok(lines)
}

/// Returns under which name the key of a host is looked for.
pub(super) fn name_of(url: &SourceUrl) -> String {
    let host = url.host_key();
    match url.port().filter(|port| Some(*port) != Scheme::Ssh.default_port()) {
        Some(port) => format!("[{host}]:{port}"),
        None => host.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_as_openssh_does() {
        for (url, expected) in [
            ("ssh://git@Host.example/a", "host.example"),
            ("ssh://git@host.example:22/a", "host.example"),
            ("ssh://git@host.example:2222/a", "[host.example]:2222"),
            ("ssh://git@[::1]/a", "::1"),
            ("ssh://git@[::1]:2222/a", "[::1]:2222"),
        ] {
            assert_eq!(name_of(&url.parse().unwrap()), expected);
        }
    }
}
