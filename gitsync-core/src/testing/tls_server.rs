//! TLS in front of a server, and private authorities that issue the certificates for it.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::{copy, copy_bidirectional, sink};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

use super::listening::Listening;
use super::ssh_server::write_private;
use crate::source::SourceUrl;

/// A private authority. What it issues are files, which are there as long as this is.
pub struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// The files of a certificate and its private key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of tests");
        let key = KeyPair::generate().expect("keys can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority signs itself");
        let directory = tempfile::tempdir().expect("a directory can be made");
        fs::write(directory.path().join("ca.pem"), issuer.pem()).expect("a file can be written");
        Authority { directory, issuer }
    }
}

impl Authority {
    /// Returns the file with the certificate of the authority.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Issues a certificate for a name or an address.
    ///
    /// # Panics
    /// If it is neither.
    pub fn issue(&self, name: &str) -> Identity {
        self.sign(name, name, |_| ())
    }

    /// Issues one that has expired.
    ///
    /// # Panics
    /// As above.
    pub fn issue_expired(&self, name: &str) -> Identity {
        self.sign(name, "expired", |params| params.not_after = date_time_ymd(2020, 1, 1))
    }

    fn sign(&self, name: &str, file: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new([name.to_owned()]).expect("it is a name");
        change(&mut params);
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("an authority signs");
        let at = |kind| self.directory.path().join(format!("{file}.{kind}.pem"));
        let identity = Identity { certificate: at("certificate"), key: at("key") };
        fs::write(&identity.certificate, certificate.pem()).expect("a file can be written");
        write_private(&identity.key, &key.serialize_pem());
        identity
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("file", &self.file()).finish_non_exhaustive()
    }
}

/// Hands on what arrives by TLS to a server in the clear, until it is dropped.
pub struct TlsServer(Listening);

impl TlsServer {
    /// Starts in front of a server. If there is an authority for clients, only those are let in that it knows.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(behind: SocketAddr, identity: &Identity, clients: Option<&Authority>) -> Self {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.issuer.der().clone()).expect("it is an authority");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("there is an authority"))
            }
        };
        let key = PrivateKeyDer::from_pem_file(&identity.key).expect("it is a key");
        let config = builder.with_single_cert(chain(&identity.certificate), key).expect("they belong together");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        TlsServer(Listening::start(move |connection| serve(connection, &acceptor, behind)))
    }

    /// Returns where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Returns the address of a repository below the root of the server behind.
    ///
    /// # Panics
    /// If the path cannot be part of an address.
    pub fn source(&self, path: &str) -> SourceUrl {
        SourceUrl::parse(&format!("https://{}/{path}", self.address())).expect("it is a source").url
    }

    /// Returns how many connections there were.
    pub fn connections(&self) -> usize {
        self.0.connections()
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TlsServer").field(&self.address()).finish()
    }
}

fn chain(file: &Path) -> Vec<CertificateDer<'static>> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    certificates.expect("they are certificates")
}

fn serve(connection: TcpStream, acceptor: &TlsAcceptor, behind: SocketAddr) -> io::Result<()> {
    connection.set_nodelay(true)?;
    connection.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let connection = tokio::net::TcpStream::from_std(connection)?;
        match acceptor.accept(connection).into_fallible().await {
            Ok(mut client) => {
                let mut server = tokio::net::TcpStream::connect(behind).await?;
                server.set_nodelay(true)?;
                copy_bidirectional(&mut client, &mut server).await.map(drop)
            }
            // To close before all is read would take back what the client was told.
            Err((_, mut client)) => copy(&mut client, &mut sink()).await.map(drop),
        }
    })
}
