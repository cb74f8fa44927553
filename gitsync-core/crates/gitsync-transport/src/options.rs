//! What can be set about the way out.

use std::path::PathBuf;
use std::time::Duration;

use gitsync_core::source::{Host, HostPattern};

use crate::{CaCertificates, ClientCertificate, Proxy};

/// Settings of a [`NetTransport`](crate::NetTransport).
///
/// ```
/// use std::time::Duration;
/// use gitsync_transport::NetOptions;
///
/// let options = NetOptions { idle_timeout: Duration::from_secs(10), ..NetOptions::default() };
/// assert_eq!(options.connect_timeout, Duration::from_secs(10));
/// ```
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// How long resolving a host may take, and then connecting to one of its addresses. 10 s.
    pub connect_timeout: Duration,
    /// How long an upstream may neither send nor take a byte. 30 s. Does not concern `file` sources, where a large repository
    /// may be silent while its objects are counted.
    pub idle_timeout: Duration,
    /// The `User-Agent` header. It begins with `git/`, because some hosts show others a web page.
    pub user_agent: String,
    /// Whether credentials are sent over `http` too, where everybody on the way can read them. No.
    pub credentials_in_clear: bool,
    /// How many idle connections are kept per host. 4.
    pub idle_connections_per_host: usize,
    /// How many idle connections are kept in all, and as many for each of the `hosts`. 64.
    pub idle_connections: usize,
    /// The git program that reads `file` sources: a path, or a name to look for in `PATH`. `git`.
    pub git_program: PathBuf,
    /// The ssh program of OpenSSH, 8.0 or newer, that reaches `ssh` sources: a path, or a name to look for in `PATH`. `ssh`.
    pub ssh_program: PathBuf,
    /// Files with the keys of the hosts that `ssh` sources may be on, in the format of OpenSSH's `known_hosts`. They are read for
    /// each connection. A host on another port than 22 is in there as `[host]:port`. None.
    pub known_hosts: Vec<PathBuf>,
    /// Further lines as in those files. None.
    pub host_keys: Vec<String>,
    /// Authorities that `https` sources on all hosts, and `https` proxies, are trusted by, beside the public ones. None.
    pub ca_certificates: CaCertificates,
    /// What is set for some hosts. The first that selects a host holds, and no other. None.
    pub hosts: Vec<HostOptions>,
}

/// What is set for the hosts of a [pattern](HostPattern), which is compared with the host as the source writes it.
///
/// ```no_run
/// use gitsync_transport::{CaCertificates, HostOptions, NetOptions};
///
/// let mut inside = HostOptions::new("*.corp.example".parse()?);
/// inside.ca_certificates = CaCertificates::from_pem_files(["/etc/gitsync/corp-ca.pem"])?;
/// inside.proxy = Some("http://proxy.corp.example:3128".parse()?);
/// let options = NetOptions { hosts: vec![inside], ..NetOptions::default() };
/// # Ok::<(), gitsync_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The hosts.
    pub pattern: HostPattern,
    /// Authorities that are trusted for these hosts and their `https` proxy alone, beside those that are for all.
    pub ca_certificates: CaCertificates,
    /// What these hosts are shown if they ask for a certificate.
    pub client_certificate: Option<ClientCertificate>,
    /// What connects to these hosts for us. The policy judges their addresses before. `ssh` and `git` sources on them are not
    /// supported.
    pub proxy: Option<Proxy>,
}

impl HostOptions {
    /// Sets nothing yet.
    pub fn new(pattern: HostPattern) -> Self {
        HostOptions { pattern, ca_certificates: CaCertificates::default(), client_certificate: None, proxy: None }
    }
}

impl NetOptions {
    /// Returns the number of what is set for a host.
    pub(crate) fn of_host(&self, host: &Host) -> Option<usize> {
        self.hosts.iter().position(|options| options.pattern.selects(host))
    }
}

impl Default for NetOptions {
    fn default() -> Self {
        NetOptions {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            user_agent: concat!("git/gitsync-", env!("CARGO_PKG_VERSION")).to_owned(),
            credentials_in_clear: false,
            idle_connections_per_host: 4,
            idle_connections: 64,
            git_program: PathBuf::from("git"),
            ssh_program: PathBuf::from("ssh"),
            known_hosts: Vec::new(),
            host_keys: Vec::new(),
            ca_certificates: CaCertificates::default(),
            hosts: Vec::new(),
        }
    }
}
