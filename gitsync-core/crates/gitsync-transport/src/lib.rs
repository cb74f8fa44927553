//! The one way out to git upstreams.
//!
//! [`NetTransport`] is the [`Transport`] for real networks. Both engines get their bytes through it, so what it enforces
//! holds for every clone and fetch:
//!
//! - **Policy.** A source is checked before anything happens, and every address its host resolves to before the connection is
//!   made; the connection then goes to one of exactly those addresses. Proxies of the environment are ignored; one that is set
//!   for a host ([`HostOptions::proxy`]) is itself not judged, and told to connect to one of those addresses. A file source is
//!   read if all its parts lie below the file roots, also what its links and lists of alternates lead to. One is pushed to
//!   if they lie below the push roots; its hooks do not run. Other hosts are pushed to if they are among the push hosts.
//! - **Redirects** are never followed. They come back as
//!   [`SourceRedirected`](gitsync_core::ErrorKind::SourceRedirected) with the new address of the repository and the status
//!   (context `status`); whoever decides to follow it passes the policy again.
//! - **Credentials** are asked for per call and sent to the host of the source only. The private key of an `ssh` source is in
//!   memory until the service answers (other systems than Linux: in a file that only this user can read); its passphrase is
//!   used in this process alone. Neither is in an argument or an environment.
//! - **What upstreams repeat** of the credentials that they, or proxies, were shown is taken out of the errors, and a redirect to
//!   an address that has them in it is [`SourceRefused`](gitsync_core::ErrorKind::SourceRefused).
//! - **Host keys** of `ssh` sources have to be known, see [`NetOptions::known_hosts`]. One that is not, or is another one, is
//!   [`SourceRefused`](gitsync_core::ErrorKind::SourceRefused), with what was offered (context `key` and `fingerprint`).
//! - **Certificates** of `https` sources have to be of a public authority, or of a private one that is set for all hosts or for
//!   this one ([`HostOptions`]). Nothing switches this off. One that is not trusted, has expired or is for another name is told
//!   as such, and not tried again at once.
//! - **Limits.** Cancellation, the deadline, and the idle limit end a call wherever it is, also while it resolves, connects or
//!   waits for a byte. Responses are bounded.
//!
//! `file` sources need the `git` program, which reads and writes them for us, and `ssh` sources the `ssh` program of OpenSSH. It
//! reads no configuration and uses no agent; passwords, keys on hardware, jump hosts and proxies are not supported.
//!
//! ```no_run
//! use std::io::Read;
//! use std::time::{Duration, Instant};
//!
//! use gitsync_core::source::{SourcePolicy, SourceUrl};
//! use gitsync_core::transport::{CallLimits, HttpRequest, Transport};
//! use gitsync_core::Cancellation;
//! use gitsync_transport::{NetOptions, NetTransport};
//!
//! let transport = NetTransport::new(SourcePolicy::default(), NetOptions::default());
//! let source: SourceUrl = "https://github.com/sharkdp/bat".parse()?;
//! let limits = CallLimits {
//!     cancellation: Cancellation::new(),
//!     deadline: Instant::now() + Duration::from_secs(60),
//!     max_response_bytes: 16 << 20,
//! };
//! let suffix = "/info/refs?service=git-upload-pack";
//! let mut response = transport.http(HttpRequest { source: &source, suffix, headers: &[], body: None }, &limits)?;
//! let mut listing = Vec::new();
//! response.body.read_to_end(&mut listing)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod complaint;
mod failure;
mod file;
mod git;
mod http;
mod limits;
mod options;
mod parts;
mod process;
mod proxy;
mod resolver;
mod shown;
mod socket;
mod ssh;
mod tls;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use gitsync_core::source::{
    ChainedCredentials, CredentialProvider, CredentialRevision, NoCredentials, Scheme, SourcePolicy, SourceUrl,
};
use gitsync_core::transport::{CallLimits, Connection, HttpRequest, HttpResponse, Service, Transport};
use gitsync_core::{Error, ErrorKind, Result};

use crate::http::Clients;
use crate::resolver::GuardedResolver;
use crate::shown::Shown;

pub use options::{HostOptions, NetOptions};
pub use proxy::Proxy;
pub use tls::{CaCertificates, ClientCertificate};

/// Opens guarded byte streams to real upstreams. Cheap to clone; clones share one pool of connections.
#[derive(Clone)]
pub struct NetTransport {
    policy: Arc<SourcePolicy>,
    credentials: Arc<dyn CredentialProvider>,
    options: NetOptions,
    resolver: GuardedResolver,
    clients: Clients,
    shown: Shown,
}

impl NetTransport {
    /// Creates a transport that asks every upstream anonymously.
    pub fn new(policy: SourcePolicy, options: NetOptions) -> Self {
        let policy = Arc::new(policy);
        let lookup = Arc::new(resolver::system_lookup);
        let resolver = GuardedResolver::new(Arc::clone(&policy), lookup, options.connect_timeout);
        let clients = Clients::new(&options, &resolver);
        NetTransport {
            policy,
            credentials: Arc::new(NoCredentials),
            options,
            resolver,
            clients,
            shown: Shown::default(),
        }
    }

    /// Sets who knows the credentials of sources.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Arc<dyn CredentialProvider>) -> Self {
        self.credentials = credentials;
        self
    }

    /// Sets how host names become addresses, instead of the operating system's resolver. The policy judges its answers all
    /// the same. The function may block; a call that ends meanwhile does not wait for it.
    #[must_use]
    pub fn with_lookup(mut self, lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        let policy = Arc::clone(&self.policy);
        self.resolver = GuardedResolver::new(policy, Arc::new(lookup), self.options.connect_timeout);
        self.clients = Clients::new(&self.options, &self.resolver);
        self
    }

    fn check(&self, url: &SourceUrl, service: Service) -> Result<()> {
        match service {
            Service::UploadPack => self.policy.check_url(url),
            Service::ReceivePack => self.policy.check_target(url),
        }
    }

    /// Returns what connects to the host of a source for us.
    fn proxy_of(&self, url: &SourceUrl) -> Option<&Proxy> {
        let number = url.host().and_then(|host| self.options.of_host(host))?;
        self.options.hosts[number].proxy.as_ref()
    }

    /// Refuses what would go past the proxy of its host.
    fn check_unproxied(&self, url: &SourceUrl) -> Result<()> {
        match self.proxy_of(url) {
            Some(proxy) => {
                Err(Error::new(ErrorKind::Unsupported, "only http and https sources are reached through a proxy")
                    .with("url", url)
                    .with("proxy", proxy)
                    .hint("use the https address of the repository, or set no proxy for the host"))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for NetTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetTransport")
            .field("policy", &self.policy)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Transport for NetTransport {
    fn credential_revision(&self, source: &SourceUrl) -> Result<Option<CredentialRevision>> {
        // Whoever refuses those who show none may let them in tomorrow: a repository is made public, or comes back.
        match self.credentials.credentials(source)? {
            Some(_) => self.credentials.revision(source).map(Some),
            None => Ok(None),
        }
    }

    fn asking_first(&self, credentials: Arc<dyn CredentialProvider>) -> Result<Arc<dyn Transport>> {
        let chain = ChainedCredentials::new([credentials, Arc::clone(&self.credentials)]);
        // What is shown for one organisation is nothing to look for in what others are told.
        let own = NetTransport { shown: Shown::default(), ..self.clone() };
        Ok(Arc::new(own.with_credentials(Arc::new(chain))))
    }

    fn http(&self, request: HttpRequest<'_>, limits: &CallLimits) -> Result<HttpResponse> {
        limits.check()?;
        if !request.source.scheme().is_http() {
            return Err(Error::new(ErrorKind::Unsupported, "only http and https sources are asked by HTTP")
                .with("url", request.source));
        }
        // Nothing else tells over HTTP which service is asked for.
        let is_push = request.suffix.contains(Service::ReceivePack.as_str());
        self.check(request.source, if is_push { Service::ReceivePack } else { Service::UploadPack })?;
        let source = request.source;
        http::exchange(self, request, limits).map_err(|error| self.shown.clean(error, source))
    }

    fn connect(&self, url: &SourceUrl, service: Service, version: u8, limits: &CallLimits) -> Result<Connection> {
        limits.check()?;
        self.check(url, service)?;
        self.check_unproxied(url)?;
        let connected = match url.scheme() {
            Scheme::File => file::connect(self, url, service, version, limits),
            Scheme::Git => git::connect(self, url, service, version, limits),
            Scheme::Ssh => ssh::connect(self, url, service, version, limits),
            Scheme::Http | Scheme::Https => {
                Err(Error::new(ErrorKind::Unsupported, "http sources have no connection, only exchanges")
                    .with("url", url))
            }
        };
        connected.map_err(|error| self.shown.clean(error, url))
    }

    fn hide_secrets(&self, source: &SourceUrl, text: &str) -> Option<String> {
        self.shown.hide(source, text)
    }
}
