//! Sealing: XChaCha20-Poly1305 with random nonces, bound to where the secret belongs.

use std::fmt;

use chacha20poly1305::aead::rand_core::RngCore as _;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, OsRng, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};

use crate::error::{Error, ErrorKind, Result};
use crate::model::{CredentialName, KeyId, OrganisationId, SealedCredential, SealedSecret};
use crate::source::{CredentialKind, CredentialScope, Credentials};
use crate::store::NewCredential;

pub(super) const KEY_BYTES: usize = 32;

/// The first byte of what is sealed: the version of all that follows.
const VERSION: u8 = 1;

const NONCE_BYTES: usize = 24;

/// A key with its name.
pub(super) struct SealingKey {
    pub(super) id: KeyId,
    pub(super) key: SecretBox<[u8; KEY_BYTES]>,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealingKey").field(&self.id).finish()
    }
}

/// Where a secret belongs: what is taken elsewhere does not open.
struct Place<'a> {
    organisation: OrganisationId,
    name: &'a CredentialName,
    scope: &'a CredentialScope,
    kind: CredentialKind,
}

impl SealingKey {
    pub(super) fn seal(
        &self,
        organisation: OrganisationId,
        name: CredentialName,
        scope: CredentialScope,
        credentials: &Credentials,
    ) -> Result<NewCredential> {
        let kind = credentials.kind();
        let place = Place { organisation, name: &name, scope: &scope, kind };
        let secret = self.encrypt(&place, &encode(credentials))?;
        Ok(NewCredential { organisation, name, scope, kind, secret })
    }

    pub(super) fn open(&self, sealed: &SealedCredential) -> Result<Credentials> {
        let text = self.decrypt(&Place::of(sealed), &sealed.secret.bytes).ok_or_else(|| spoilt(sealed))?;
        decode(sealed.credential.kind, &text).ok_or_else(|| spoilt(sealed))
    }

    pub(super) fn reseal(&self, sealed: &SealedCredential, with: &SealingKey) -> Result<SealedSecret> {
        let place = Place::of(sealed);
        let text = self.decrypt(&place, &sealed.secret.bytes).ok_or_else(|| spoilt(sealed))?;
        with.encrypt(&place, &text)
    }

    fn encrypt(&self, place: &Place<'_>, text: &[u8]) -> Result<SealedSecret> {
        let failed = |_| Error::new(ErrorKind::Internal, "a secret cannot be sealed");
        let mut nonce = [0; NONCE_BYTES];
        OsRng.try_fill_bytes(&mut nonce).map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("the operating system gives no random numbers: {error}"))
        })?;
        let payload = Payload { msg: text, aad: &place.bytes(&self.id) };
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload).map_err(failed)?;
        Ok(SealedSecret { key: self.id.clone(), bytes: [&[VERSION], nonce.as_slice(), &sealed].concat() })
    }

    fn decrypt(&self, place: &Place<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.strip_prefix(&[VERSION])?.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: sealed, aad: &place.bytes(&self.id) };
        self.cipher().decrypt(XNonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.expose_secret().into())
    }
}

impl<'a> Place<'a> {
    fn of(sealed: &'a SealedCredential) -> Self {
        let credential = &sealed.credential;
        Place {
            organisation: credential.organisation,
            name: &credential.name,
            scope: &credential.scope,
            kind: credential.kind,
        }
    }

    /// Returns what is authenticated with the secret, one text for each place.
    fn bytes(&self, key: &KeyId) -> Vec<u8> {
        let (organisation, scope) = (self.organisation.to_string(), self.scope.to_string());
        let mut bytes = Vec::new();
        for part in ["gitsync credential", key.as_str(), &organisation, self.name.as_str(), &scope, self.kind.as_str()]
        {
            append(&mut bytes, part);
        }
        bytes
    }
}

fn spoilt(sealed: &SealedCredential) -> Error {
    // Not `Corrupt`: nothing is wrong with the repository that needs them.
    Error::new(
        ErrorKind::Conflict,
        "stored credentials cannot be opened: they are not what was sealed, or another key has this id",
    )
    .with("name", &sealed.credential.name)
    .with("key", &sealed.secret.key)
    .hint("set the credentials anew")
}

/// Writes the parts of credentials one after the other, each behind its length.
fn encode(credentials: &Credentials) -> Zeroizing<Vec<u8>> {
    let parts = match credentials {
        Credentials::UserPassword { user, password } => vec![user.as_str(), password.expose_secret()],
        Credentials::Bearer(token) => vec![token.expose_secret()],
        Credentials::SshKey { key, passphrase } => {
            [Some(key), passphrase.as_ref()].into_iter().flatten().map(SecretString::expose_secret).collect()
        }
    };
    // Of the right size from the beginning, so that no copy is left behind.
    let size = parts.iter().map(|part| size_of::<u32>() + part.len()).sum();
    let mut bytes = Zeroizing::new(Vec::with_capacity(size));
    for part in parts {
        append(&mut bytes, part);
    }
    bytes
}

fn append(bytes: &mut Vec<u8>, part: &str) {
    // Nothing that gets here is longer than some kilobytes.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part.as_bytes());
}

fn decode(kind: CredentialKind, bytes: &[u8]) -> Option<Credentials> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk()?;
        let (part, behind) = behind.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        parts.push(std::str::from_utf8(part).ok()?);
        rest = behind;
    }
    Some(match (kind, parts.as_slice()) {
        (CredentialKind::UserPassword, [user, password]) => {
            Credentials::UserPassword { user: (*user).to_owned(), password: SecretString::from(*password) }
        }
        (CredentialKind::Bearer, [token]) => Credentials::Bearer(SecretString::from(*token)),
        (CredentialKind::SshKey, [key, passphrase @ ..]) if passphrase.len() <= 1 => Credentials::SshKey {
            key: SecretString::from(*key),
            passphrase: passphrase.first().map(|passphrase| SecretString::from(*passphrase)),
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::keys::tests::keys;
    use super::*;
    use crate::clock::Timestamp;
    use crate::model::StoredCredential;
    use crate::rules::{MAX_SEALED_BYTES, MAX_SECRET_BYTES};
    use crate::source::{CredentialKeys, CredentialRevision};

    fn sealed_by(keys: &CredentialKeys, credentials: &Credentials) -> SealedCredential {
        let (name, scope) = ("name".parse().unwrap(), "a.example/acme".parse().unwrap());
        let NewCredential { organisation, name, scope, kind, secret } =
            keys.current().seal(OrganisationId(1), name, scope, credentials).unwrap();
        let at = Timestamp::default();
        let credential = StoredCredential { organisation, name, scope, kind, created_at: at, updated_at: at };
        SealedCredential { credential, secret }
    }

    fn all() -> Vec<Credentials> {
        let key = |passphrase: Option<&str>| Credentials::SshKey {
            key: "-----BEGIN PRIVATE KEY-----\nk\n".into(),
            passphrase: passphrase.map(SecretString::from),
        };
        vec![
            Credentials::UserPassword { user: "me".into(), password: "p".into() },
            Credentials::UserPassword { user: "token".into(), password: "".into() },
            Credentials::Bearer("b".into()),
            key(None),
            key(Some("")),
            key(Some("pass")),
        ]
    }

    #[test]
    fn what_was_sealed_comes_back() {
        let keys = keys(&["a"]);
        for credentials in all() {
            let sealed = sealed_by(&keys, &credentials);
            let opened = keys.current().open(&sealed).unwrap();
            // It tells all that is in there apart.
            assert_eq!(CredentialRevision::of(Some(&opened)), CredentialRevision::of(Some(&credentials)));
            assert_eq!(opened.kind(), credentials.kind());
            assert_ne!(sealed_by(&keys, &credentials).secret, sealed.secret, "nonces are random");
            assert!(!format!("{sealed:?}").contains(&format!("{:?}", sealed.secret.bytes)));
        }
        let largest = Credentials::UserPassword { user: "u".into(), password: "x".repeat(MAX_SECRET_BYTES - 1).into() };
        assert!(sealed_by(&keys, &largest).secret.bytes.len() <= MAX_SEALED_BYTES);
    }

    #[test]
    fn no_bit_can_be_changed_and_nothing_cut() {
        let keys = keys(&["a"]);
        for credentials in all() {
            let sealed = sealed_by(&keys, &credentials);
            let open = |bytes: Vec<u8>| {
                let secret = SealedSecret { bytes, ..sealed.secret.clone() };
                keys.current().open(&SealedCredential { secret, ..sealed.clone() }).map_err(|error| error.kind())
            };
            let bytes = &sealed.secret.bytes;
            for bit in 0..8 * bytes.len() {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(open(changed).unwrap_err(), ErrorKind::Conflict, "{bit}");
            }
            for length in 0..bytes.len() {
                assert!(open(bytes[..length].to_vec()).is_err(), "{length}");
            }
            assert!(open([bytes.as_slice(), &[0]].concat()).is_err());
        }
    }

    #[test]
    fn a_row_that_was_moved_does_not_open() {
        let keys = keys(&["a", "b"]);
        let sealed = sealed_by(&keys, &Credentials::Bearer("t".into()));
        let moved = |change: &dyn Fn(&mut SealedCredential)| {
            let mut moved = sealed.clone();
            change(&mut moved);
            let error = keys.current().open(&moved).unwrap_err();
            // Another process may have the third key.
            let kind = if moved.secret.key.as_str() == "c" { ErrorKind::Unavailable } else { ErrorKind::Conflict };
            assert_eq!((error.kind(), error.is_retryable()), (kind, kind == ErrorKind::Unavailable));
            assert!(error.hint_text().is_some());
            assert!(keys.current().reseal(&moved).is_err());
        };
        moved(&|moved| moved.credential.organisation = OrganisationId(2));
        moved(&|moved| moved.credential.name = "other".parse().unwrap());
        moved(&|moved| moved.credential.scope = "a.example".parse().unwrap());
        // It would make sense as a key.
        moved(&|moved| moved.credential.kind = CredentialKind::SshKey);
        moved(&|moved| moved.secret.key = "b".parse().unwrap());
        moved(&|moved| moved.secret.key = "c".parse().unwrap());
        // When it was set is nothing that matters.
        let later = Timestamp::from_secs(7);
        let touched = SealedCredential {
            credential: StoredCredential { updated_at: later, ..sealed.credential.clone() },
            ..sealed
        };
        keys.current().open(&touched).unwrap();
    }

    #[test]
    fn sealed_anew_it_needs_the_new_key_alone() {
        let (old, both, new) = (keys(&["old"]), keys(&["new", "old"]), keys(&["new"]));
        let sealed = sealed_by(&old, &Credentials::Bearer("t".into()));
        assert_eq!(new.current().open(&sealed).unwrap_err().kind(), ErrorKind::Unavailable);
        let secret = both.current().reseal(&sealed).unwrap();
        assert_eq!(secret.key.as_str(), "new");
        let resealed = SealedCredential { secret, ..sealed };
        new.current().open(&resealed).unwrap();
        assert!(old.current().open(&resealed).is_err());
    }
}
