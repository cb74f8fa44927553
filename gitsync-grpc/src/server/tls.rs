//! The server's certificate.

use std::path::PathBuf;
use std::{fs, io};

use gitsync_core::{Error, ErrorKind, Result};
use tonic::transport::{Identity, ServerTlsConfig};

/// Where the certificate and its key are, both in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate, followed by those that lead to its authority.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Tls {
    pub(super) fn config(&self) -> Result<ServerTlsConfig> {
        let read =
            |path: &PathBuf| fs::read(path).map_err(|error: io::Error| unusable(error).with("file", path.display()));
        Ok(ServerTlsConfig::new().identity(Identity::from_pem(read(&self.certificate)?, read(&self.key)?)))
    }
}

pub(super) fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = format!("the certificate or its key cannot be used: {error}");
    Error::new(ErrorKind::InvalidInput, message).caused_by(error)
}
