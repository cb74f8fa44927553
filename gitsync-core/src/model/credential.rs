//! Credentials that organisations keep here.

use std::fmt;

use crate::clock::Timestamp;
use crate::model::{CredentialName, KeyId, OrganisationId};
use crate::source::{CredentialKind, CredentialScope};

/// What is known of the credentials that an organisation keeps here, but for the secret. They are used for the work of its own
/// repositories alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCredential {
    /// The organisation.
    pub organisation: OrganisationId,
    /// Their name, which the organisation has once.
    pub name: CredentialName,
    /// The sources they are for. No others of the organisation are for the same.
    pub scope: CredentialScope,
    /// The kind.
    pub kind: CredentialKind,
    /// When some were first set by this name.
    pub created_at: Timestamp,
    /// When they were last set.
    pub updated_at: Timestamp,
}

/// A secret as it is stored: encrypted. Sealing the same again makes other bytes. `Debug` shows the key's name alone.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// The key by which it opens.
    pub key: KeyId,
    /// The bytes; what they mean is for who has the key.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSecret").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Stored credentials with their secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCredential {
    /// What is known of them.
    pub credential: StoredCredential,
    /// The secret.
    pub secret: SealedSecret,
}
