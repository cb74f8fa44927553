//! Telling other credentials from the same.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::Credentials;

/// Which credentials a source has, as far as telling whether they are others than before. It is stored with a repository whose
/// credentials were refused.
///
/// One that is made of credentials is one of 16 million values, the same for all sources. So other credentials are as good as
/// always noticed, and who reads the database can tell a guess from the truth only in so far as 16 million others would do as
/// well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CredentialRevision(u32);

impl CredentialRevision {
    /// Makes a revision of what a provider has instead, such as the number of a version in a vault.
    pub const fn new(number: u32) -> Self {
        CredentialRevision(number)
    }

    /// Makes the revision of credentials, or of having none.
    pub fn of(credentials: Option<&Credentials>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        match credentials {
            None => add("none"),
            Some(Credentials::UserPassword { user, password }) => {
                ["password", user, password.expose_secret()].into_iter().for_each(add);
            }
            Some(Credentials::Bearer(token)) => {
                ["bearer", token.expose_secret()].into_iter().for_each(add);
            }
            Some(Credentials::SshKey { key, passphrase }) => {
                let passphrase = passphrase.as_ref().map(SecretString::expose_secret).unwrap_or_default();
                ["key", key.expose_secret(), passphrase].into_iter().for_each(add);
            }
        }
        CredentialRevision::of_hash(hash)
    }

    /// Makes the revision of what was set under a name at a time.
    pub(crate) fn of_version(name: &str, version: i64) -> Self {
        CredentialRevision::of_hash(Sha256::new().chain_update(version.to_le_bytes()).chain_update(name))
    }

    fn of_hash(hash: Sha256) -> Self {
        let digest: [u8; 32] = hash.finalize().into();
        CredentialRevision(u32::from_le_bytes([digest[0], digest[1], digest[2], 0]))
    }

    /// Returns the number that stands for the revision.
    pub const fn number(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_credentials_have_other_revisions() {
        let user_password = |user: &str, password: &str| {
            Some(Credentials::UserPassword { user: user.to_owned(), password: password.into() })
        };
        let key = |key: &str, passphrase: Option<&str>| {
            Some(Credentials::SshKey { key: key.into(), passphrase: passphrase.map(SecretString::from) })
        };
        let all = [
            None,
            user_password("a", "b"),
            user_password("ab", ""),
            user_password("a", "c"),
            Some(Credentials::Bearer("b".into())),
            key("b", None),
            key("b", Some("c")),
        ];
        let mut seen = Vec::new();
        for credentials in &all {
            let revision = CredentialRevision::of(credentials.as_ref());
            assert_eq!(revision, CredentialRevision::of(credentials.clone().as_ref()));
            assert!(revision.number() < 1 << 24 && !seen.contains(&revision), "{credentials:?}");
            seen.push(revision);
        }
    }
}
