//! Credentials that organisations keep: set by users, shown by attempts, sealed anew when the key changes.

use std::sync::Arc;

use tracing::{info, warn};

use super::gitsync::GitSync;
use super::metrics;
use super::parts::Parts;
use crate::error::{ErrorKind, Result};
use crate::model::{CredentialName, KeyId, OrganisationId, Page, PageRequest, StoredCredential};
use crate::source::{
    CredentialScope, Credentials, KeyRing, NoCredentials, StoredCredentials, check_credentials, no_keys,
};
use crate::transport::Transport;

/// How many credentials are read at once to be sealed anew.
const RESEAL_BATCH: usize = 100;

impl GitSync {
    /// Sets credentials that an organisation keeps here, in place of those that have the name. They are stored encrypted, and
    /// shown from the next attempt on to upstreams and push targets within the scope, for the work of the organisation's own
    /// repositories alone. There they go before those that the transport has.
    ///
    /// # Errors
    /// [`Conflict`](crate::ErrorKind::Conflict) without [keys](super::GitSyncBuilder::credential_keys);
    /// [`Unsupported`](crate::ErrorKind::Unsupported) if the transport could not show them;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a secret that is too long or makes no sense, which is not shown;
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if others of the organisation are for the same sources,
    /// [`LimitExceeded`](crate::ErrorKind::LimitExceeded) if it has
    /// [`MAX_CREDENTIALS`](crate::rules::MAX_CREDENTIALS), [`NotFound`](crate::ErrorKind::NotFound) without the organisation.
    pub async fn set_credential(
        &self,
        organisation: OrganisationId,
        name: CredentialName,
        scope: CredentialScope,
        credentials: &Credentials,
    ) -> Result<StoredCredential> {
        check_credentials(credentials)?;
        // Or all work of the organisation would fail from now on.
        self.parts.transport.asking_first(Arc::new(NoCredentials))?;
        let keys = self.parts.credential_keys.as_ref().ok_or_else(|| no_keys(ErrorKind::Conflict))?.current();
        let sealed = keys.seal(organisation, name, scope, credentials)?;
        self.parts.store.set_credential(&sealed).await
    }

    /// Lists what is known of the credentials of an organisation, by name. No secret is ever shown.
    pub async fn list_credentials(
        &self,
        organisation: OrganisationId,
        page: &PageRequest,
    ) -> Result<Page<StoredCredential>> {
        self.parts.store.list_credentials(organisation, page).await
    }

    /// Deletes credentials of an organisation. An attempt that runs may still show them.
    pub async fn delete_credential(&self, organisation: OrganisationId, name: &CredentialName) -> Result<()> {
        self.parts.store.delete_credential(organisation, name).await
    }

    /// Returns the keys by which some stored credentials are sealed. A key that is not among them, and by which no process
    /// seals any more, may be thrown away.
    pub async fn credential_keys(&self) -> Result<Vec<KeyId>> {
        self.parts.store.credential_keys().await
    }
}

impl Parts {
    /// Returns the way to upstreams for the work of an organisation: its own credentials go before all others. They are those of
    /// this moment.
    pub(super) async fn transport_of(&self, organisation: OrganisationId) -> Result<Arc<dyn Transport>> {
        let stored = self.store.sealed_credentials(organisation).await?;
        if stored.is_empty() {
            return Ok(Arc::clone(&self.transport));
        }
        self.transport.asking_first(Arc::new(StoredCredentials::new(stored, self.credential_keys.clone())))
    }

    /// Seals with the first key what is sealed with others, and tells how much that was. Any number of processes may do so at
    /// once, and what is set meanwhile is left alone. What breaks off goes on the next time.
    pub(super) async fn reseal_credentials(&self) -> Result<usize> {
        let Some(keys) = &self.credential_keys else { return Ok(0) };
        let keys = keys.current();
        let mut others = self.others_than(keys.first()).await?;
        if others.is_empty() {
            metrics::old_credential_keys(0);
            return Ok(0);
        }
        let mut count = 0;
        for key in &others {
            if keys.has(key) {
                count += self.reseal_from(key, &keys).await?;
            } else {
                warn!(%key, "stored credentials are sealed with a key that is not configured here");
            }
        }
        others = self.others_than(keys.first()).await?;
        metrics::old_credential_keys(others.len());
        if count > 0 && others.is_empty() {
            info!(key = %keys.first(), "all stored credentials are sealed with the first key: once all processes have it first, the others may go");
        }
        Ok(count)
    }

    /// Returns the keys but one by which something is sealed.
    async fn others_than(&self, first: &KeyId) -> Result<Vec<KeyId>> {
        let mut keys = self.store.credential_keys().await?;
        keys.retain(|key| key != first);
        Ok(keys)
    }

    async fn reseal_from(&self, key: &KeyId, keys: &KeyRing) -> Result<usize> {
        let (mut count, mut spoilt, mut after) = (0, 0_usize, None);
        loop {
            let page = self.store.list_sealed_with(key, &PageRequest::new(RESEAL_BATCH, after)?).await?;
            for sealed in &page.items {
                match keys.reseal(sealed) {
                    Ok(secret) => {
                        let StoredCredential { organisation, name, .. } = &sealed.credential;
                        let done = self.store.reseal_credential(*organisation, name, &sealed.secret, &secret).await?;
                        count += usize::from(done);
                    }
                    // Said once, however many there are.
                    Err(error) if spoilt == 0 => {
                        warn!(%error, organisation = %sealed.credential.organisation, "cannot seal credentials anew");
                        spoilt += 1;
                    }
                    Err(_) => spoilt += 1,
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if spoilt > 0 {
            warn!(%key, count = spoilt, "stored credentials stay sealed with an old key");
        }
        Ok(count)
    }
}
