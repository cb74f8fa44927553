//! Kinds of credentials.

use std::fmt;

use crate::source::Scheme;

/// A kind of [`Credentials`](super::Credentials).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialKind {
    /// A user with a password or an access token.
    UserPassword,
    /// A token for an `Authorization: Bearer` header.
    Bearer,
    /// A private key for ssh sources.
    SshKey,
}

impl CredentialKind {
    /// Every kind, in declaration order.
    pub const ALL: [CredentialKind; 3] = [CredentialKind::UserPassword, CredentialKind::Bearer, CredentialKind::SshKey];

    /// Returns the stable name used in databases and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            CredentialKind::UserPassword => "user_password",
            CredentialKind::Bearer => "bearer",
            CredentialKind::SshKey => "ssh_key",
        }
    }

    /// Returns the kind that has this name, if there is one.
    pub fn from_name(name: &str) -> Option<CredentialKind> {
        CredentialKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Tells whether it is a key: those are for ssh sources, all else for http and https.
    pub const fn is_key(self) -> bool {
        matches!(self, CredentialKind::SshKey)
    }

    /// Tells whether sources of a scheme may take credentials of this kind.
    pub fn is_for(self, scheme: Scheme) -> bool {
        if self.is_key() { scheme == Scheme::Ssh } else { scheme.is_http() }
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
