//! Patterns that select hosts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::host::Host;
use crate::error::{Error, ErrorKind, Result};

/// Selects hosts: by exact name (`git.example.com`), by suffix (`*.example.com`, which leaves out `example.com` itself), all of
/// them (`*`), or by address (`10.1.2.3`, `10.0.0.0/8`, `fd00::/8`).
///
/// Patterns by name look at the name in the source, patterns by address at the addresses it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern(Pattern);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    Any,
    Exact(String),
    Suffix(String),
    Network { address: IpAddr, bits: u8 },
}

impl HostPattern {
    /// Tells whether the pattern selects this host by its name.
    pub fn matches_name(&self, host: &Host) -> bool {
        match (&self.0, host) {
            (Pattern::Any, _) => true,
            (Pattern::Exact(name), Host::Domain(host)) => name == host,
            (Pattern::Suffix(suffix), Host::Domain(host)) => {
                host.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            _ => false,
        }
    }

    /// Tells whether the pattern selects this host as it is written: by its name, or by the address that it is.
    pub fn selects(&self, host: &Host) -> bool {
        self.matches_name(host) || host.address().is_some_and(|address| self.matches_address(address))
    }

    /// Tells whether the pattern is a network that contains this address.
    pub fn matches_address(&self, address: IpAddr) -> bool {
        let Pattern::Network { address: network, bits } = self.0 else {
            return false;
        };
        match (network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => same_prefix(&network.octets(), &address.octets(), bits),
            (IpAddr::V6(network), IpAddr::V6(address)) => same_prefix(&network.octets(), &address.octets(), bits),
            _ => false,
        }
    }

    /// Tells whether the pattern selects by address.
    pub fn is_network(&self) -> bool {
        matches!(self.0, Pattern::Network { .. })
    }
}

fn same_prefix(network: &[u8], address: &[u8], bits: u8) -> bool {
    let (bytes, rest) = (usize::from(bits / 8), bits % 8);
    let mask = !(0xff_u8 >> rest);
    network[..bytes] == address[..bytes] && (rest == 0 || (network[bytes] ^ address[bytes]) & mask == 0)
}

impl FromStr for HostPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::new(ErrorKind::InvalidInput, "the host pattern is not valid")
                .with("pattern", text.escape_debug())
                .hint("write a host name, *.suffix, *, an IP address, or a network such as 10.0.0.0/8")
        };
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let (address, bits) = match bare.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| invalid())?)),
            None => (bare, None),
        };
        if let Ok(address) = address.parse::<IpAddr>() {
            let address = if bits.is_none() { address.to_canonical() } else { address };
            let width = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.unwrap_or(width);
            return if bits <= width { Ok(HostPattern(Pattern::Network { address, bits })) } else { Err(invalid()) };
        }
        if text == "*" {
            return Ok(HostPattern(Pattern::Any));
        }
        let (suffix, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        match Host::parse(name).map_err(|_| invalid())? {
            Host::Domain(name) if suffix => Ok(HostPattern(Pattern::Suffix(name))),
            Host::Domain(name) => Ok(HostPattern(Pattern::Exact(name))),
            // An odd spelling of an address; a person who configures a policy shall see what it is.
            Host::Ipv4(_) | Host::Ipv6(_) => Err(invalid()),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Pattern::Any => f.write_str("*"),
            Pattern::Exact(name) => f.write_str(name),
            Pattern::Suffix(name) => write!(f, "*.{name}"),
            Pattern::Network { address, bits } => write!(f, "{address}/{bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().expect("a pattern")
    }

    #[test]
    fn names_match_exactly_or_by_suffix() {
        let host = |text| Host::parse(text).expect("a host");
        assert!(pattern("Git.Example.com").matches_name(&host("git.example.COM")));
        assert!(!pattern("example.com").matches_name(&host("git.example.com")));
        assert!(pattern("*.example.com").matches_name(&host("a.b.example.com")));
        assert!(!pattern("*.example.com").matches_name(&host("example.com")));
        assert!(!pattern("*.example.com").matches_name(&host("badexample.com")));
        assert!(pattern("*").matches_name(&host("10.0.0.1")));
    }

    #[test]
    fn networks_match_addresses() {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert!(pattern("10.0.0.0/8").matches_address(address("10.255.0.1")));
        assert!(pattern("10.0.0.0/8").matches_address(address("::ffff:10.255.0.1")));
        assert!(!pattern("10.0.0.0/9").matches_address(address("10.255.0.1")));
        assert!(pattern("192.168.1.1").matches_address(address("192.168.1.1")));
        assert!(pattern("0.0.0.0/0").matches_address(address("8.8.8.8")));
        assert!(pattern("fd00::/8").matches_address(address("fdff::1")));
        assert!(pattern("[::1]").matches_address(address("::1")));
        assert!(!pattern("::/0").matches_address(address("8.8.8.8")));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "10.0.0.0/33", "::/129", "a b", "*.*.com", "2130706433", "x/8", "10.0.0.0/-1", "*example.com"]
        {
            assert_eq!(text.parse::<HostPattern>().expect_err(text).kind(), ErrorKind::InvalidInput);
        }
    }
}
