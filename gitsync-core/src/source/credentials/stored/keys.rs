//! The keys that seal stored credentials.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretBox;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;

use super::seal::{KEY_BYTES, SealingKey};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{CredentialName, KeyId, OrganisationId, SealedCredential, SealedSecret};
use crate::source::{CredentialScope, Credentials};
use crate::store::NewCredential;
use crate::watched_file::{Access, WatchedFile};

/// What errors call the file.
const NAME: &str = "file of keys";

/// The most keys; all but the first are for what is not sealed anew yet.
const MAX_KEYS: usize = 100;

/// The keys that seal the credentials which organisations keep in the store. The first seals, and all open.
///
/// In a file, which belongs to the user of the process or to root and has mode 0600 or less, and is read again when it changes:
///
/// ```toml
/// [[keys]]
/// id = "2026-11"    # lower-case letters, digits and hyphens
/// key = "…"         # 64 hexadecimal digits: openssl rand -hex 32
///
/// [[keys]]
/// id = "2026-01"
/// key = "…"
/// ```
///
/// or in a text, as in an environment variable: `2026-11:<64 hexadecimal digits>`, separated by commas or spaces.
///
/// To change the key, add a new one at the end for all processes, then put it first. The janitor seals anew what is sealed with
/// the others, and tells when that is all ([`OLD_CREDENTIAL_KEYS`](crate::engine::metrics::OLD_CREDENTIAL_KEYS)); then they may
/// go. An id always means the same key. Who has the database and a key has the secrets, so keep them apart, also in backups.
#[derive(Debug)]
pub struct CredentialKeys(Keys);

#[derive(Debug)]
enum Keys {
    Given(Arc<KeyRing>),
    File(WatchedFile<KeyRing>),
}

impl CredentialKeys {
    /// Reads a file of keys.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it cannot be read, may be used by others than its owner, or makes no sense; the message
    /// says where.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let check = |content: Content| {
            KeyRing::new(content.keys.into_iter().map(|written| (written.id, Zeroizing::new(written.key))))
        };
        Ok(CredentialKeys(Keys::File(WatchedFile::open(NAME, path, Access::None, check)?)))
    }

    /// Takes keys from a text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it makes no sense; the message says where.
    pub fn from_text(text: &str) -> Result<Self> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let keys = entries.map(|entry| {
            let (id, key) = entry.split_once(':').unwrap_or(("", entry));
            (id.to_owned(), Zeroizing::new(key.to_owned()))
        });
        Ok(CredentialKeys(Keys::Given(Arc::new(KeyRing::new(keys)?))))
    }

    /// Sets the clock by which a file is looked at.
    #[must_use]
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        CredentialKeys(match self.0 {
            Keys::File(file) => Keys::File(file.clock(clock)),
            given => given,
        })
    }

    /// Returns the keys there are by now. Who needs several things of them asks once.
    pub(crate) fn current(&self) -> Arc<KeyRing> {
        match &self.0 {
            Keys::Given(ring) => Arc::clone(ring),
            Keys::File(file) => file.content(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    keys: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    key: String,
}

/// Keys at one moment, at least one.
#[derive(Debug)]
pub(crate) struct KeyRing {
    first: SealingKey,
    others: Vec<SealingKey>,
}

impl KeyRing {
    fn new(written: impl IntoIterator<Item = (String, Zeroizing<String>)>) -> Result<Self> {
        let mut keys = Vec::new();
        let mut ids = HashSet::new();
        for (index, (id, key)) in written.into_iter().enumerate() {
            // Counted, not named: what stands in the place of an id could be the key.
            let invalid = |message: &str| Error::new(ErrorKind::InvalidInput, message).with("entry", index + 1);
            let id = KeyId::new(id).map_err(|_| invalid("an id has lower-case letters, digits and hyphens"))?;
            let key = decode(&key).ok_or_else(|| {
                invalid("a key is 64 hexadecimal digits, and not all are zero")
                    .hint("make one with `openssl rand -hex 32`")
            })?;
            if !ids.insert(id.clone()) {
                return Err(invalid("another key has this id").with("id", id));
            }
            keys.push(SealingKey { id, key });
        }
        if keys.is_empty() || keys.len() > MAX_KEYS {
            return Err(Error::new(ErrorKind::InvalidInput, format!("there are 1 to {MAX_KEYS} keys")));
        }
        let others = keys.split_off(1);
        let first = keys.swap_remove(0);
        Ok(KeyRing { first, others })
    }

    /// Returns the key that seals.
    pub(crate) fn first(&self) -> &KeyId {
        &self.first.id
    }

    fn key(&self, id: &KeyId) -> Option<&SealingKey> {
        [&self.first].into_iter().chain(&self.others).find(|key| key.id == *id)
    }

    /// Tells whether a key is among them.
    pub(crate) fn has(&self, id: &KeyId) -> bool {
        self.key(id).is_some()
    }

    /// Seals credentials of an organisation.
    pub(crate) fn seal(
        &self,
        organisation: OrganisationId,
        name: CredentialName,
        scope: CredentialScope,
        credentials: &Credentials,
    ) -> Result<NewCredential> {
        self.first.seal(organisation, name, scope, credentials)
    }

    /// Opens stored credentials.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] without their key; [`ErrorKind::Conflict`] if they are not what was sealed, or not where that was.
    pub(crate) fn open(&self, sealed: &SealedCredential) -> Result<Credentials> {
        self.key_of(sealed)?.open(sealed)
    }

    /// Seals stored credentials with the first key.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn reseal(&self, sealed: &SealedCredential) -> Result<SealedSecret> {
        self.key_of(sealed)?.reseal(sealed, &self.first)
    }

    fn key_of(&self, sealed: &SealedCredential) -> Result<&SealingKey> {
        self.key(&sealed.secret.key).ok_or_else(|| {
            // Another process may have it.
            Error::new(
                ErrorKind::Unavailable,
                "the key of stored credentials is not among those that are configured here",
            )
            .with("name", &sealed.credential.name)
            .with("key", &sealed.secret.key)
            .hint("configure the key in this process, or set the credentials anew")
        })
    }
}

/// Reads a key. The one of zeros is nobody's: it is what a template holds.
fn decode(text: &str) -> Option<SecretBox<[u8; KEY_BYTES]>> {
    let is_hexadecimal = text.len() == 2 * KEY_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hexadecimal || text.bytes().all(|byte| byte == b'0') {
        return None;
    }
    Some(SecretBox::init_with_mut(|key: &mut [u8; KEY_BYTES]| {
        for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
            // It has such digits alone.
            *byte = u8::from_str_radix(&text[at..at + 2], 16).unwrap_or_default();
        }
    }))
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::testing::ManualClock;
    use crate::watched_file::LOOK_EVERY;

    /// A key that follows from its id.
    fn digits(id: &str) -> String {
        Sha256::digest(id).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn text(ids: &[&str]) -> String {
        ids.iter().map(|id| format!("{id}:{}", digits(id))).collect::<Vec<_>>().join(",")
    }

    pub(in crate::source) fn keys(ids: &[&str]) -> CredentialKeys {
        CredentialKeys::from_text(&text(ids)).unwrap()
    }

    #[test]
    fn the_first_seals_and_all_open() {
        let ring = keys(&["new", "old"]).current();
        assert_eq!(ring.first().as_str(), "new");
        assert!(ring.has(&"old".parse().unwrap()) && !ring.has(&"other".parse().unwrap()));
        let spaced = format!(" {},\n{} ", text(&["new"]), text(&["old"]));
        assert!(CredentialKeys::from_text(&spaced).unwrap().current().has(&"old".parse().unwrap()));
    }

    #[test]
    fn nonsense_is_refused_without_showing_it() {
        let key = digits("a");
        let bad = [
            String::new(),
            key.clone(),
            format!("A:{key}"),
            format!("{key}:a"),
            format!("a:{}", &key[1..]),
            format!("a:{key}0"),
            format!("a:{}g", &key[1..]),
            format!("a:+{}", &key[1..]),
            format!("a:{}", "0".repeat(64)),
            format!("a:{key},a:{}", digits("b")),
        ];
        for bad in bad {
            let error = CredentialKeys::from_text(&bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error:?}{error}").contains(&key[1..]), "{error:?}");
        }
        let many: Vec<_> = (0..=MAX_KEYS).map(|number| format!("k{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert!(CredentialKeys::from_text(&text(&many)).is_err());
        assert!(!format!("{:?}", keys(&["a"])).contains(&key[..8]));
    }

    #[test]
    fn a_file_is_private_and_read_again() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::default());
        let path = dir.path().join("keys.toml");
        let write = |ids: &[&str], mode| {
            let entries = ids.iter().map(|id| format!("[[keys]]\nid = \"{id}\"\nkey = \"{}\"\n", digits(id)));
            fs::write(&path, entries.collect::<String>()).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        };
        write(&["a"], 0o640);
        assert!(CredentialKeys::open(&path).unwrap_err().hint_text().unwrap().contains("0600"));
        write(&["a"], 0o600);
        let keys = CredentialKeys::open(&path).unwrap().clock(Arc::new(clock.clone()));
        assert_eq!(keys.current().first().as_str(), "a");
        write(&["b", "a"], 0o600);
        clock.advance(LOOK_EVERY);
        assert_eq!(keys.current().first().as_str(), "b");
        // A slip of the pen changes nothing.
        write(&[], 0o600);
        clock.advance(LOOK_EVERY);
        assert_eq!(keys.current().first().as_str(), "b");
        fs::write(&path, format!("[[keys]]\nid = \"a\"\nkey = \"{}\"\nkee = 1", digits("a"))).unwrap();
        let error = CredentialKeys::open(&path).unwrap_err();
        assert!(!format!("{error:?}{error}").contains(&digits("a")[..8]), "{error:?}");
    }
}
