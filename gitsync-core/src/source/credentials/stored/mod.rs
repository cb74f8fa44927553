//! Credentials that organisations keep in the store, sealed.

mod check;
mod keys;
mod seal;

use std::sync::Arc;

pub(crate) use self::check::check_credentials;
pub use self::keys::CredentialKeys;
pub(crate) use self::keys::KeyRing;

use super::scope::closest;
use super::{CredentialProvider, CredentialRevision, Credentials};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{SealedCredential, StoredCredential};
use crate::source::SourceUrl;

/// Knows the credentials of one organisation, as they were stored when it was made. A secret is opened when it is asked for.
#[derive(Debug)]
pub(crate) struct StoredCredentials {
    stored: Vec<SealedCredential>,
    keys: Option<Arc<CredentialKeys>>,
}

impl StoredCredentials {
    pub(crate) fn new(stored: Vec<SealedCredential>, keys: Option<Arc<CredentialKeys>>) -> Self {
        StoredCredentials { stored, keys }
    }
}

impl CredentialProvider for StoredCredentials {
    /// What is there and cannot be opened is an error: others must not be shown in its place.
    fn credentials(&self, source: &SourceUrl) -> Result<Option<Credentials>> {
        let found = closest(&self.stored, source, |sealed| (&sealed.credential.scope, sealed.credential.kind));
        // Another process may have them.
        let keys = || self.keys.as_deref().ok_or_else(|| no_keys(ErrorKind::Unavailable));
        found.map(|sealed| keys()?.current().open(sealed)).transpose()
    }

    /// Made of when they were set: what is made of a secret would help to guess it, and is stored in the clear.
    fn revision(&self, source: &SourceUrl) -> Result<CredentialRevision> {
        let found = closest(&self.stored, source, |sealed| (&sealed.credential.scope, sealed.credential.kind));
        Ok(found.map_or(CredentialRevision::of(None), |sealed| {
            let StoredCredential { name, updated_at, .. } = &sealed.credential;
            CredentialRevision::of_version(name.as_str(), updated_at.as_micros())
        }))
    }
}

/// The error of who needs keys and has none.
pub(crate) fn no_keys(kind: ErrorKind) -> Error {
    let error = Error::new(kind, "no keys for stored credentials are configured here");
    error.hint("configure keys that seal them, the same for all processes")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::keys::tests::keys;
    use super::*;
    use crate::clock::Timestamp;
    use crate::model::OrganisationId;
    use crate::store::NewCredential;

    fn sealed(new: NewCredential) -> SealedCredential {
        let NewCredential { organisation, name, scope, kind, secret } = new;
        let at = Timestamp::default();
        let credential = StoredCredential { organisation, name, scope, kind, created_at: at, updated_at: at };
        SealedCredential { credential, secret }
    }

    fn token(name: &str, scope: &str, keys: &CredentialKeys) -> SealedCredential {
        let credentials = Credentials::Bearer(format!("token-of-{name}").into());
        let (name, scope) = (name.parse().unwrap(), scope.parse().unwrap());
        sealed(keys.current().seal(OrganisationId(1), name, scope, &credentials).unwrap())
    }

    #[test]
    fn the_closest_is_opened_and_nothing_else() {
        let (ours, theirs) = (keys(&["ours"]), keys(&["theirs"]));
        let stored = vec![
            token("host", "a.example", &ours),
            token("path", "a.example/acme", &ours),
            token("other", "b.example", &theirs),
        ];
        let provider = StoredCredentials::new(stored.clone(), Some(Arc::new(ours)));
        let found = |source: &str| match provider.credentials(&source.parse().unwrap()) {
            Ok(Some(Credentials::Bearer(token))) => token.expose_secret().to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(found("https://a.example/x"), "token-of-host");
        assert_eq!(found("https://a.example/acme/x"), "token-of-path");
        assert_eq!(found("git@a.example:x"), "None");
        assert_eq!(found("https://c.example/x"), "None");
        let error = found("https://b.example/x");
        assert!(error.contains("name: other") && error.contains("key: theirs"), "{error}");
        assert!(!format!("{provider:?}").contains("token-of"));

        let without = StoredCredentials::new(stored, None);
        assert!(without.credentials(&"https://a.example/x".parse().unwrap()).unwrap_err().hint_text().is_some());
        assert!(without.credentials(&"https://c.example/x".parse().unwrap()).unwrap().is_none());
    }
}
