//! An engine, and repositories on servers that it can reach.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use gitsync_core::engine::CreateRepository;
use gitsync_core::memory::{MemoryQueue, MemoryStore};
use gitsync_core::model::{RepositoryId, SyncTask};
use gitsync_core::queue::QueueLimits;
use gitsync_core::source::{CredentialProvider, Credentials, Scheme, SourcePolicy, SourceUrl};
use gitsync_core::testing::{
    Authority, GitDaemon, KeyPair, ProxyProtocol, ProxyServer, SmartHttpServer, SshServer, TlsServer, Upstream,
};
use gitsync_core::{GitBackend, GitSync, SystemClock};
use gitsync_git2::Git2Backend;
use gitsync_gix::GixBackend;
use gitsync_transport::{CaCertificates, ClientCertificate, HostOptions, NetOptions, NetTransport};

/// The engines.
pub(crate) fn engines() -> [Arc<dyn GitBackend>; 2] {
    [Arc::new(GixBackend::default()), Arc::new(Git2Backend::default())]
}

/// A server, and how it is reached.
pub(crate) enum Server {
    Ssh(SshServer, KeyPair),
    Git,
    Http,
    /// Under a private authority, which also knows the clients that are let in.
    Tls(Box<Authority>),
    /// Behind a proxy that asks for a login.
    Proxy(ProxyServer),
}

impl Server {
    /// A server by ssh that runs what it is asked for, or this.
    pub(crate) fn ssh(instead: Option<&str>) -> Self {
        let (server, key) = (SshServer::start(), KeyPair::generate(&["-t", "ed25519"], ""));
        server.let_in(&key, instead);
        Server::Ssh(server, key)
    }

    /// One of each kind.
    pub(crate) fn all() -> Vec<Self> {
        let proxies =
            ProxyProtocol::ALL.map(|protocol| Server::Proxy(ProxyServer::start(protocol, Some("me:s3cret"), Some)));
        let mut all = vec![Server::ssh(None), Server::Git, Server::Http, Server::Tls(Box::default())];
        all.extend(proxies);
        all
    }

    fn options(&self) -> NetOptions {
        let mut host = HostOptions::new("127.0.0.1".parse().unwrap());
        match self {
            Server::Ssh(server, _) => {
                return NetOptions { host_keys: vec![server.known_host()], ..NetOptions::default() };
            }
            Server::Git | Server::Http => return NetOptions::default(),
            Server::Tls(authority) => {
                let client = authority.issue("client.example");
                host.ca_certificates = CaCertificates::from_pem_files([authority.file()]).unwrap();
                host.client_certificate =
                    Some(ClientCertificate::from_pem_files(&client.certificate, &client.key).unwrap());
            }
            Server::Proxy(proxy) => {
                let proxy: gitsync_transport::Proxy = proxy.url().parse().unwrap();
                host.proxy = Some(proxy.with_login("me", "s3cret".into()).unwrap());
            }
        }
        NetOptions { hosts: vec![host], ..NetOptions::default() }
    }

    /// Makes the repository of another one reachable.
    pub(crate) fn serve(&self, repository: Upstream) -> Served {
        let http = || {
            repository.git().run(&["config", "http.receivepack", "true"]);
            SmartHttpServer::start(repository.root())
        };
        let (url, servers): (_, Box<dyn Any>) = match self {
            Server::Ssh(server, _) => (server.source(repository.dir()), Box::new(())),
            Server::Git => {
                let daemon = GitDaemon::start(repository.root());
                (daemon.source("upstream.git"), Box::new(daemon))
            }
            Server::Http | Server::Proxy(_) => {
                let http = http();
                (http.source("upstream.git"), Box::new(http))
            }
            Server::Tls(authority) => {
                let http = http();
                let tls = TlsServer::start(http.address(), &authority.issue("127.0.0.1"), Some(authority));
                (tls.source("upstream.git"), Box::new((http, tls)))
            }
        };
        Served { url, repository, _servers: servers }
    }
}

/// A repository of others.
pub(crate) struct Served {
    pub(crate) repository: Upstream,
    pub(crate) url: SourceUrl,
    _servers: Box<dyn Any>,
}

/// A private key for every source.
#[derive(Debug)]
struct Always(KeyPair);

impl CredentialProvider for Always {
    fn credentials(&self, _: &SourceUrl) -> gitsync_core::Result<Option<Credentials>> {
        Ok(Some(self.0.credentials()))
    }
}

pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) gitsync: GitSync,
}

impl World {
    /// An engine that is let in by a server.
    pub(crate) fn of(backend: Arc<dyn GitBackend>, server: &Server) -> Self {
        World::with(backend, server, |options| options, None)
    }

    /// An engine with other settings, or another key.
    pub(crate) fn with(
        backend: Arc<dyn GitBackend>,
        server: &Server,
        change: impl FnOnce(NetOptions) -> NetOptions,
        other_key: Option<KeyPair>,
    ) -> Self {
        // A cancellation is looked for as time goes by.
        let (clock, dir) = (Arc::new(SystemClock), tempfile::tempdir().unwrap());
        let policy = SourcePolicy::builder()
            .schemes([Scheme::Ssh, Scheme::Git, Scheme::Http, Scheme::Https])
            .allow_private_networks(true);
        let policy = policy.push_host("127.0.0.1").unwrap().build().unwrap();
        let mut transport = NetTransport::new(policy.clone(), change(server.options()));
        if let Server::Ssh(_, key) = server {
            transport = transport.with_credentials(Arc::new(Always(other_key.unwrap_or_else(|| key.clone()))));
        }
        let gitsync = GitSync::builder()
            .store(Arc::new(MemoryStore::new(clock.clone())))
            .queue(Arc::new(MemoryQueue::new(clock.clone(), QueueLimits::default())))
            .backend(backend)
            .transport(Arc::new(transport))
            .policy(policy)
            .clock(clock)
            .repos_dir(dir.path())
            .build()
            .unwrap();
        World { dir, gitsync }
    }

    /// Requests a mirror, on which nobody works yet.
    pub(crate) async fn request(&self, source: &SourceUrl) -> (RepositoryId, SyncTask) {
        let organisation = self.gitsync.create_organisation(&"org".parse().unwrap(), "Org").await.unwrap();
        let wish =
            CreateRepository { name: "mirror".into(), source: Some(source.clone()), ..CreateRepository::default() };
        let (repository, task) = self.gitsync.create_repository(organisation.id, wish).await.unwrap();
        (repository.id, task)
    }

    /// Works until nothing is to be done now, and returns what became of a task.
    pub(crate) async fn work(&self, task: &SyncTask) -> SyncTask {
        self.gitsync.worker().run_until_idle().await.unwrap();
        self.gitsync.task(task.id).await.unwrap()
    }

    pub(crate) fn mirror(&self) -> PathBuf {
        self.dir.path().join("org/mirror")
    }
}
