//! Whom we trust, and how we show who we are.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use gitsync_core::watched_file::{Access, read_text};
use gitsync_core::{Error, ErrorKind, Result};
use rustls::RootCertStore;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, TrustAnchor};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use secrecy::ExposeSecret as _;

use super::provider;

/// Certificates of private authorities, which are trusted beside the public ones.
#[derive(Clone, Default)]
pub struct CaCertificates(Vec<TrustAnchor<'static>>);

impl CaCertificates {
    /// Reads them from PEM files, each of which holds one or more.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a file cannot be read, or holds no certificate or one that is none.
    pub fn from_pem_files<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Result<Self> {
        let mut store = RootCertStore::empty();
        for file in files {
            let file = file.as_ref();
            for certificate in read_certificates(file)? {
                store.add(certificate).map_err(|error| unusable(file).caused_by(error))?;
            }
        }
        Ok(CaCertificates(store.roots))
    }
}

impl fmt::Debug for CaCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaCertificates").field("count", &self.0.len()).finish()
    }
}

/// The public authorities, and these.
pub(super) fn trusted<'a>(more: impl IntoIterator<Item = &'a CaCertificates>) -> RootCertStore {
    let more = more.into_iter().flat_map(|authorities| authorities.0.iter().cloned());
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().chain(more).collect()
}

/// A certificate with its private key, shown to servers that ask who connects. `Debug` shows neither.
#[derive(Clone)]
pub struct ClientCertificate(Arc<SingleCertAndKey>);

impl ClientCertificate {
    /// Reads the certificate, with those between it and its authority after it, and the private key from PEM files. The key
    /// is not encrypted, and nobody but its owner, who is this user or root, may use its file.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if a file cannot be read, does not hold what it should, or may be used by others, or the key is
    /// that of another certificate.
    pub fn from_pem_files(certificates: &Path, key: &Path) -> Result<Self> {
        let chain = read_certificates(certificates)?;
        let text = read_text("file of a private key", key, Access::None)?;
        // What is wrong with a key is not repeated: it could be part of it.
        let private = PrivateKeyDer::from_pem_slice(text.expose_secret().as_bytes()).map_err(|_| {
            Error::new(ErrorKind::InvalidInput, "the file holds no private key that can be used")
                .with("file", key.display())
                .hint("write the key as unencrypted PEM")
        })?;
        let pair = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the private key cannot be used with the client certificate")
                .with("certificate", certificates.display())
                .with("key", key.display())
                .hint("the key must be that of the first certificate in the file")
                .caused_by(error)
        })?;
        Ok(ClientCertificate(Arc::new(pair.into())))
    }

    pub(super) fn resolver(&self) -> Arc<dyn ResolvesClientCert> {
        Arc::clone(&self.0) as Arc<dyn ResolvesClientCert>
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// Reads the certificates of a file, of which there must be one.
fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(file)),
        Err(error) => Err(unusable(file).caused_by(error)),
    }
}

fn unusable(file: &Path) -> Error {
    Error::new(ErrorKind::InvalidInput, "the file holds no certificates that can be used")
        .with("file", file.display())
        .hint("write the certificates as PEM, readable for this user")
}
