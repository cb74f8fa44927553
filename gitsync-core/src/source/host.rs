//! The host of a source, and the key under which work for it is counted.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};

/// The lane of work that talks to no upstream.
const LOCAL: &str = "local";
/// The lane of upstreams on this machine's file system.
const LOCAL_FILES: &str = "local-files";

/// The host of a source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name: lower case, IDNA in its ASCII form, no trailing dot.
    Domain(String),
    /// An IPv4 address, however it was spelled.
    Ipv4(Ipv4Addr),
    /// An IPv6 address that does not merely stand for an IPv4 address.
    Ipv6(Ipv6Addr),
}

impl Host {
    /// Parses a host as it stands in a URL: a name, an IPv4 address in any spelling, or an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`].
    pub fn parse(text: &str) -> Result<Host> {
        let invalid =
            |hint: &str| Error::new(ErrorKind::InvalidInput, "the host of the source is not valid").hint(hint);
        // Percent-encoding has no honest use in a host, and decoding it would hide what it says.
        if text.is_empty() || text.contains(|c: char| c == '%' || c == '@' || c.is_whitespace()) {
            return Err(invalid("write a plain host name such as git.example.com"));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        // The parser of the WHATWG reads 0177.0.0.1, 127.1, 0x7f.1 and 2130706433 as resolvers do: as addresses.
        match url::Host::parse(text)
            .map_err(|_| invalid("write a host name, an IPv4 address, or an IPv6 address in brackets"))?
        {
            url::Host::Ipv4(address) => Ok(Host::Ipv4(address)),
            url::Host::Ipv6(address) => Ok(Host::from(IpAddr::V6(address))),
            url::Host::Domain(name) if is_domain(&name) => Ok(Host::Domain(name)),
            url::Host::Domain(_) => Err(invalid(
                "a host name has labels of 1 to 63 letters, digits, `-` and `_`, none of which begins with `-`",
            )),
        }
    }

    /// Returns the address if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(*address)),
            Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Host::Ipv4(address),
            IpAddr::V6(address) => Host::Ipv6(address),
        }
    }
}

impl fmt::Display for Host {
    /// Writes the host as URLs do, IPv6 addresses in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Domain(name) => f.write_str(name),
            Host::Ipv4(address) => write!(f, "{address}"),
            Host::Ipv6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Tells whether an ASCII name is one that a resolver should be asked for. The names of our own lanes are not.
fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name != LOCAL && name != LOCAL_FILES && name.split('.').all(label)
}

/// Under what work is counted, so that no host gets too much of it: the host of a source without scheme, user and port.
///
/// Two keys are no hosts, and no host can have their name: [`HostKey::local`] and [`HostKey::local_files`].
///
/// ```
/// use gitsync_core::source::SourceUrl;
///
/// let key = |text: &str| SourceUrl::parse(text).map(|parsed| parsed.url.host_key().to_string());
/// assert_eq!(key("https://GitHub.com:8443/a/b")?, "github.com");
/// assert_eq!(key("git@github.com:a/b")?, "github.com");
/// assert_eq!(key("/srv/git/b.git")?, "local-files");
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostKey(String);

impl HostKey {
    /// Returns the key of work that needs no upstream: `local`.
    pub fn local() -> Self {
        HostKey(LOCAL.to_owned())
    }

    /// Returns the key of all upstreams on the local file system: `local-files`.
    pub fn local_files() -> Self {
        HostKey(LOCAL_FILES.to_owned())
    }

    /// Returns the key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&Host> for HostKey {
    fn from(host: &Host) -> Self {
        match host {
            Host::Domain(name) => HostKey(name.clone()),
            Host::Ipv4(address) => HostKey(address.to_string()),
            Host::Ipv6(address) => HostKey(address.to_string()),
        }
    }
}

impl FromStr for HostKey {
    type Err = Error;

    /// Reads a key, or a host name as a person writes it.
    fn from_str(text: &str) -> Result<Self> {
        if text == LOCAL || text == LOCAL_FILES {
            return Ok(HostKey(text.to_owned()));
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(HostKey::from(&Host::from(address))),
            Err(_) => Host::parse(text).map(|host| HostKey::from(&host)),
        }
    }
}

impl TryFrom<String> for HostKey {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<HostKey> for String {
    fn from(key: HostKey) -> Self {
        key.0
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
