//! What it means that no secure connection came about.

use std::io;

use gitsync_core::source::redact;
use gitsync_core::{Error, ErrorKind};
use rustls::{AlertDescription, CertificateError};

use crate::limits::inside;

/// Says what is wrong between us and the server, if TLS is it.
///
/// What is wrong with a certificate does not change within minutes, so that is not tried again at once.
pub(crate) fn explain(error: &io::Error) -> Option<Error> {
    let error = inside::<rustls::Error>(error)?;
    let new = |kind, message: &str, hint: &str| {
        Error::new(kind, message).with("reason", redact(&error.to_string())).hint(hint).permanent()
    };
    Some(match error {
        rustls::Error::InvalidCertificate(certificate) => {
            let (message, hint) = judged(certificate);
            new(ErrorKind::SourceUnreachable, message, hint)
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => new(
            ErrorKind::Unauthenticated,
            "the server asks for a client certificate",
            "configure the client certificate of the host",
        ),
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            // It knows another authority of the same name.
            | AlertDescription::DecryptError,
        ) => new(
            ErrorKind::Unauthenticated,
            "the server refused the client certificate",
            "check which client certificate the host wants, and whether the configured one is still valid",
        ),
        _ => Error::new(ErrorKind::SourceUnreachable, "no secure connection is possible")
            .with("reason", redact(&error.to_string()))
            .hint("check that the server speaks TLS 1.2 or 1.3 at this port"),
    })
}

/// Says what is wrong with the certificate of a server, and what cures it.
fn judged(error: &CertificateError) -> (&'static str, &'static str) {
    match error {
        // A bad signature is that of an authority that has the name of a trusted one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => (
            "the certificate of the server is of an authority that is not trusted",
            "if it is a private one, add its certificate to the trusted authorities; if not, the server may not send all that lie between",
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "the certificate of the server has expired",
            "the server needs a new one, or the clock of this machine is wrong",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
            "the certificate of the server is not valid yet",
            "the clock of this machine or of who made the certificate is wrong",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "the certificate of the server is for another name",
            "use the name in the certificate; it is the right one only if that is the server you mean",
        ),
        _ => ("the certificate of the server is not valid", "the server needs another one"),
    }
}
