//! Credentials that organisations keep here.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::model::StoredCredential;
use crate::store::NewCredential;

/// The most credentials that an organisation keeps.
pub const MAX_CREDENTIALS: usize = 100;

/// The most bytes of the secret of stored credentials, with the user or the passphrase that belongs to it.
pub const MAX_SECRET_BYTES: usize = 16 * 1024;

/// The most bytes of a secret that is sealed.
pub const MAX_SEALED_BYTES: usize = MAX_SECRET_BYTES + 256;

/// Decides what becomes of credentials that are set; `stored` are all that the organisation has.
///
/// # Errors
/// [`ErrorKind::AlreadyExists`] if others of the organisation are for the same sources; [`ErrorKind::LimitExceeded`] if it has
/// [`MAX_CREDENTIALS`]; [`ErrorKind::InvalidInput`] for a secret of more than [`MAX_SEALED_BYTES`].
pub fn set_credential(stored: &[StoredCredential], new: &NewCredential, now: Timestamp) -> Result<StoredCredential> {
    if new.secret.bytes.len() > MAX_SEALED_BYTES {
        let message = format!("a sealed secret has at most {MAX_SEALED_BYTES} bytes");
        return Err(Error::new(ErrorKind::InvalidInput, message).with("given", new.secret.bytes.len()));
    }
    let before = stored.iter().find(|known| known.name == new.name);
    let is_same = |known: &&StoredCredential| known.scope == new.scope && known.kind.is_key() == new.kind.is_key();
    if let Some(other) = stored.iter().filter(|known| known.name != new.name).find(is_same) {
        let error =
            Error::new(ErrorKind::AlreadyExists, "other credentials of the organisation are for the same sources");
        return Err(error.with("name", &other.name).with("scope", &other.scope).hint("replace or delete those"));
    }
    if before.is_none() && stored.len() >= MAX_CREDENTIALS {
        let message = format!("an organisation keeps at most {MAX_CREDENTIALS} credentials");
        return Err(Error::new(ErrorKind::LimitExceeded, message));
    }
    Ok(StoredCredential {
        organisation: new.organisation,
        name: new.name.clone(),
        scope: new.scope.clone(),
        kind: new.kind,
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OrganisationId, SealedSecret};
    use crate::rules::fixtures::NOW;
    use crate::source::CredentialKind;

    fn new(name: &str, scope: &str, kind: CredentialKind) -> NewCredential {
        NewCredential {
            organisation: OrganisationId(1),
            name: name.parse().unwrap(),
            scope: scope.parse().unwrap(),
            kind,
            secret: SealedSecret { key: "k".parse().unwrap(), bytes: vec![0; MAX_SEALED_BYTES] },
        }
    }

    #[test]
    fn a_scope_is_taken_once_for_each_class_of_kinds() {
        use CredentialKind::{Bearer, SshKey, UserPassword};

        let stored = [set_credential(&[], &new("a", "a.example", Bearer), NOW).unwrap()];
        let set = |new: &NewCredential| set_credential(&stored, new, NOW.after(std::time::Duration::from_secs(1)));
        let refused = set(&new("b", "a.example", UserPassword)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert!(refused.to_string().contains("name: a"), "{refused}");
        for fine in [new("b", "a.example", SshKey), new("b", "a.example/x", Bearer), new("b", "a.example:443", Bearer)]
        {
            set(&fine).unwrap();
        }
        let replaced = set(&new("a", "b.example", SshKey)).unwrap();
        assert_eq!((replaced.created_at, replaced.scope.to_string().as_str()), (NOW, "b.example"));
        assert!(replaced.updated_at > NOW);
    }

    #[test]
    fn they_are_few_and_small() {
        let of = |number: usize| new(&format!("n{number}"), &format!("a.example/{number}"), CredentialKind::Bearer);
        let stored: Vec<_> =
            (0..MAX_CREDENTIALS).map(|number| set_credential(&[], &of(number), NOW).unwrap()).collect();
        assert_eq!(set_credential(&stored, &of(200), NOW).unwrap_err().kind(), ErrorKind::LimitExceeded);
        set_credential(&stored, &of(7), NOW).unwrap();
        let mut large = of(7);
        large.secret.bytes.push(0);
        assert_eq!(set_credential(&stored, &large, NOW).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
