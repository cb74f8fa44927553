//! Which sources credentials are for.

use std::fmt;
use std::str::FromStr;

use super::CredentialKind;
use crate::error::{Error, ErrorKind, Result};
use crate::source::parse::{decode, split_port};
use crate::source::{Host, HostPattern, Scheme, SourceUrl};

/// The most bytes of a scope.
const MAX_SCOPE_BYTES: usize = 1024;

/// The sources that credentials are for: those on a host, or on the hosts of a domain, and of these those below a path.
///
/// Written as `github.com`, `git.example.com:8443`, `*.example.org` or with a path, `github.com/acme`. Without a port it is for the
/// usual port of the scheme. A path is compared by whole parts, to the letter, with or without `.git` at its end. Equal scopes
/// have one text.
///
/// ```
/// use gitsync_core::source::CredentialScope;
///
/// let scope: CredentialScope = "GitHub.com/acme/".parse()?;
/// assert!(scope.fits(&"https://github.com/acme/app".parse()?));
/// assert!(!scope.fits(&"https://github.com/acme-tools/app".parse()?));
/// assert_eq!(scope.to_string(), "github.com/acme");
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialScope {
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
struct Rank {
    is_one_host: bool,
    labels: usize,
    path_parts: usize,
    has_port: bool,
}

impl CredentialScope {
    /// Tells whether a source is within the scope.
    pub fn fits(&self, source: &SourceUrl) -> bool {
        self.rank(source).is_some()
    }

    /// Reads `host`, `host:port`, `*.domain` or `*.domain:port`, and a path that may be empty.
    pub(super) fn parse(host: &str, path: &str) -> Result<Self> {
        let (name, port) = split_port(host)?;
        let hosts = if name.starts_with("*.") { Hosts::Below(name.parse()?) } else { Hosts::One(Host::parse(name)?) };
        let is_all = path.trim_matches('/').is_empty();
        let path: Vec<_> = parts(path).map(str::to_owned).collect();
        if path.is_empty() != is_all || path.iter().any(|part| part.is_empty() || part == "." || part == "..") {
            return Err(Error::new(ErrorKind::InvalidInput, "a path has no empty parts, no `.` and no `..`"));
        }
        if path.iter().any(|part| part.contains(char::is_control)) {
            return Err(Error::new(ErrorKind::InvalidInput, "a path has no control characters"));
        }
        Ok(CredentialScope { hosts, port, path })
    }

    /// Returns how closely the scope fits a source; `None` if not at all.
    fn rank(&self, source: &SourceUrl) -> Option<Rank> {
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

impl FromStr for CredentialScope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let hint = "write host, host:port, *.domain or host/path";
        if text.len() > MAX_SCOPE_BYTES {
            let message = format!("a scope has at most {MAX_SCOPE_BYTES} bytes");
            return Err(Error::new(ErrorKind::InvalidInput, message).with("given", text.len()).hint(hint));
        }
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        Self::parse(host, path)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, "the scope is not valid").hint(hint).caused_by(error))
    }
}

impl fmt::Display for CredentialScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            Hosts::One(host) => host.fmt(f)?,
            Hosts::Below(pattern) => pattern.fmt(f)?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for part in &self.path {
            write!(f, "/{part}")?;
        }
        // What is read back loses one.
        let ends_alike = self.path.last().is_some_and(|part| part.ends_with(".git"));
        f.write_str(if ends_alike { ".git" } else { "" })
    }
}

/// Returns what is for a source and fits it most closely, of what has a scope and a kind. No two that have another scope, or
/// another class of kinds, fit equally well.
pub(super) fn closest<'a, T>(
    all: &'a [T],
    source: &SourceUrl,
    of: impl Fn(&T) -> (&CredentialScope, CredentialKind),
) -> Option<&'a T> {
    let fitting = all.iter().filter(|one| of(one).1.is_for(source.scheme()));
    let ranked = fitting.filter_map(|one| Some((of(one).0.rank(source)?, one)));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, one)| one)
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
        CredentialScope::parse(host, path).unwrap().rank(&source.parse().unwrap())
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
    fn a_scope_comes_back_from_its_text() {
        for (text, canonical) in [
            ("GitHub.com", "github.com"),
            ("github.com/", "github.com"),
            ("github.com:443/acme/", "github.com:443/acme"),
            ("[::1]:8443//acme/app.git", "[::1]:8443/acme/app"),
            ("a.b/app.git.git", "a.b/app.git.git"),
            ("*.Example.org:8443/a b", "*.example.org:8443/a b"),
        ] {
            let scope: CredentialScope = text.parse().unwrap();
            assert_eq!(scope.to_string(), canonical);
            assert_eq!(canonical.parse::<CredentialScope>().unwrap(), scope);
        }
        let long = format!("a.b/{}", "x".repeat(MAX_SCOPE_BYTES));
        for text in ["", "/acme", "https://github.com", "me@github.com", "a.b/x/../y", "a.b/\0", &long] {
            let error = text.parse::<CredentialScope>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(error.hint_text().is_some());
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
            ("a.b", "/.git"),
        ] {
            assert_eq!(
                CredentialScope::parse(host, path).unwrap_err().kind(),
                ErrorKind::InvalidInput,
                "{host} {path}"
            );
        }
    }
}
