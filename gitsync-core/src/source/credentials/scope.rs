//! Which sources credentials are for.

use crate::error::{Error, ErrorKind, Result};
use crate::source::parse::{decode, split_port};
use crate::source::{Host, HostPattern, Scheme, SourceUrl};

/// The sources that credentials are for: those on a host, or on the hosts of a domain, and of these those below a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    hosts: Hosts,
    /// `None`: the one that sources of their scheme usually have.
    port: Option<u16>,
    /// The parts of the path.
    path: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Hosts {
    One(Host),
    /// All below a domain.
    Below(HostPattern),
}

/// How closely a scope fits a source; the highest is the closest. Two different scopes never fit a source equally well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    is_one_host: bool,
    labels: usize,
    path_parts: usize,
    has_port: bool,
}

impl Scope {
    /// Reads `host`, `host:port`, `*.domain` or `*.domain:port`, and a path that may be empty.
    pub(super) fn parse(host: &str, path: &str) -> Result<Self> {
        let (name, port) = split_port(host)?;
        let hosts = if name.starts_with("*.") { Hosts::Below(name.parse()?) } else { Hosts::One(Host::parse(name)?) };
        let path: Vec<_> = parts(path).map(str::to_owned).collect();
        if path.iter().any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(Error::new(ErrorKind::InvalidInput, "a path has no empty parts, no `.` and no `..`"));
        }
        Ok(Scope { hosts, port, path })
    }

    /// Returns how closely the scope fits a source; `None` if not at all.
    pub(super) fn rank(&self, source: &SourceUrl) -> Option<Rank> {
        let host = source.host()?;
        let is_one_host = match &self.hosts {
            Hosts::One(one) if one == host => true,
            Hosts::Below(pattern) if pattern.matches_name(host) => false,
            _ => return None,
        };
        if source.port() != self.port.or(source.scheme().default_port()) {
            return None;
        }
        let decoded = match source.scheme() {
            Scheme::Http | Scheme::Https => decode(source.path()).ok()?,
            _ => source.path().to_owned(),
        };
        let mut of_source = parts(&decoded);
        if !self.path.iter().all(|part| of_source.next() == Some(part.as_str())) {
            return None;
        }
        let labels = match &self.hosts {
            Hosts::One(_) => 0,
            Hosts::Below(pattern) => pattern.to_string().split('.').count(),
        };
        Some(Rank { is_one_host, labels, path_parts: self.path.len(), has_port: self.port.is_some() })
    }
}

/// Returns the parts of a path; that of a repository may end in `.git`.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    path.split('/').filter(move |_| !path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(host: &str, path: &str, source: &str) -> Option<Rank> {
        Scope::parse(host, path).unwrap().rank(&source.parse().unwrap())
    }

    #[test]
    fn a_scope_is_bound_to_its_host_port_and_path() {
        let table = [
            ("github.com", "", "https://github.com/acme/app", true),
            ("GitHub.com", "", "https://github.com:443/acme/app", true),
            ("github.com", "", "git@github.com:acme/app", true),
            ("github.com", "", "https://github.com:8443/acme/app", false),
            ("github.com", "", "https://github.com.example.net/acme/app", false),
            ("github.com", "", "https://gist.github.com/acme/app", false),
            ("github.com", "", "/github.com/app", false),
            ("github.com:8443", "", "https://github.com:8443/acme/app", true),
            ("github.com:8443", "", "https://github.com/acme/app", false),
            ("github.com:443", "", "https://github.com/acme/app", true),
            ("[::1]:8443", "", "https://[::1]:8443/acme/app", true),
            ("*.example.com", "", "https://a.b.example.com/acme/app", true),
            ("*.example.com", "", "https://example.com/acme/app", false),
            ("*.example.com", "", "https://badexample.com/acme/app", false),
            ("github.com", "/acme", "https://github.com/acme/app", true),
            ("github.com", "acme/", "ssh://git@github.com/acme/app", true),
            ("github.com", "/acme", "git@github.com:acme/app", true),
            ("github.com", "/acme", "https://github.com/acme-tools/app", false),
            ("github.com", "/acme", "https://github.com/Acme/app", false),
            ("github.com", "/acme", "https://github.com/other/acme/app", false),
            ("github.com", "/acme/app", "https://github.com/acme/app.git", true),
            ("github.com", "/acme/app.git", "https://github.com/acme/app", true),
            ("github.com", "/acme/app", "https://github.com/acme/app2", false),
            ("github.com", "/acme/app/deeper", "https://github.com/acme/app", false),
            ("github.com", "/a b", "https://github.com/a%20b/app", true),
        ];
        for (host, path, source, fits) in table {
            assert_eq!(rank(host, path, source).is_some(), fits, "{host} {path} {source}");
        }
    }

    #[test]
    fn the_closest_scope_wins() {
        // From the most to the least.
        let scopes = [
            ("git.example.com", "/acme/app"),
            ("git.example.com:443", "/acme"),
            ("git.example.com", "/acme"),
            ("git.example.com", ""),
            ("*.example.com", "/acme/app"),
            ("*.example.com:443", ""),
            ("*.example.com", ""),
            ("*.com", "/acme"),
        ];
        let ranks = scopes.map(|(host, path)| rank(host, path, "https://git.example.com/acme/app").unwrap());
        assert!(ranks.is_sorted_by(|closer, other| closer > other), "{ranks:?}");
    }

    #[test]
    fn nonsense_is_refused() {
        for (host, path) in [
            ("", ""),
            ("*", ""),
            ("a b", ""),
            ("10.0.0.0/8", ""),
            ("a.b:port", ""),
            ("a.b", "/x/../y"),
            ("a.b", "x//y"),
        ] {
            assert_eq!(Scope::parse(host, path).unwrap_err().kind(), ErrorKind::InvalidInput, "{host} {path}");
        }
    }
}
