//! The way to the server.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use gitsync_grpc::proto::git_repository_service_client::GitRepositoryServiceClient;
use gitsync_grpc::proto::{GetRepositoryRequest, Repository};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::options::Options;

/// A client that shows its token.
pub(crate) type Client = GitRepositoryServiceClient<InterceptedService<Channel, Token>>;

/// Adds the token to each request.
#[derive(Clone)]
pub(crate) struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Connects to the server as who has the token.
pub(crate) async fn connect(options: &Options) -> Result<Client> {
    let token = token(options)?;
    let endpoint = endpoint(options)?;
    let is_loopback = matches!(endpoint.uri().host(), Some("127.0.0.1" | "localhost" | "[::1]"));
    let is_secure = endpoint.uri().scheme_str() == Some("https");
    ensure!(token.0.is_none() || is_secure || is_loopback, "a token is not sent over http; use an https server");
    Ok(GitRepositoryServiceClient::with_interceptor(open(&endpoint).await?, token))
}

/// Asks whether the server serves, as nobody.
pub(crate) async fn serves(options: &Options) -> Result<bool> {
    Ok(gitsync_grpc::client::serves(open(&endpoint(options)?).await?).await?)
}

async fn open(endpoint: &Endpoint) -> Result<Channel> {
    endpoint.connect().await.with_context(|| format!("there is no server at {}", endpoint.uri()))
}

fn endpoint(options: &Options) -> Result<Endpoint> {
    let mut endpoint = Endpoint::from_shared(options.server.clone()).context("the server's URL makes no sense")?;
    if endpoint.uri().scheme_str() == Some("https") {
        let mut tls = ClientTlsConfig::new().with_webpki_roots();
        if let Some(file) = &options.ca_cert {
            tls = tls.ca_certificate(Certificate::from_pem(read(file)?));
        }
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok(endpoint)
}

fn token(options: &Options) -> Result<Token> {
    let text = match &options.token_file {
        Some(file) => Some(String::from_utf8(read(file)?).context("the token file is not text")?),
        None => std::env::var("GITSYNC_TOKEN").ok(),
    };
    let Some(text) = text else { return Ok(Token(None)) };
    // What is wrong with a token is not said with the token.
    let value = format!("Bearer {}", text.trim()).parse::<MetadataValue<Ascii>>();
    let mut value = value.ok().context("the token has characters that cannot be sent")?;
    value.set_sensitive(true);
    Ok(Token(Some(value)))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Splits `ORGANISATION/NAME`.
pub(crate) fn split(name: &str) -> Result<(&str, &str)> {
    name.split_once('/').with_context(|| format!("{name:?} is not ORGANISATION/NAME"))
}

/// Finds the repository that the command line names.
pub(crate) async fn repository(client: &mut Client, name: &str) -> Result<Repository> {
    let request = match name.parse() {
        Ok(id) => GetRepositoryRequest { repository_id: id, ..GetRepositoryRequest::default() },
        Err(_) => {
            let (organisation, name) = split(name)?;
            GetRepositoryRequest { repository_id: 0, organisation_slug: organisation.into(), name: name.into() }
        }
    };
    let answer = client.get_repository(request).await?.into_inner();
    answer.repository.context("the server's answer has no repository")
}
