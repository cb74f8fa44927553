//! The address of an upstream.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::error::{Error, ErrorKind, Result};

/// The longest address accepted, in bytes.
pub const MAX_SOURCE_URL_BYTES: usize = 2048;

/// How an upstream is reached. There are no others: `ext::` and its like are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Smart HTTP over TLS.
    Https,
    /// Smart HTTP in clear text.
    Http,
    /// SSH, also written `user@host:path`.
    Ssh,
    /// The git daemon's protocol.
    Git,
    /// A repository on this machine.
    File,
}

impl Scheme {
    /// Returns the scheme as it is written in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Ssh => "ssh",
            Scheme::Git => "git",
            Scheme::File => "file",
        }
    }

    fn from_name(name: &str) -> Option<Scheme> {
        let all = [Scheme::Https, Scheme::Http, Scheme::Ssh, Scheme::Git, Scheme::File];
        all.into_iter().find(|scheme| scheme.as_str() == name)
    }
}

/// What a limit per host counts by: the lower-case host without port, scheme or user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostKey(String);

impl HostKey {
    /// The key of work that needs no upstream; it has no limit.
    pub fn local() -> HostKey {
        HostKey("local".into())
    }

    /// The key of all sources on this machine's file system.
    pub fn local_files() -> HostKey {
        HostKey("local-files".into())
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The address of an upstream: checked, canonical and without a password, so it may be shown and stored.
///
/// Accepts `https`, `http`, `ssh`, `git` and `file` URLs, the scp-like `user@host:path` and absolute paths. Host names are
/// lower-cased and IDNA-encoded; IP addresses in odd spellings are recognised as what they are.
///
/// ```
/// use gitsync_core::source::{Scheme, SourceUrl};
///
/// let url: SourceUrl = "git@GitHub.com:sharkdp/bat.git".parse()?;
/// assert_eq!(url.scheme(), Scheme::Ssh);
/// assert_eq!(url.host_key().as_str(), "github.com");
/// assert_eq!(url.to_string(), "ssh://git@github.com/sharkdp/bat.git");
/// assert!("ext::sh -c id".parse::<SourceUrl>().is_err());
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceUrl {
    scheme: Scheme,
    url: Url,
}

impl SourceUrl {
    /// Checks an address and brings it into its canonical form.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if the address is malformed, of another scheme, could be mistaken for an option or a
    /// command, or carries a password, a query or a fragment. The message never repeats the address.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MAX_SOURCE_URL_BYTES {
            return Err(refused("it is too long"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(refused("it holds white space, a control character or a backslash"));
        }
        let text = if text.starts_with('/') {
            format!("file://{text}")
        } else if !text.contains("://") {
            from_scp_like(text)?
        } else {
            text.to_owned()
        };
        let (name, rest) = text.split_once("://").ok_or_else(|| refused("it has no scheme"))?;
        let scheme = Scheme::from_name(&name.to_ascii_lowercase()).ok_or_else(|| {
            refused("its scheme is not known").hint("use https, ssh, git@host:path, http, git or file")
        })?;
        // A URL parser takes the first segment of the path for a missing host.
        if scheme != Scheme::File && rest.starts_with('/') {
            return Err(refused("it has no host"));
        }
        // The raw text is checked, because a URL parser resolves dot segments silently.
        if rest.split('/').any(|segment| segment == ".." || segment.eq_ignore_ascii_case("%2e%2e")) {
            return Err(refused("its path leads upwards"));
        }
        // Parsing as https makes hosts of every scheme pass through IDNA and the IPv4 parser.
        let special = if scheme == Scheme::File { text.clone() } else { format!("https://{rest}") };
        let parsed = Url::parse(&special).map_err(|error| refused("it cannot be parsed").caused_by(error))?;
        check_parts(scheme, &parsed)?;
        Ok(SourceUrl { scheme, url: parsed })
    }

    /// Returns how the upstream is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the user name, if the address has one.
    pub fn user(&self) -> Option<&str> {
        Some(self.url.username()).filter(|user| !user.is_empty())
    }

    /// Returns the host: a lower-case name or an IP address; `None` for files.
    pub fn host(&self) -> Option<Host<&str>> {
        self.url.host()
    }

    /// Returns the port, if the address names one.
    pub fn port(&self) -> Option<u16> {
        self.url.port()
    }

    /// Returns the path, percent-encoded, beginning with `/`.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// Returns what a limit per host counts by.
    pub fn host_key(&self) -> HostKey {
        match self.url.host_str() {
            Some(host) if self.scheme != Scheme::File => HostKey(host.to_owned()),
            _ => HostKey::local_files(),
        }
    }
}

/// Rewrites `user@host:path` as an ssh URL.
fn from_scp_like(text: &str) -> Result<String> {
    let (host, path) = text.split_once(':').ok_or_else(|| {
        refused("it is neither a URL nor an absolute path").hint("write https://host/path, git@host:path or /a/path")
    })?;
    if host.contains('/') || host.is_empty() || path.is_empty() {
        return Err(refused("it is neither a URL nor user@host:path"));
    }
    if path.starts_with([':', '-']) || path.starts_with("/-") {
        return Err(refused("its path could be mistaken for an option or a command"));
    }
    Ok(format!("ssh://{host}/{}", path.trim_start_matches('/')))
}

fn check_parts(scheme: Scheme, url: &Url) -> Result<()> {
    if url.password().is_some() {
        return Err(refused("it carries a password").hint("give credentials to the credential provider instead"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("it has a query or a fragment"));
    }
    let host = url.host_str().unwrap_or_default();
    if scheme == Scheme::File && !(host.is_empty() || host == "localhost") {
        return Err(refused("a file is on this machine"));
    }
    if scheme != Scheme::File && host.is_empty() {
        return Err(refused("it has no host"));
    }
    let user = url.username();
    if scheme == Scheme::File && !user.is_empty() {
        return Err(refused("a file has no user"));
    }
    if url.port() == Some(0) {
        return Err(refused("its port is zero"));
    }
    let path = url.path();
    if path.trim_matches('/').is_empty() {
        return Err(refused("it has no path"));
    }
    let encoded_dash = |part: &str| part.starts_with('-') || part.to_ascii_lowercase().starts_with("%2d");
    if [user, host, path.trim_start_matches('/')].into_iter().any(encoded_dash) {
        return Err(refused("its user, host or path begins with a hyphen"));
    }
    if [user, path].into_iter().any(has_encoded_control) {
        return Err(refused("it holds an encoded control character"));
    }
    Ok(())
}

/// Tells whether `%00` to `%1f` or `%7f` occurs.
fn has_encoded_control(text: &str) -> bool {
    let triples = text.as_bytes().windows(3).filter(|triple| triple[0] == b'%');
    triples.into_iter().any(|triple| {
        let value = std::str::from_utf8(&triple[1..]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        value.is_some_and(|byte| byte.is_ascii_control())
    })
}

fn refused(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("not a usable source URL: {reason}"))
}

impl FromStr for SourceUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        SourceUrl::parse(text)
    }
}

impl TryFrom<String> for SourceUrl {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        SourceUrl::parse(&text)
    }
}

impl From<SourceUrl> for String {
    fn from(url: SourceUrl) -> String {
        url.to_string()
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = self.url.as_str().split_once("://").map_or("", |(_, rest)| rest);
        write!(f, "{}://{rest}", self.scheme.as_str())
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usable_addresses_have_one_canonical_form_and_a_host_key() {
        let table = [
            ("https://GitHub.com/a/b.git", "https://github.com/a/b.git", "github.com"),
            ("HTTPS://github.com:443/a/b", "https://github.com/a/b", "github.com"),
            ("https://example.com:8443/a", "https://example.com:8443/a", "example.com"),
            ("http://127.0.0.1:8080/a.git", "http://127.0.0.1:8080/a.git", "127.0.0.1"),
            ("http://0177.0.0.1/a", "http://127.0.0.1/a", "127.0.0.1"),
            ("http://2130706433/a", "http://127.0.0.1/a", "127.0.0.1"),
            ("http://127.1/a", "http://127.0.0.1/a", "127.0.0.1"),
            ("ssh://2130706433/a", "ssh://127.0.0.1/a", "127.0.0.1"),
            ("https://[::1]/a", "https://[::1]/a", "[::1]"),
            ("https://bücher.example/a", "https://xn--bcher-kva.example/a", "xn--bcher-kva.example"),
            ("ssh://git@host:2222/a/b", "ssh://git@host:2222/a/b", "host"),
            ("git@host:a/b.git", "ssh://git@host/a/b.git", "host"),
            ("host:a", "ssh://host/a", "host"),
            ("git://host/a", "git://host/a", "host"),
            ("/srv/git/a.git", "file:///srv/git/a.git", "local-files"),
            ("file:///srv/git/a.git", "file:///srv/git/a.git", "local-files"),
            ("file://localhost/srv/a", "file:///srv/a", "local-files"),
        ];
        for (text, canonical, host) in table {
            let url = SourceUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(url.to_string(), canonical, "{text}");
            assert_eq!(url.host_key().as_str(), host, "{text}");
            assert_eq!(SourceUrl::parse(canonical).unwrap(), url, "{text}: the canonical form stays as it is");
        }
    }

    #[test]
    fn hostile_and_malformed_addresses_are_refused_without_repeating_them() {
        let long = format!("https://host/{}", "a".repeat(MAX_SOURCE_URL_BYTES));
        let table = [
            "",
            "-",
            "relative/path",
            "ext::sh -c id",
            "ext::id",
            "fd::17/x",
            "ftp://host/a",
            "gopher://host/a",
            "javascript://host/a",
            "https://",
            "https:///",
            "https://host",
            "https://host/",
            "https:///a",
            "https:///a/b",
            "https://host/a?x=secret",
            "https://host/a#x",
            "https://user:secret@host/a",
            "ssh://-oProxyCommand=id/a",
            "ssh://-u@host/a",
            "ssh://%2doProxyCommand=id/a",
            "ssh://host/-a",
            "ssh://host/%2Da",
            "host:-a",
            "-host:a",
            "git@host:",
            ":a",
            "host::a",
            "https://host/a\nb",
            "https://host/a%0ab",
            "https://host/a%00",
            "https://host/%7f",
            "https://ho st/a",
            "https://host/a b",
            "https://host\\evil/a",
            "https://host:0/a",
            "https://host:99999/a",
            "https://host/../etc",
            "https://host/%2e%2E/etc",
            "file:///srv/../etc/passwd",
            "/srv/../etc/passwd",
            "file://other/srv/a",
            "file://",
            "/",
            "https://1.2.3.4.5.6/a",
            "https://[::1/a",
            "git@:a",
            &long,
        ];
        for text in table {
            let error = SourceUrl::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{text}: {error:?}");
        }
    }

    #[test]
    fn serde_checks_addresses_too() {
        let url: SourceUrl = serde_json::from_str("\"https://host/a\"").unwrap();
        assert_eq!(serde_json::to_string(&url).unwrap(), "\"https://host/a\"");
        assert!(serde_json::from_str::<SourceUrl>("\"ext::id\"").is_err());
    }
}
