//! A served engine with scripted upstreams, on a store of each kind.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    clippy::unwrap_used,
    reason = "each test uses its part, and a test fails by panicking"
)]

mod stores;

use std::any::Any;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gitsync_core::engine::CreateRepository;
use gitsync_core::memory::ScriptedBackend;
use gitsync_core::model::{OrganisationId, RepositoryId, TaskId};
use gitsync_core::source::{CredentialKeys, SourcePolicy, SourceUrl};
use gitsync_core::testing::{FaultyStore, Offline};
use gitsync_core::{Cancellation, GitSync, Result};
use gitsync_grpc::Service;
use gitsync_grpc::access::{Authorizer, OpenAccess, TokensFile, hash_token};
use gitsync_grpc::proto::git_repository_service_client::GitRepositoryServiceClient;
use gitsync_grpc::server::{Server, ServerOptions, Tls};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tonic::codegen::http;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use self::stores::Opened;
pub(crate) use self::stores::{StoreKind, on_all_stores};

pub(crate) type Client = GitRepositoryServiceClient<InterceptedService<Channel, Bearer>>;

/// Adds an `authorization` to each request.
#[derive(Clone)]
pub(crate) struct Bearer(Option<String>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(text) = &self.0 {
            request.metadata_mut().insert("authorization", MetadataValue::try_from(text.as_str()).unwrap());
        }
        Ok(request)
    }
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) gitsync: GitSync,
    /// What the engine keeps its records in.
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) backend: ScriptedBackend,
    pub(crate) address: SocketAddr,
    pub(crate) stop: Cancellation,
    /// Goes last.
    _kept: Box<dyn Any + Send + Sync>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    /// Serves everybody.
    pub(crate) async fn open(kind: StoreKind) -> Self {
        World::serve(kind, |_| Arc::new(OpenAccess), |service| service, patient()).await
    }

    /// Serves those who show a token of a file with this content.
    pub(crate) async fn guarded(kind: StoreKind, tokens: &str, public_reads: bool) -> Self {
        let authorizer = |dir: &Path| tokens_file(dir, tokens, public_reads);
        World::serve(kind, authorizer, |service| service, patient()).await
    }

    /// Serves whom the authorizer lets in. It may keep files in the directory of the world.
    pub(crate) async fn serve(
        kind: StoreKind,
        authorizer: impl FnOnce(&Path) -> Arc<dyn Authorizer>,
        settle: impl FnOnce(Service) -> Service,
        options: ServerOptions,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let backend = ScriptedBackend::new();
        let Opened { store, queue, kept } = kind.open().await;
        let store = Arc::new(FaultyStore::new(store));
        let gitsync = GitSync::builder()
            .store(store.clone())
            .queue(queue)
            .backend(Arc::new(backend.clone()))
            .transport(Arc::new(Offline))
            .credential_keys(Arc::new(CredentialKeys::from_text(&format!("k:{}", "07".repeat(32))).unwrap()))
            .policy(SourcePolicy::builder().push_host("*").unwrap().build().unwrap())
            .repos_dir(dir.path().join("repos"))
            .build()
            .unwrap();
        let service = settle(Service::new(gitsync.clone(), authorizer(dir.path())));
        let server = Server::bind(service, ([127, 0, 0, 1], 0).into(), options).await.unwrap();
        let (address, stop) = (server.address(), Cancellation::new());
        let stopped = stop.clone();
        tokio::spawn(server.serve(async move { stopped.cancelled().await }));
        World { dir, gitsync, store, backend, address, stop, _kept: kept }
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// Connects when it is needed.
    pub(crate) fn lazy_channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy()
    }

    /// Connects with this `authorization`.
    pub(crate) async fn client(&self, authorization: Option<&str>) -> Client {
        let bearer = Bearer(authorization.map(str::to_owned));
        GitRepositoryServiceClient::with_interceptor(self.channel().await, bearer)
    }

    /// Makes an upstream with a line of commits on `main`.
    pub(crate) fn upstream(&self, commits: usize) -> SourceUrl {
        let source = SourceUrl::parse("https://example.com/upstream.git").unwrap().url;
        let mut parents = Vec::new();
        for number in 0..commits {
            parents = vec![self.backend.commit(&parents, &format!("commit {number}"))];
        }
        self.backend.set_ref(&source, "refs/heads/main", parents.first().copied()).unwrap();
        source
    }

    pub(crate) async fn organisation(&self, slug: &str) -> OrganisationId {
        self.gitsync.create_organisation(&slug.parse().unwrap(), slug).await.unwrap().id
    }

    /// Creates a mirror of the upstream and clones it.
    pub(crate) async fn mirror(&self, organisation: OrganisationId, name: &str) -> (RepositoryId, TaskId) {
        let source = Some(self.upstream(3));
        let wish = CreateRepository { name: name.to_owned(), source, ..CreateRepository::default() };
        let (repository, task) = self.gitsync.create_repository(organisation, wish).await.unwrap();
        self.work().await;
        (repository.id, task.id)
    }

    pub(crate) async fn work(&self) {
        self.gitsync.worker().run_until_idle().await.unwrap();
    }
}

/// Options of a server that waits for machines which have much else to do.
pub(crate) fn patient() -> ServerOptions {
    let long = Duration::from_secs(3600);
    ServerOptions {
        handshake_timeout: long,
        request_timeout: long,
        keepalive: long,
        max_connection_age: long,
        ..ServerOptions::default()
    }
}

/// Lists organisations with these headers and this much of a message, without the client library, which would not wait for the
/// server's answer.
pub(crate) async fn list_by_hand(
    address: SocketAddr,
    headers: &[(&str, &str)],
    message: Option<&'static [u8]>,
) -> Status {
    let (mut client, connection) = h2::client::handshake(TcpStream::connect(address).await.unwrap()).await.unwrap();
    tokio::spawn(connection);
    let path = format!("http://{address}/gitsync.v1.GitRepositoryService/ListOrganisations");
    let mut request = http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (answer, mut sender) = client.send_request(request.body(()).unwrap(), false).unwrap();
    if let Some(message) = message {
        sender.send_data(Bytes::from_static(message), true).unwrap();
    }
    Status::from_header_map(answer.await.unwrap().headers()).unwrap()
}

/// Makes an authorizer of a tokens file with this content.
pub(crate) fn tokens_file(dir: &Path, tokens: &str, public_reads: bool) -> Arc<dyn Authorizer> {
    let file = dir.join("tokens.toml");
    std::fs::write(&file, tokens).unwrap();
    Arc::new(TokensFile::open(file).unwrap().public_reads(public_reads))
}

/// Writes an entry of a tokens file. The token is `token-NAME`.
pub(crate) fn entry(name: &str, roles: &str, more: &str) -> String {
    let hash = hash_token(&format!("token-{name}"));
    format!("[[tokens]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nroles = {{ {roles} }}\n{more}\n")
}

/// Makes a certificate of `localhost`, which is returned in PEM too.
pub(crate) fn certificate(dir: &Path) -> (Tls, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    (tls, made.cert.pem())
}
