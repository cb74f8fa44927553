//! What may be fetched from where.

use std::collections::BTreeSet;
use std::io::ErrorKind as IoErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::address::{Class, classify};
use super::builder::SourcePolicyBuilder;
use super::host::Host;
use super::pattern::HostPattern;
use super::url::{Scheme, SourceUrl};
use crate::error::{Error, ErrorKind, Result};

/// Decides which upstreams may be talked to. Its refusals are [`ErrorKind::SourceRefused`] and name the setting that decides.
///
/// The default allows `https` and `ssh` to public addresses, and no files. It allows no pushes: what may be read may not therefore
/// be written, though the same credentials would do.
///
/// - A host in `denied_hosts` is refused, by name or by any of its addresses.
/// - If `allowed_hosts` is not empty, a host must be in it, by name or with all of its addresses.
/// - An address that is not public is refused unless private networks are allowed, or a *network* in `allowed_hosts` contains
///   it; a name does not do, since whoever owns the name decides where it leads. Metadata services of clouds, multicast and
///   unspecified addresses are refused in any case.
///
/// ```
/// use gitsync_core::source::{Scheme, SourcePolicy, SourceUrl};
///
/// let policy = SourcePolicy::builder()
///     .schemes([Scheme::Https, Scheme::Http])
///     .allowed_hosts(["*.example.com", "10.1.0.0/16"])?
///     .denied_hosts(["old.example.com"])?
///     .build()?;
/// assert!(policy.check_url(&"http://10.1.2.3/app.git".parse()?).is_ok());
/// assert!(policy.check_url(&"http://10.2.0.1/app.git".parse()?).is_err());
/// assert!(policy.check_url(&"https://old.example.com/app.git".parse()?).is_err());
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SourcePolicy {
    pub(super) schemes: BTreeSet<Scheme>,
    pub(super) allow_private_networks: bool,
    pub(super) allowed_hosts: Vec<HostPattern>,
    pub(super) denied_hosts: Vec<HostPattern>,
    /// `None` means all.
    pub(super) ports: Option<BTreeSet<u16>>,
    /// Canonical.
    pub(super) file_roots: Vec<PathBuf>,
    pub(super) push_hosts: Vec<HostPattern>,
    /// Canonical.
    pub(super) push_roots: Vec<PathBuf>,
    /// Canonical as far as they exist.
    storage_roots: Vec<PathBuf>,
}

impl Default for SourcePolicy {
    fn default() -> Self {
        SourcePolicy {
            schemes: BTreeSet::from([Scheme::Https, Scheme::Ssh]),
            allow_private_networks: false,
            allowed_hosts: Vec::new(),
            denied_hosts: Vec::new(),
            ports: None,
            file_roots: Vec::new(),
            push_hosts: Vec::new(),
            push_roots: Vec::new(),
            storage_roots: Vec::new(),
        }
    }
}

fn refused(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::SourceRefused, message).hint(hint)
}

impl SourcePolicy {
    /// Starts from the default policy.
    pub fn builder() -> SourcePolicyBuilder {
        SourcePolicyBuilder::new()
    }

    /// Makes the directories where repositories are kept unreachable as file sources and push targets, whatever the file roots
    /// say: otherwise anybody who may name a source could read every repository.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a file root lies inside one of them, or one cannot be resolved.
    pub fn with_storage_roots<P: AsRef<Path>>(mut self, roots: impl IntoIterator<Item = P>) -> Result<Self> {
        for root in roots {
            let root = root.as_ref();
            let canonical = canonicalize_existing(root).map_err(|error| unresolved("storage_roots", root, error))?;
            let mut file_roots = self.file_roots.iter().chain(&self.push_roots);
            if let Some(inside) = file_roots.find(|file_root| file_root.starts_with(&canonical)) {
                return Err(Error::new(ErrorKind::InvalidInput, "a file root lies inside a storage root")
                    .with("file_root", inside.display())
                    .with("storage_root", canonical.display())
                    .hint("choose file_roots outside of the directories where repositories are kept"));
            }
            self.storage_roots.push(canonical);
        }
        Ok(self)
    }

    /// Checks what can be told without asking anybody: scheme, port, host, and the address where the host is one.
    ///
    /// # Errors
    /// [`ErrorKind::SourceRefused`].
    pub fn check_url(&self, url: &SourceUrl) -> Result<()> {
        if !self.schemes.contains(&url.scheme()) {
            let allowed: Vec<&str> = self.schemes.iter().map(|scheme| scheme.as_str()).collect();
            return Err(refused(format!("sources of scheme {} are not allowed", url.scheme()), "see allowed_schemes")
                .with("allowed", allowed.join(",")));
        }
        let Some(host) = url.host() else {
            return if self.file_roots.is_empty() { Err(no_file_roots()) } else { Ok(()) };
        };
        if let (Some(ports), Some(port)) = (&self.ports, url.port())
            && !ports.contains(&port)
        {
            return Err(refused(format!("port {port} is not allowed"), "see allowed_ports"));
        }
        if let Some(pattern) = self.denied_hosts.iter().find(|pattern| pattern.matches_name(host)) {
            return Err(denied(host, pattern));
        }
        match host {
            Host::Domain(name) => {
                // Where networks are allowed, a name may still turn out to lead into one of them.
                if !self.is_allowed_by_name(host) && !self.allowed_hosts.iter().any(HostPattern::is_network) {
                    return Err(not_allowed(host));
                }
                let is_loopback = name == "localhost" || name.ends_with(".localhost");
                if is_loopback && !self.may_be_loopback() {
                    return Err(private(host, None, "loopback"));
                }
                Ok(())
            }
            Host::Ipv4(_) | Host::Ipv6(_) => {
                let addresses: Vec<IpAddr> = host.address().into_iter().collect();
                self.check_addresses(host, &addresses)
            }
        }
    }

    /// Checks what can be told of a push target without asking anybody: as for a source, and beside that the host has to be
    /// one that may be pushed to. Files are allowed by their own list of directories.
    ///
    /// # Errors
    /// [`ErrorKind::SourceRefused`].
    pub fn check_target(&self, url: &SourceUrl) -> Result<()> {
        match url.host() {
            None if self.push_roots.is_empty() || !self.schemes.contains(&Scheme::File) => Err(no_push_roots()),
            None => Ok(()),
            Some(host) => {
                self.check_url(url)?;
                if self.push_hosts.iter().any(|pattern| pattern.selects(host)) {
                    Ok(())
                } else {
                    Err(no_push_host(host))
                }
            }
        }
    }

    /// Checks one address on its own, without regard to the name that led to it.
    ///
    /// # Errors
    /// [`ErrorKind::SourceRefused`].
    pub fn check_address(&self, address: IpAddr) -> Result<()> {
        self.check_resolved(&Host::from(address), address)
    }

    /// Checks all addresses a host resolved to. One bad address is enough to refuse the host: the next answer may be in
    /// another order.
    ///
    /// # Errors
    /// [`ErrorKind::SourceRefused`]; [`ErrorKind::SourceUnreachable`] if there is no address.
    pub fn check_addresses(&self, host: &Host, addresses: &[IpAddr]) -> Result<()> {
        if addresses.is_empty() {
            return Err(Error::new(ErrorKind::SourceUnreachable, "the host has no address").with("host", host));
        }
        if !self.is_allowed_by_name(host) && !addresses.iter().all(|address| self.is_in_allowed_network(*address)) {
            return Err(not_allowed(host));
        }
        addresses.iter().try_for_each(|address| self.check_resolved(host, *address))
    }

    /// Resolves the path of a file source and checks where it really ends.
    ///
    /// It returns the canonical path, which is the one to open. A path outside the roots is refused in the same way whether it
    /// exists or not.
    ///
    /// # Errors
    /// [`ErrorKind::SourceRefused`]; [`ErrorKind::SourceNotFound`] if there is nothing at an allowed path.
    pub fn check_file_path(&self, path: &Path) -> Result<PathBuf> {
        if !self.schemes.contains(&Scheme::File) || self.file_roots.is_empty() {
            return Err(no_file_roots());
        }
        self.check_path(path, &self.file_roots, || {
            refused("the path is outside the directories files may be read from", "see file_roots")
        })
    }

    /// Like [`check_file_path`](SourcePolicy::check_file_path), for a repository that is pushed to: what may be read may not
    /// therefore be written.
    ///
    /// # Errors
    /// As there.
    pub fn check_push_path(&self, path: &Path) -> Result<PathBuf> {
        if !self.schemes.contains(&Scheme::File) || self.push_roots.is_empty() {
            return Err(no_push_roots());
        }
        self.check_path(path, &self.push_roots, || {
            refused("the path is outside the directories that may be pushed to", "see push_roots")
        })
    }

    fn check_path(&self, path: &Path, roots: &[PathBuf], outside: impl Fn() -> Error) -> Result<PathBuf> {
        // The part that exists decides, so that the answer tells nothing about what exists elsewhere.
        let resolved = canonicalize_existing(path).unwrap_or_default();
        let inside = |roots: &[PathBuf]| roots.iter().any(|root| resolved.starts_with(root));
        if !inside(roots) || inside(&self.storage_roots) {
            return Err(outside().with("path", path.display()));
        }
        path.canonicalize().map_err(|error| {
            Error::new(ErrorKind::SourceNotFound, "there is no repository at this path")
                .with("path", path.display())
                .caused_by(error)
        })
    }

    fn is_allowed_by_name(&self, host: &Host) -> bool {
        self.allowed_hosts.is_empty() || self.allowed_hosts.iter().any(|pattern| pattern.matches_name(host))
    }

    fn is_in_allowed_network(&self, address: IpAddr) -> bool {
        self.allowed_hosts.iter().any(|pattern| pattern.matches_address(address))
    }

    fn may_be_loopback(&self) -> bool {
        let loopback = [IpAddr::from([127, 0, 0, 1]), IpAddr::from(std::net::Ipv6Addr::LOCALHOST)];
        self.allow_private_networks || loopback.into_iter().any(|address| self.is_in_allowed_network(address))
    }

    fn check_resolved(&self, host: &Host, address: IpAddr) -> Result<()> {
        if let Some(pattern) = self.denied_hosts.iter().find(|pattern| pattern.matches_address(address)) {
            return Err(denied(host, pattern));
        }
        match classify(address) {
            Class::Public => Ok(()),
            Class::Private(_) if self.allow_private_networks || self.is_in_allowed_network(address) => Ok(()),
            Class::Private(range) => Err(private(host, Some(address), range)),
            Class::Never(range) => Err(refused(
                format!("the host leads to an address that is never asked ({range})"),
                "no setting allows it",
            )
            .with("host", host)
            .with("address", address)),
        }
    }
}

fn private(host: &Host, address: Option<IpAddr>, range: &str) -> Error {
    let error = refused(
        format!("the host leads to a private network ({range})"),
        "set allow_private_networks, or list the network in allowed_hosts",
    )
    .with("host", host);
    match address {
        Some(address) if host.address().is_none() => error.with("address", address),
        _ => error,
    }
}

fn denied(host: &Host, pattern: &HostPattern) -> Error {
    refused("the host is denied", "see denied_hosts").with("host", host).with("pattern", pattern)
}

fn not_allowed(host: &Host) -> Error {
    refused("the host is not among the allowed ones", "see allowed_hosts").with("host", host)
}

fn no_file_roots() -> Error {
    refused("file sources are not allowed", "add file to allowed_schemes and list their directories in file_roots")
}

fn no_push_host(host: &Host) -> Error {
    refused("the host is not among those that may be pushed to", "list it in push_hosts").with("host", host)
}

fn no_push_roots() -> Error {
    refused(
        "pushing to files is not allowed",
        "add file to allowed_schemes and list the directories that may be pushed to in push_roots",
    )
}

pub(super) fn unresolved(setting: &'static str, path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, "a directory of the source policy cannot be resolved")
        .with(setting, path.display())
        .hint("create the directory, or correct the setting")
        .caused_by(error)
}

/// Resolves as much of a path as exists and appends the rest.
fn canonicalize_existing(path: &Path) -> std::io::Result<PathBuf> {
    match path.canonicalize() {
        Ok(canonical) => Ok(canonical),
        Err(error) if error.kind() == IoErrorKind::NotFound => {
            // A dangling link is no directory to create things in, and nobody can say where it will lead.
            if path.symlink_metadata().is_ok() {
                return Err(error);
            }
            match (path.parent(), path.file_name()) {
                (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => {
                    Ok(canonicalize_existing(parent)?.join(name))
                }
                (Some(_), Some(name)) => Ok(std::env::current_dir()?.canonicalize()?.join(name)),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}
