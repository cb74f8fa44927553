//! The server's certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use gitsync_core::{Error, ErrorKind, Result};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What a client and a server agree on in the handshake.
const HTTP2: &[u8] = b"h2";

/// Where the certificate and its key are, both in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Tls {
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor> {
        let certificates = CertificateDer::pem_slice_iter(&read(&self.certificate)?).collect::<Result<Vec<_>, _>>();
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_single_cert(
                certificates.map_err(|error| unusable(error).with("file", self.certificate.display()))?,
                key.map_err(|error| unusable(error).with("file", self.key.display()))?,
            )
            .map_err(unusable)?;
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error: io::Error| unusable(error).with("file", path.display()))
}

fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = format!("the certificate or its key cannot be used: {error}");
    Error::new(ErrorKind::InvalidInput, message).caused_by(error)
}
