//! Credentials that organisations keep.

use std::collections::BTreeSet;

use super::Tables;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::memory::page::{page, rising};
use crate::model::{
    CredentialName, KeyId, OrganisationId, Page, PageRequest, SealedCredential, SealedSecret, StoredCredential,
};
use crate::rules;
use crate::store::{MAX_CREDENTIAL_KEYS, NewCredential};

impl Tables {
    pub(in crate::memory) fn set_credential(
        &mut self,
        new: &NewCredential,
        now: Timestamp,
    ) -> Result<StoredCredential> {
        self.organisation(new.organisation)?;
        let stored: Vec<_> = self.credentials_of(new.organisation).map(|sealed| sealed.credential.clone()).collect();
        let credential = rules::set_credential(&stored, new, now)?;
        let sealed = SealedCredential { credential: credential.clone(), secret: new.secret.clone() };
        self.credentials.insert((new.organisation, new.name.clone()), sealed);
        Ok(credential)
    }

    pub(in crate::memory) fn list_credentials(
        &self,
        organisation: OrganisationId,
        request: &PageRequest,
    ) -> Result<Page<StoredCredential>> {
        self.organisation(organisation)?;
        let credentials = self.credentials_of(organisation).map(|sealed| sealed.credential.clone());
        Ok(page(credentials.map(|credential| (credential.name.as_str().into(), credential)), request))
    }

    pub(in crate::memory) fn delete_credential(
        &mut self,
        organisation: OrganisationId,
        name: &CredentialName,
    ) -> Result<()> {
        let missing = || Error::new(ErrorKind::NotFound, "the organisation has no credentials of that name");
        let removed = self.credentials.remove(&(organisation, name.clone()));
        removed.map(drop).ok_or_else(|| missing().with("name", name))
    }

    pub(in crate::memory) fn credentials_of(
        &self,
        organisation: OrganisationId,
    ) -> impl Iterator<Item = &SealedCredential> {
        self.credentials.values().filter(move |sealed| sealed.credential.organisation == organisation)
    }

    pub(in crate::memory) fn credential_keys(&self) -> Vec<KeyId> {
        let keys: BTreeSet<_> = self.credentials.values().map(|sealed| &sealed.secret.key).collect();
        keys.into_iter().take(MAX_CREDENTIAL_KEYS).cloned().collect()
    }

    pub(in crate::memory) fn list_sealed_with(&self, key: &KeyId, request: &PageRequest) -> Page<SealedCredential> {
        let sealed = self.credentials.values().filter(|sealed| sealed.secret.key == *key);
        let key_of = |sealed: &SealedCredential| {
            let StoredCredential { organisation, name, .. } = &sealed.credential;
            [rising(organisation.0.into()).as_slice(), name.as_str().as_bytes()].concat()
        };
        page(sealed.map(|sealed| (key_of(sealed), sealed.clone())), request)
    }

    pub(in crate::memory) fn reseal_credential(
        &mut self,
        organisation: OrganisationId,
        name: &CredentialName,
        before: &SealedSecret,
        after: &SealedSecret,
    ) -> bool {
        let sealed = self.credentials.get_mut(&(organisation, name.clone()));
        let found = sealed.filter(|sealed| sealed.secret == *before);
        found.map(|sealed| sealed.secret = after.clone()).is_some()
    }
}
