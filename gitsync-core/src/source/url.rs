//! The validated, secret-free address of an upstream repository.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::host::{Host, HostKey};
use super::parse::{self, ParsedSource};
use crate::error::{Error, ErrorKind, Result};

/// How an upstream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Smart HTTP over TLS.
    Https,
    /// Smart HTTP in the clear.
    Http,
    /// A git service started through SSH.
    Ssh,
    /// The protocol of `git daemon`: neither encrypted nor authenticated.
    Git,
    /// A repository on this machine.
    File,
}

impl Scheme {
    /// Every scheme, in declaration order.
    pub const ALL: [Scheme; 5] = [Scheme::Https, Scheme::Http, Scheme::Ssh, Scheme::Git, Scheme::File];

    /// Returns the name as it stands in URLs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Ssh => "ssh",
            Scheme::Git => "git",
            Scheme::File => "file",
        }
    }

    /// Returns the scheme that has this name, if there is one.
    pub fn from_name(name: &str) -> Option<Scheme> {
        Scheme::ALL.iter().copied().find(|scheme| scheme.as_str() == name)
    }

    /// Returns the port used where the URL names none; files have none.
    pub const fn default_port(self) -> Option<u16> {
        match self {
            Scheme::Https => Some(443),
            Scheme::Http => Some(80),
            Scheme::Ssh => Some(22),
            Scheme::Git => Some(9418),
            Scheme::File => None,
        }
    }

    /// Tells whether the scheme is `http` or `https`.
    pub const fn is_http(self) -> bool {
        matches!(self, Scheme::Http | Scheme::Https)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Scheme::ALL.into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "this kind of source is not supported")
                .hint("use https, http, ssh (also as user@host:path), git or file")
        })
    }
}

/// The address of an upstream repository: validated, canonical, and without any secret.
///
/// What it accepts:
///
/// | written as | notes |
/// |---|---|
/// | `https://host[:port]/path`, `http://..` | a user or password is split off, see [`SourceUrl::parse`] |
/// | `ssh://[user@]host[:port]/path` | `/~user/path` is kept as git reads it |
/// | `user@host:path` | the same as `ssh://`, but the path is relative to the user's home |
/// | `git://host[:port]/path` | |
/// | `file:///path`, `file://localhost/path`, `/path` | the same source |
///
/// What it refuses, always with [`ErrorKind::InvalidInput`]: other schemes and remote helpers (`ext::..`), a user, host or
/// path that begins with `-`, control characters and backslashes raw or percent-encoded, `.` and `..` as parts of a path,
/// queries and fragments, an empty host or path, and more than 2048 bytes.
///
/// [`Display`](fmt::Display) writes the canonical form, which parses to an equal value; so do serde and `String::from`.
/// Equal sources compare equal however they were spelled: scheme and host are lower case, IDNA names are in their ASCII form,
/// IPv4 addresses dotted, default ports and trailing slashes gone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceUrl {
    pub(super) scheme: Scheme,
    /// The login of ssh sources, decoded.
    pub(super) user: Option<String>,
    /// Always present, except for files.
    pub(super) host: Option<Host>,
    /// Only if it is not the default one.
    pub(super) port: Option<u16>,
    /// Percent-encoded for HTTP, which sends it so; decoded for all others, which never saw an encoding.
    pub(super) path: String,
}

impl SourceUrl {
    /// Parses a source as a person or an API sends it, and splits off the credentials it may contain.
    ///
    /// For `http` and `https` the whole `user:password@` goes, because access tokens are commonly written as the user; an ssh
    /// source keeps its user, which is part of the address.
    ///
    /// ```
    /// use gitsync_core::source::SourceUrl;
    ///
    /// let parsed = SourceUrl::parse("https://me:s3cret@Example.COM:443/team/app.git/")?;
    /// assert_eq!(parsed.url.to_string(), "https://example.com/team/app.git");
    /// assert!(parsed.credentials.is_some());
    /// assert!(!format!("{parsed:?}").contains("s3cret"));
    /// # Ok::<(), gitsync_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], with a hint at the rule. The text itself is not repeated, since it may hold a secret.
    pub fn parse(text: &str) -> Result<ParsedSource> {
        parse::parse(text)
    }

    /// Returns how the upstream is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the login of an ssh source.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the host; only files have none.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// Returns the port, also if it is the scheme's default; only files have none.
    pub fn port(&self) -> Option<u16> {
        self.port.or(self.scheme.default_port())
    }

    /// Returns the path as the upstream is asked for it.
    ///
    /// It is percent-encoded for `http` and `https` and literal for the others. It begins with `/`, except for ssh paths
    /// relative to a home directory (`team/app.git`, `~user/app.git`).
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the URL with something appended to its path, such as `/info/refs?service=git-upload-pack`.
    pub fn join_suffix(&self, suffix: &str) -> String {
        format!("{self}{suffix}")
    }

    /// Returns the key under which work for this source is counted.
    pub fn host_key(&self) -> HostKey {
        self.host.as_ref().map_or_else(HostKey::local_files, HostKey::from)
    }
}

impl fmt::Display for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(host) = &self.host else {
            return write!(f, "file://{}", encode(&self.path));
        };
        // A path relative to the home directory can only be written the way of scp.
        if let (Scheme::Ssh, Some(user), false) = (self.scheme, &self.user, self.path.starts_with(['/', '~'])) {
            return write!(f, "{user}@{host}:{}", self.path);
        }
        write!(f, "{}://", self.scheme)?;
        if let Some(user) = &self.user {
            write!(f, "{}@", encode(user))?;
        }
        write!(f, "{host}")?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.scheme {
            Scheme::Http | Scheme::Https => f.write_str(&self.path),
            _ if self.path.starts_with('~') => write!(f, "/{}", encode(&self.path)),
            // Encoded, the tilde of an absolute path does not ask for a home directory.
            Scheme::Ssh if self.path.starts_with("/~") => write!(f, "/%7E{}", encode(&self.path[2..])),
            _ => write!(f, "{}", encode(&self.path)),
        }
    }
}

impl fmt::Debug for SourceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceUrl({self})")
    }
}

impl FromStr for SourceUrl {
    type Err = Error;

    /// Parses a source that must not contain credentials.
    fn from_str(text: &str) -> Result<Self> {
        let ParsedSource { url, credentials } = SourceUrl::parse(text)?;
        match credentials {
            None => Ok(url),
            Some(_) => Err(Error::new(ErrorKind::InvalidInput, "the source contains credentials")
                .hint("write the URL without user and password, and configure the credentials for its host")),
        }
    }
}

impl TryFrom<String> for SourceUrl {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<SourceUrl> for String {
    fn from(url: SourceUrl) -> Self {
        url.to_string()
    }
}

/// Percent-encodes all that may not stand in the path of a URL, and `%` itself.
fn encode(text: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&b);
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}
